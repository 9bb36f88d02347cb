//! How frames cross the boundary: the client's as the text to be sent, except for the data; the server's, except
//! publications, as their members.

use tidegate_core::durable::DurableName;
use tidegate_core::flow::{Conflate, Flow, Slow};
use tidegate_core::protocol::{
    ClientFrame, ErrorCode, FlowSpec, GroupTerm, ServerFrame, Start, TopicPosition, WireError,
};
use tidegate_core::topic::{Pattern, Topic};

use crate::errors::bad_topic;
use crate::json::Object;
use crate::records::{end_of, position};
use crate::slot::Handle;
use crate::spec::{self, CONFLATIONS};

/// A frame as JSON, in the order of `docs/PROTOCOL.md`, without its data.
pub(crate) fn object(frame: &ClientFrame<Handle>) -> Object {
    let of_type = |name| Object::new().text("type", name);
    match frame {
        ClientFrame::Hello {
            token,
            client,
            group,
        } => {
            let hello = of_type("hello")
                .optional_text("token", token.as_deref())
                .optional_text("client", client.as_deref());
            match group {
                None => hello,
                Some(GroupTerm { group, term }) => hello
                    .text("group", group)
                    .number("term", term.counter)
                    .number("tab", term.tab.0),
            }
        }
        ClientFrame::Subscribe(request) => {
            let name = request.durable.as_ref().map(DurableName::as_str);
            let mut subscribe = of_type("subscribe")
                .text("pattern", request.pattern.as_str())
                .optional_text("durable", name)
                .optional_text("slow", request.slow.map(Slow::as_str));
            if request.flow != Flow::IMMEDIATE {
                subscribe = subscribe.object("flow", flow(request.flow));
            }
            match &request.start {
                Start::Latest => subscribe,
                Start::New => subscribe.optional_flag("latest", Some(false)),
                Start::Since(positions) => {
                    subscribe.list("since", positions.iter().map(topic_position))
                }
            }
        }
        ClientFrame::Unsubscribe { pattern } => {
            of_type("unsubscribe").text("pattern", pattern.as_str())
        }
        ClientFrame::Ack { pattern, positions } => of_type("ack")
            .text("pattern", pattern.as_str())
            .list("positions", positions.iter().map(topic_position)),
        ClientFrame::Forget { pattern } => of_type("forget").text("pattern", pattern.as_str()),
        ClientFrame::Flow { pattern, flow } => of_type("flow")
            .text("pattern", pattern.as_str())
            .object("flow", self::flow(*flow)),
        ClientFrame::Publish { request, publish } => of_type("publish")
            .number("ref", *request)
            .text("topic", publish.topic.as_str())
            .optional_text("end", publish.end.map(|end| end.as_str()))
            .optional_text("id", publish.id.as_deref())
            .optional_flag("restart", publish.restart.then_some(true)),
        ClientFrame::Track {
            request,
            topic,
            key,
            meta: _,
        } => of_type("track")
            .number("ref", *request)
            .text("topic", topic.as_str())
            .text("key", key.as_str()),
        ClientFrame::Untrack { request } => of_type("untrack").number("ref", *request),
        ClientFrame::Watch { request, topic } => of_type("watch")
            .number("ref", *request)
            .text("topic", topic.as_str()),
        ClientFrame::Unwatch { topic } => of_type("unwatch").text("topic", topic.as_str()),
        ClientFrame::Ping => of_type("ping"),
        ClientFrame::Pong => of_type("pong"),
    }
}

/// The data that a frame carries.
pub(crate) const fn data(frame: &ClientFrame<Handle>) -> Option<&Handle> {
    match frame {
        ClientFrame::Publish { publish, .. } => Some(&publish.payload),
        ClientFrame::Track { meta, .. } => Some(meta),
        ClientFrame::Hello { .. }
        | ClientFrame::Subscribe(_)
        | ClientFrame::Unsubscribe { .. }
        | ClientFrame::Ack { .. }
        | ClientFrame::Forget { .. }
        | ClientFrame::Flow { .. }
        | ClientFrame::Untrack { .. }
        | ClientFrame::Watch { .. }
        | ClientFrame::Unwatch { .. }
        | ClientFrame::Ping
        | ClientFrame::Pong => None,
    }
}

fn flow(flow: Flow) -> Object {
    let spec = FlowSpec::from(flow);
    let conflate = match flow.conflate {
        Conflate::Latest => None,
        Conflate::Merge => Some(CONFLATIONS[1]),
        Conflate::Sum => Some(CONFLATIONS[2]),
        Conflate::Collect { .. } => Some(CONFLATIONS[3]),
    };
    Object::new()
        .optional_number("throttle_ms", spec.throttle_ms)
        .optional_number("debounce_ms", spec.debounce_ms)
        .optional_number("max_wait_ms", spec.max_wait_ms)
        .optional_flag("leading", spec.leading)
        .optional_flag("trailing", spec.trailing)
        .optional_text("conflate", conflate)
        .optional_number("max", spec.max.map(u64::from))
        .optional_flag("delta", spec.delta)
}

