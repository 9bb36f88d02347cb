//! Messages to other tabs, as JSON with a hole for each payload.

use alloc::sync::Arc;
use alloc::vec::Vec;

use tidegate_core::client::{ClosedReason, ConnectionState};
use tidegate_core::presence::{Absent, Present};
use tidegate_core::protocol::{ServerFrame, WireError};
use tidegate_core::publication::Publication;
use tidegate_core::tabs::{Body, Message};
use tidegate_core::topic::Pattern;

use crate::errors::plain;
use crate::frames;
use crate::json::Object;
use crate::slot::Handle;

/// The JSON of a message. The slots of the payloads for its holes are added to `data`, in order.
pub(super) fn object(message: &Message<Handle>, data: &mut Vec<u32>) -> Object {
    let head = Object::new()
        .number("version", u64::from(message.version))
        .number("from", message.from.0)
        .optional_number("to", message.to.map(|to| to.0))
        .number("counter", message.term.counter)
        .number("leader", message.term.tab.0);
    let says = |name| head.text("say", name);
    let visible = |head: Object, is: bool| head.optional_flag("visible", Some(is));
    match &message.body {
        Body::Probe { is_visible } => visible(says("probe"), *is_visible),
        Body::Alive { is_visible } => visible(says("alive"), *is_visible),
        Body::Bye => says("bye"),
        Body::Claim { is_visible } => visible(says("claim"), *is_visible),
        Body::Yield => says("yield"),
        Body::Tick => says("tick"),
        Body::Join { link } => says("join").number("link", u64::from(*link)),
        Body::Joined { link } => says("joined").number("link", u64::from(*link)),
        Body::Gone { link } => says("gone").number("link", u64::from(*link)),
        Body::AskToken { request } => says("ask").number("link", u64::from(*request)),
        Body::Token { request, token } => says("token")
            .number("link", u64::from(*request))
            .optional_text("token", token.as_deref()),
        Body::Lead {
            group,
            state,
            members,
        } => {
            let members = members.iter().map(|(tab, link)| {
                let member = Object::new().number("tab", tab.0);
                member.number("link", u64::from(*link))
            });
            lead(says("lead").text("group", group), state).list("members", members)
        }
        Body::Up { link, frame } => {
            let mut text = frames::object(frame);
            if let Some(handle) = frames::data(frame) {
                text = text.hole("data");
                data.push(handle.slot());
            }
            let up = says("up").number("link", u64::from(*link));
            up.object("frame", text)
        }
        #[cfg(not(feature = "follower"))]
        Body::Down { frame } => says("down").object("frame", server_frame(frame, data)),
        #[cfg(feature = "follower")]
        Body::Down { .. } => unreachable!("only a leader says this"),
    }
}

fn lead(head: Object, state: &ConnectionState) -> Object {
    let says = |number| head.number("state", number);
    match state {
        ConnectionState::Disconnected => says(0),
        ConnectionState::Connecting { attempt } => says(1).number("attempt", u64::from(*attempt)),
        ConnectionState::Connected => says(2),
        ConnectionState::Stale => says(3),
        ConnectionState::Closed(ClosedReason::ByUser) => says(4),
        ConnectionState::Closed(ClosedReason::Refused(error)) => {
            says(5).object("error", plain(error))
        }
    }
}

fn server_frame(frame: &ServerFrame<Handle>, data: &mut Vec<u32>) -> Object {
    let of_type = |name| Object::new().text("type", name);
    let via = |frame: Object, via: &Option<Pattern>| {
        frame.optional_text("via", via.as_ref().map(|via| via.as_str()))
    };
    match frame {
        // Only the leader renews the token, so members don't learn when it expires.
        ServerFrame::Welcome {
            heartbeat_ms,
            expires_in_ms: _,
            message_bytes_max: _,
            publish_rate: _,
        } => of_type("welcome").number("heartbeat_ms", *heartbeat_ms),
        ServerFrame::Subscribed {
            pattern,
            position,
            recovered,
            flow: _,
        } => of_type("subscribed")
            .text("pattern", pattern.as_str())
            .optional_number("epoch", position.map(|position| position.epoch))
            .optional_number("offset", position.map(|position| position.offset))
            .optional_flag("recovered", Some(*recovered)),
        ServerFrame::Unsubscribed { pattern } => {
            of_type("unsubscribed").text("pattern", pattern.as_str())
        }
        ServerFrame::Publication {
            publication: it,
            via: by,
        } => via(publication(of_type("pub"), it, data), by),
        ServerFrame::Delta { .. } => unreachable!("tabs say whole values to each other"),
        ServerFrame::Batch { items, via: by } => {
            let items: Vec<Object> = items
                .iter()
                .map(|it| publication(of_type("pub"), it, data))
                .collect();
            via(of_type("batch").list("items", items.into_iter()), by)
        }
        ServerFrame::Reset {
            topic,
            position,
            via: by,
        } => via(
            of_type("reset")
                .text("topic", topic.as_str())
                .number("epoch", position.epoch)
                .number("offset", position.offset),
            by,
        ),
        ServerFrame::Lagged { pattern, missed } => of_type("lagged")
            .text("pattern", pattern.as_str())
            .number("missed", *missed),
        ServerFrame::End { pattern, reason } => of_type("end")
            .text("pattern", pattern.as_str())
            .text("reason", reason.as_str()),
        ServerFrame::Published { request, position } => of_type("published")
            .number("ref", *request)
            .number("epoch", position.epoch)
            .number("offset", position.offset),
        ServerFrame::PresenceState(state) => of_type("presence_state")
            .text("topic", state.topic.as_str())
            .list("present", present(&state.present, data)),
        ServerFrame::PresenceDiff(diff) => of_type("presence_diff")
            .text("topic", diff.topic.as_str())
            .list("joins", present(&diff.joins, data))
            .list("leaves", diff.leaves.iter().map(absent)),
        ServerFrame::Error(error) => self::error(of_type("error"), error),
        ServerFrame::Ping => of_type("ping"),
        ServerFrame::Pong => of_type("pong"),
        ServerFrame::Drain { within_ms } => of_type("drain").number("within_ms", *within_ms),
        ServerFrame::Stale => of_type("stale"),
        ServerFrame::Live => of_type("live"),
    }
}

fn publication(frame: Object, it: &Arc<Publication<Handle>>, data: &mut Vec<u32>) -> Object {
    data.push(it.payload.slot());
    frame
        .text("topic", it.topic.as_str())
        .number("epoch", it.position.epoch)
        .number("offset", it.position.offset)
        .optional_text("end", it.end.map(|end| end.as_str()))
        .hole("data")
}

fn present(metas: &[Present<Handle>], data: &mut Vec<u32>) -> impl Iterator<Item = Object> + use<> {
    let metas: Vec<Object> = metas
        .iter()
        .map(|it| {
            data.push(it.meta.slot());
            Object::new()
                .text("key", it.key.as_str())
                .number("node", it.id.node.number())
                .number("clock", it.id.clock)
                .hole("data")
        })
        .collect();
    metas.into_iter()
}

fn absent(it: &Absent) -> Object {
    Object::new()
        .text("key", it.key.as_str())
        .number("node", it.id.node.number())
        .number("clock", it.id.clock)
}

fn error(frame: Object, error: &WireError) -> Object {
    frame
        .text("code", error.code.as_str())
        .text("message", &error.message)
        .optional_text("pattern", error.pattern.as_ref().map(|it| it.as_str()))
        .optional_number("ref", error.request)
        .optional_flag("fatal", error.fatal.then_some(true))
}
