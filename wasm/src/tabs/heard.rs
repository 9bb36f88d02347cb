//! What a tab hears and what happens to it: the calls of a hub that shares its connection.

use tidegate_core::client::{ClosedReason, ConnectionState};
use tidegate_core::presence::Key;
use tidegate_core::protocol::{ClientFrame, ErrorCode, PublishRequest, WireError};
use tidegate_core::tabs::{Body, Page, TabId, Term};

use super::{AnyHub, Sender};
use crate::client::{self, CLIENTS, ClientHub};
use crate::clock::instant;
use crate::due::PacedBy;
use crate::errors::number_or_failed;
use crate::exports::exports;
use crate::records::end_of;
use crate::slot::Handle;
use crate::{frames, spec, texts, topics};

/// A hub that shares its connection with the browser's other tabs; returns its number. `tab` is a whole number below
/// 2^53 that no other tab has; `election` is 0 for a lock, 1 for claims, 2 for a tab with a worker of this generation,
/// 3 for that worker. `group` is what the server is to know the tabs by, if this one is the first that leads.
#[unsafe(no_mangle)]
extern "C" fn client_shared(
    seed: f64,
    token: u32,
    name: u32,
    tab: f64,
    election: u32,
    generation: f64,
    group: u32,
) -> u32 {
    let config = client::config(seed, token, name);
    let (tab, group) = (TabId(whole(tab)), texts::take(group));
    client::add(AnyHub::shared(
        config,
        tab,
        election,
        whole(generation),
        group,
    ))
}

exports! { CLIENTS:
    client_handle_page = handle_page(now_ms: f64, page: u32) -> u32;
    client_handle_granted = handle_granted(now_ms: f64, request: u32) -> u32;
    client_handle_lost = handle_lost(now_ms: f64, request: u32) -> u32;
    client_stage_sender = stage_sender(from: f64, counter: f64, leader: f64);
    client_handle_said = handle_said(now_ms: f64, kind: u32, is_visible: bool, link: u32) -> u32;
    client_stage_member = stage_member(tab: f64, link: u32);
    client_handle_lead = handle_lead(
        now_ms: f64, group: u32, state: u32, attempt: u32, code: u32, message: u32
    ) -> u32;
    client_handle_up_subscribe = handle_up_subscribe(now_ms: f64, link: u32, pattern: u32, start: u32) -> u32;
    client_handle_up_flow = handle_up_flow(now_ms: f64, link: u32, pattern: u32) -> u32;
    client_handle_up_publish = handle_up_publish(
        now_ms: f64, link: u32, request: f64, topic: u32, slot: u32, end: u32, id: u32, restart: bool
    ) -> u32;
    client_handle_up_track = handle_up_track(
        now_ms: f64, link: u32, request: f64, topic: u32, key: u32, slot: u32
    ) -> u32;
    client_handle_up_watch = handle_up_watch(
        now_ms: f64, link: u32, request: f64, topic: u32, is_wanted: bool
    ) -> u32;
    client_handle_up = handle_up(now_ms: f64, link: u32, kind: u32, pattern: u32, request: f64) -> u32;
}

impl ClientHub {
    /// What becomes of the page: 0 visible, 1 hidden, 2 frozen, 3 leaving, 4 resumed.
    fn handle_page(&mut self, now_ms: f64, page: u32) -> u32 {
        let page = match page {
            0 => Page::Visible,
            1 => Page::Hidden,
            2 => Page::Frozen,
            3 => Page::Leaving,
            _ => Page::Resumed,
        };
        self.with(|hub| hub.handle_page(instant(now_ms), page))
    }

    /// The lock of this request was granted.
    fn handle_granted(&mut self, now_ms: f64, request: u32) -> u32 {
        self.with(|hub| hub.handle_granted(instant(now_ms), request))
    }

    /// The lock of this request was stolen, or could not be had.
    fn handle_lost(&mut self, now_ms: f64, request: u32) -> u32 {
        self.with(|hub| hub.handle_lost(instant(now_ms), request))
    }

    /// Who says what the next call tells, and of which leadership it knows. Frames that it hands down come by the calls
    /// for frames of the server, with a `link` of 2^32 - 1.
    fn stage_sender(&mut self, from: f64, counter: f64, leader: f64) {
        self.stage(Sender {
            from: TabId(whole(from)),
            term: Term {
                counter: whole(counter),
                tab: TabId(whole(leader)),
            },
        });
    }

    /// Another tab says something that needs no more than this to tell: 0 probe, 1 alive, 2 bye, 3 claim, 4 yield,
    /// 5 tick, 6 join, 7 joined, 8 gone.
    fn handle_said(&mut self, now_ms: f64, kind: u32, is_visible: bool, link: u32) -> u32 {
        let body = match kind {
            0 => Body::Probe { is_visible },
            1 => Body::Alive { is_visible },
            2 => Body::Bye,
            3 => Body::Claim { is_visible },
            4 => Body::Yield,
            5 => Body::Tick,
            6 => Body::Join { link },
            7 => Body::Joined { link },
            _ => Body::Gone { link },
        };
        self.hear(now_ms, body)
    }

    /// A member of the leader that the next `handle_lead` tells of, by its link.
    fn stage_member(&mut self, tab: f64, link: u32) {
        self.hub.members.push((TabId(whole(tab)), link));
    }

