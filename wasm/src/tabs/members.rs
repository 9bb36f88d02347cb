//! The calls about a leader's members, for a hub that may hold the connection.

use tidegate_core::presence::Key;
use tidegate_core::protocol::{ClientFrame, ErrorCode, PublishRequest, WireError};
use tidegate_core::tabs::Body;

use super::heard::whole;
use crate::client::{CLIENTS, ClientHub};
use crate::due::PacedBy;
use crate::errors::number_or_failed;
use crate::exports::exports;
use crate::records::stated_end_of;
use crate::slot::Handle;
use crate::{spec, texts, topics};

exports! { CLIENTS:
    client_handle_said_token = handle_said_token(now_ms: f64, request: u32, token: u32) -> u32;
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
    /// Another tab answers the request for a token with this number; an absent text means that there is none.
    fn handle_said_token(&mut self, now_ms: f64, request: u32, token: u32) -> u32 {
        let token = texts::take_optional(token);
        self.hear(now_ms, Body::Token { request, token })
    }

    /// A member subscribes as staged. Fails if the subscription is invalid.
    fn handle_up_subscribe(&mut self, now_ms: f64, link: u32, pattern: u32, start: u32) -> u32 {
        let wanted = spec::take(&texts::take(pattern), start);
        let frame = wanted.map(|wanted| ClientFrame::Subscribe(wanted.request));
        self.hear_up(now_ms, link, frame)
    }

    /// A member changes a flow to the staged one. Fails if it is invalid.
    fn handle_up_flow(&mut self, now_ms: f64, link: u32, pattern: u32) -> u32 {
        let frame = spec::take_flow(PacedBy::Time).and_then(|flow| {
            let pattern = spec::pattern(&texts::take(pattern))?;
            Ok(ClientFrame::Flow { pattern, flow })
        });
        self.hear_up(now_ms, link, frame)
    }

    /// A member publishes the payload in `slot`.
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
            end: stated_end_of(end),
            id: texts::take_optional(id),
            restart,
        };
        let request = whole(request);
        self.hear_up(now_ms, link, Ok(ClientFrame::Publish { request, publish }))
    }

    /// A member tracks a key, with the meta in `slot`. Fails if the key is invalid.
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

    /// A member starts or stops watching a topic.
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

    /// Handles a member's frame that has only these members: 0 hello, 1 unsubscribe, 2 untrack, 3 ping, 4 pong, 5 ack
    /// of what was staged, 6 forget.
    fn handle_up(&mut self, now_ms: f64, link: u32, kind: u32, pattern: u32, request: f64) -> u32 {
        let frame = match kind {
            0 => Ok(ClientFrame::Hello {
                token: None,
                client: None,
                group: None,
            }),
            1 => spec::pattern(&texts::take(pattern))
                .map(|pattern| ClientFrame::Unsubscribe { pattern }),
            5 => spec::pattern(&texts::take(pattern)).map(|pattern| ClientFrame::Ack {
                pattern,
                positions: spec::take_positions(),
            }),
            6 => {
                spec::pattern(&texts::take(pattern)).map(|pattern| ClientFrame::Forget { pattern })
            }
            2 => Ok(ClientFrame::Untrack {
                request: whole(request),
            }),
            3 => Ok(ClientFrame::Ping),
            _ => Ok(ClientFrame::Pong),
        };
        self.hear_up(now_ms, link, frame)
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
