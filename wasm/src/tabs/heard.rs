//! What a tab hears and what happens to it: the calls of a hub that shares its connection.

use alloc::string::String;
use alloc::vec::Vec;

use tidegate_core::client::{ClientConfig, ClosedReason, ConnectionState};
use tidegate_core::presence::Key;
use tidegate_core::protocol::{ClientFrame, ErrorCode, PublishRequest, WireError};
use tidegate_core::tabs::{Body, Page, TabId, Term};
use wasm_bindgen::prelude::wasm_bindgen;

use super::{AnyHub, Sender};
use crate::client::ClientHub;
use crate::clock::instant;
use crate::due::PacedBy;
use crate::errors::number_or_failed;
use crate::records::end_of;
use crate::slot::Handle;
use crate::{frames, spec, topics};

#[wasm_bindgen]
impl ClientHub {
    /// A hub that shares its connection with the browser's other tabs. `tab` is a whole number below 2^53 that no other
    /// tab has; `election` is 0 for a lock, 1 for claims, 2 for a tab with a worker of this generation, 3 for that
    /// worker. `group` is what the server is to know the tabs by, if this one is the first that leads.
    pub fn shared(
        seed: f64,
        token: Option<String>,
        name: Option<String>,
        tab: f64,
        election: u32,
        generation: f64,
        group: String,
    ) -> Self {
        let config = ClientConfig {
            token,
            name,
            ..ClientConfig::new(seed.to_bits())
        };
        Self::with_hub(AnyHub::shared(
            config,
            TabId(whole(tab)),
            election,
            whole(generation),
            group,
        ))
    }

    /// What becomes of the page: 0 visible, 1 hidden, 2 frozen, 3 leaving, 4 resumed.
    pub fn handle_page(&mut self, now_ms: f64, page: u32) -> u32 {
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
    pub fn handle_granted(&mut self, now_ms: f64, request: u32) -> u32 {
        self.with(|hub| hub.handle_granted(instant(now_ms), request))
    }

    /// The lock of this request was stolen, or could not be had.
    pub fn handle_lost(&mut self, now_ms: f64, request: u32) -> u32 {
        self.with(|hub| hub.handle_lost(instant(now_ms), request))
    }

    /// Who says what the next call tells, and of which leadership it knows. Frames that it hands down come by the calls
    /// for frames of the server, with a `link` of 2^32 - 1.
    pub fn stage_sender(&mut self, from: f64, counter: f64, leader: f64) {
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
    pub fn handle_said(&mut self, now_ms: f64, kind: u32, is_visible: bool, link: u32) -> u32 {
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

    /// Another tab, or the worker, leads; `group` is what the server knows the tabs by. `members` are pairs of a tab and its link; `code` and `message` tell
    /// why the server has refused the connection.
    #[expect(
        clippy::too_many_arguments,
        reason = "numbers cross faster than an object would"
    )]
    pub fn handle_lead(
        &mut self,
        now_ms: f64,
        group: &str,
        state: u32,
        attempt: u32,
        code: &str,
        message: &str,
        members: &[f64],
    ) -> u32 {
        let state = match state {
            0 => ConnectionState::Disconnected,
            1 => ConnectionState::Connecting { attempt },
            2 => ConnectionState::Connected,
            3 => ConnectionState::Stale,
            4 => ConnectionState::Closed(ClosedReason::ByUser),
            _ => ConnectionState::Closed(ClosedReason::Refused(WireError::new(
                frames::code(code),
                message,
            ))),
        };
        let (members, _) = members.as_chunks();
        let members = members
            .iter()
            .map(|&[tab, link]| (TabId(whole(tab)), whole_u32(link)));
        let members: Vec<(TabId, u32)> = members.collect();
        self.hear(
            now_ms,
            Body::Lead {
                group: group.into(),
                state,
                members,
            },
        )
    }

    /// A member subscribes as was staged, or this fails.
    pub fn handle_up_subscribe(
        &mut self,
        now_ms: f64,
        link: u32,
        pattern: &str,
        start: u32,
    ) -> u32 {
        let frame = spec::take(pattern, start).map(|wanted| ClientFrame::Subscribe {
            pattern: wanted.pattern,
            flow: wanted.flow,
            start: wanted.start,
        });
        self.hear_up(now_ms, link, frame)
    }

    /// A member changes a flow to the staged one, or this fails.
    pub fn handle_up_flow(&mut self, now_ms: f64, link: u32, pattern: &str) -> u32 {
        let frame = spec::take_flow(PacedBy::Time).and_then(|flow| {
            let pattern = spec::pattern(pattern)?;
            Ok(ClientFrame::Flow { pattern, flow })
        });
        self.hear_up(now_ms, link, frame)
    }

    /// A member publishes what is in `slot`.
    #[expect(
        clippy::too_many_arguments,
        reason = "numbers cross faster than an object would"
    )]
    pub fn handle_up_publish(
        &mut self,
        now_ms: f64,
        link: u32,
        request: f64,
        topic: u32,
        slot: u32,
        end: u32,
        id: Option<String>,
        restart: bool,
    ) -> u32 {
        let publish = PublishRequest {
            topic: topics::topic(topic),
            payload: Handle::new(slot, topic),
            end: end_of(end),
            id,
            restart,
        };
        let request = whole(request);
        self.hear_up(now_ms, link, Ok(ClientFrame::Publish { request, publish }))
    }

    /// A member is present with what is in `slot`, or this fails.
    pub fn handle_up_track(
        &mut self,
        now_ms: f64,
        link: u32,
        request: f64,
        topic: u32,
        key: &str,
        slot: u32,
    ) -> u32 {
        let meta = Handle::new(slot, topic);
        let frame = match Key::new(key) {
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
    pub fn handle_up_watch(
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
    pub fn handle_up(
        &mut self,
        now_ms: f64,
        link: u32,
        kind: u32,
        pattern: &str,
        request: f64,
    ) -> u32 {
        let frame = match kind {
            0 => Ok(ClientFrame::Hello {
                token: None,
                client: None,
                group: None,
            }),
            1 => spec::pattern(pattern).map(|pattern| ClientFrame::Unsubscribe { pattern }),
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

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "links are small whole numbers, and a cast saturates"
)]
const fn whole_u32(number: f64) -> u32 {
    number as u32
}