    /// Another tab, or the worker, leads the members that were staged; `code` and `message` tell why the server has
    /// refused the connection.
    fn handle_lead(
        &mut self,
        now_ms: f64,
        group: u32,
        state: u32,
        attempt: u32,
        code: u32,
        message: u32,
    ) -> u32 {
        let (code, message) = (texts::take(code), texts::take(message));
        let state = match state {
            0 => ConnectionState::Disconnected,
            1 => ConnectionState::Connecting { attempt },
            2 => ConnectionState::Connected,
            3 => ConnectionState::Stale,
            4 => ConnectionState::Closed(ClosedReason::ByUser),
            _ => {
                let error = WireError::new(frames::code(&code), message);
                ConnectionState::Closed(ClosedReason::Refused(error))
            }
        };
        let lead = Body::Lead {
            group: texts::take(group),
            state,
            members: core::mem::take(&mut self.hub.members),
        };
        self.hear(now_ms, lead)
    }

    /// A member subscribes as was staged, or this fails.
    fn handle_up_subscribe(&mut self, now_ms: f64, link: u32, pattern: u32, start: u32) -> u32 {
        let frame = spec::take(&texts::take(pattern), start).map(|wanted| ClientFrame::Subscribe {
            pattern: wanted.pattern,
            flow: wanted.flow,
            start: wanted.start,
        });
        self.hear_up(now_ms, link, frame)
    }

    /// A member changes a flow to the staged one, or this fails.
    fn handle_up_flow(&mut self, now_ms: f64, link: u32, pattern: u32) -> u32 {
        let frame = spec::take_flow(PacedBy::Time).and_then(|flow| {
            let pattern = spec::pattern(&texts::take(pattern))?;
            Ok(ClientFrame::Flow { pattern, flow })
        });
        self.hear_up(now_ms, link, frame)
    }

    /// A member publishes what is in `slot`.
    #[expect(
        clippy::too_many_arguments,
        reason = "numbers cross faster than an object would"
    )]
    fn handle_up_publish(
        &mut self,
        now_ms: f64,
        link: u32,
        request: f64,
        topic: u32,
        slot: u32,
        end: u32,
        id: u32,
        restart: bool,
    ) -> u32 {
        let publish = PublishRequest {
            topic: topics::topic(topic),
            payload: Handle::new(slot, topic),
            end: end_of(end),
            id: texts::take_optional(id),
            restart,
        };
        let request = whole(request);
        self.hear_up(now_ms, link, Ok(ClientFrame::Publish { request, publish }))
    }

    /// A member is present with what is in `slot`, or this fails.
    fn handle_up_track(
        &mut self,
        now_ms: f64,
        link: u32,
        request: f64,
        topic: u32,
        key: u32,
        slot: u32,
    ) -> u32 {
        let meta = Handle::new(slot, topic);
        let frame = match Key::new(&texts::take(key)) {
            Ok(key) => Ok(ClientFrame::Track {
                request: whole(request),
                topic: topics::topic(topic),
                key,
                meta,
            }),
            Err(_) => Err(unsound("a tab is present by a key that is none")),
        };
        self.hear_up(now_ms, link, frame)
    }

    /// A member watches a topic, or no more.
    fn handle_up_watch(
        &mut self,
        now_ms: f64,
        link: u32,
        request: f64,
        topic: u32,
        is_wanted: bool,
    ) -> u32 {
        let topic = topics::topic(topic);
        let frame = if is_wanted {
            let request = whole(request);
            ClientFrame::Watch { request, topic }
        } else {
            ClientFrame::Unwatch { topic }
        };
        self.hear_up(now_ms, link, Ok(frame))
    }

    /// A member's frame that needs no more than this to tell: 0 hello, 1 unsubscribe, 2 untrack, 3 ping, 4 pong.
    fn handle_up(&mut self, now_ms: f64, link: u32, kind: u32, pattern: u32, request: f64) -> u32 {
        let frame = match kind {
            0 => Ok(ClientFrame::Hello {
                token: None,
                client: None,
                group: None,
            }),
            1 => spec::pattern(&texts::take(pattern))
                .map(|pattern| ClientFrame::Unsubscribe { pattern }),
            2 => Ok(ClientFrame::Untrack {
                request: whole(request),
            }),
            3 => Ok(ClientFrame::Ping),
            _ => Ok(ClientFrame::Pong),
        };
        self.hear_up(now_ms, link, frame)
    }
}

impl ClientHub {
    fn stage(&mut self, sender: Sender) {
        self.hub.sender = sender;
    }

    fn hear(&mut self, now_ms: f64, body: Body<Handle>) -> u32 {
        self.with(|hub| hub.handle_body(instant(now_ms), body))
    }

    fn hear_up(
        &mut self,
        now_ms: f64,
        link: u32,
        frame: Result<ClientFrame<Handle>, WireError>,
    ) -> u32 {
        number_or_failed(frame.map(|frame| self.hear(now_ms, Body::Up { link, frame })))
    }
}

fn unsound(message: &str) -> WireError {
    WireError::new(ErrorCode::BadFrame, message)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole numbers below 2^53, and a cast saturates"
)]
const fn whole(number: f64) -> u64 {
    number as u64
}