pub(crate) fn topic_position(known: &TopicPosition) -> Object {
    Object::new()
        .text("topic", known.topic.as_str())
        .number("epoch", known.position.epoch)
        .number("offset", known.position.offset)
}

/// The members of a frame of the server. Absent texts are empty, absent numbers NaN.
pub(crate) struct Incoming<'a> {
    /// Which frame, as `frames.ts` numbers them.
    pub(crate) kind: u32,
    /// Its pattern, or its topic if it is a reset.
    pub(crate) about: &'a str,
    /// Its wildcard pattern; an error's code.
    pub(crate) via: &'a str,
    pub(crate) message: &'a str,
    /// The epoch, or `message_bytes_max`.
    pub(crate) epoch: f64,
    /// The offset, or `expires_in_ms`.
    pub(crate) offset: f64,
    /// `heartbeat_ms`, `within_ms`, `missed` or `ref`, or the number of a reason.
    pub(crate) number: f64,
    /// `recovered` or `fatal`.
    pub(crate) is_set: bool,
}

/// The frame with these members. `frames.ts` has checked that the required ones are there.
///
/// # Errors
/// If a pattern or a topic breaks the syntax, or no frame has this number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole numbers, and a cast saturates"
)]
pub(crate) fn server_frame(incoming: &Incoming<'_>) -> Result<ServerFrame<Handle>, WireError> {
    let pattern = || spec::pattern(incoming.about);
    let position_given = position(incoming.epoch, incoming.offset);
    let number = incoming.number as u64;
    Ok(match incoming.kind {
        0 => ServerFrame::Welcome {
            heartbeat_ms: number,
            expires_in_ms: (!incoming.offset.is_nan()).then_some(incoming.offset as u64),
            message_bytes_max: (!incoming.epoch.is_nan()).then_some(incoming.epoch as u64),
            // Clients don't pace themselves: the server refuses publishes beyond the rate.
            publish_rate: None,
        },
        1 => ServerFrame::Subscribed {
            pattern: pattern()?,
            position: (!incoming.epoch.is_nan()).then_some(position_given),
            recovered: incoming.is_set,
            flow: Flow::IMMEDIATE,
        },
        2 => ServerFrame::Unsubscribed {
            pattern: pattern()?,
        },
        3 => ServerFrame::Reset {
            topic: Topic::new(incoming.about).map_err(|error| bad_topic(incoming.about, error))?,
            position: position_given,
            via: optional_pattern(incoming.via)?,
        },
        4 => ServerFrame::Lagged {
            pattern: pattern()?,
            missed: number,
        },
        5 => match end_of(number as u32) {
            Some(reason) => ServerFrame::End {
                pattern: pattern()?,
                reason,
            },
            None => return Err(unknown()),
        },
        6 => ServerFrame::Published {
            request: number,
            position: position_given,
        },
        7 => ServerFrame::Error(WireError {
            code: code(incoming.via),
            message: incoming.message.into(),
            pattern: optional_pattern(incoming.about)?,
            request: (!incoming.number.is_nan()).then_some(number),
            fatal: incoming.is_set,
        }),
        8 => ServerFrame::Ping,
        9 => ServerFrame::Pong,
        10 => ServerFrame::Drain { within_ms: number },
        11 => ServerFrame::Stale,
        12 => ServerFrame::Live,
        _ => return Err(unknown()),
    })
}

fn optional_pattern(text: &str) -> Result<Option<Pattern>, WireError> {
    if text.is_empty() {
        return Ok(None);
    }
    spec::pattern(text).map(Some)
}

fn unknown() -> WireError {
    WireError::new(
        ErrorCode::BadFrame,
        "the server sent a frame of an unknown type",
    )
}

/// The code with a name. A name that this version doesn't know becomes an internal error of the server.
pub(crate) fn code(name: &str) -> ErrorCode {
    const CODES: [ErrorCode; 23] = [
        ErrorCode::BadFrame,
        ErrorCode::BadTopic,
        ErrorCode::BadFlow,
        ErrorCode::AlreadySubscribed,
        ErrorCode::NotSubscribed,
        ErrorCode::TooManySubscriptions,
        ErrorCode::TooManyTopics,
        ErrorCode::TooManyConnections,
        ErrorCode::TooManyRequests,
        ErrorCode::TooManyPresences,
        ErrorCode::TooLarge,
        ErrorCode::TopicEnded,
        ErrorCode::Unauthorized,
        ErrorCode::TokenExpired,
        ErrorCode::Forbidden,
        ErrorCode::Timeout,
        ErrorCode::SlowConsumer,
        ErrorCode::Draining,
        ErrorCode::Superseded,
        ErrorCode::Disconnected,
        ErrorCode::ConnectionLost,
        ErrorCode::Unavailable,
        ErrorCode::Refused,
    ];
    let known = CODES.into_iter().find(|code| code.as_str() == name);
    known.unwrap_or(ErrorCode::Internal)
}
