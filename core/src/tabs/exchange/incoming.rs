//! Events of the connection, and which members they concern.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::route::via;
use super::{Exchange, ExchangeOutput, MEMBER_HEARTBEAT_MS};
use crate::client::{ClientEvent, ClosedReason, ConnectionState};
use crate::joining::Novelty;
use crate::payload::Payload;
use crate::protocol::{ServerFrame, WireError};
use crate::publication::{Position, Publication};
use crate::tabs::message::TabId;
use crate::topic::Pattern;

impl<P: Payload + Clone> Exchange<P> {
    pub(super) fn handle_event(&mut self, event: ClientEvent<P>) {
        match event {
            ClientEvent::AskToken { request } => {
                self.output.push_back(ExchangeOutput::AskToken { request });
            }
            ClientEvent::Connect { link } => {
                self.output.push_back(ExchangeOutput::Connect { link });
            }
            ClientEvent::Disconnect { link } => {
                self.output.push_back(ExchangeOutput::Disconnect { link });
            }
            ClientEvent::Send(frame) => self.output.push_back(ExchangeOutput::Send(frame)),
            ClientEvent::State(state) => {
                if state == ConnectionState::Disconnected {
                    self.lose_pings();
                }
                if let ConnectionState::Closed(ClosedReason::Refused(error)) = &state {
                    self.all(ServerFrame::Error(error.clone().fatal()));
                }
                match state {
                    ConnectionState::Stale => self.report_stale(true),
                    ConnectionState::Connected => self.report_stale(false),
                    ConnectionState::Connecting { .. }
                    | ConnectionState::Disconnected
                    | ConnectionState::Closed(_) => {}
                }
                self.output.push_back(ExchangeOutput::State(state));
            }
            ClientEvent::Subscribed {
                pattern,
                position,
                recovered,
            } => self.handle_subscribed(&pattern, position, recovered),
            ClientEvent::Publication {
                pattern,
                publication,
            } => self.handle_publication(&pattern, publication),
            ClientEvent::Batch { pattern, items } => self.handle_batch(&pattern, items),
            ClientEvent::Rewinding { pattern, to_cursor } => {
                self.handle_rewinding(&pattern, to_cursor);
            }
            ClientEvent::RepeatReset {
                pattern,
                topic,
                position,
            } => self.handle_repeat_reset(&pattern, &topic, position),
            ClientEvent::Repeat {
                pattern,
                publication,
                is_latest,
            } => self.hand_to_joining(&pattern, &publication, Novelty::repeated(is_latest)),
            ClientEvent::Rewound { pattern } => self.handle_rewound(&pattern),
            ClientEvent::Answered { ping } => self.handle_answered(ping),
            ClientEvent::Reset {
                pattern,
                topic,
                position,
            } => {
                if let Some(route) = self.routes.get_mut(&pattern) {
                    route.handle_reset(&topic, position);
                    route.note_reset(&topic, position);
                    let via = via(&pattern);
                    self.all(ServerFrame::Reset {
                        topic,
                        position,
                        via,
                    });
                }
            }
            ClientEvent::Lagged { pattern, missed } => {
                self.all(ServerFrame::Lagged { pattern, missed });
            }
            ClientEvent::Ended { pattern, reason } => {
                self.handle_rewinding(&pattern, false);
                self.handle_rewinding(&pattern, true);
                self.routes.remove(&pattern);
                self.all(ServerFrame::End { pattern, reason });
            }
            ClientEvent::Refused { pattern, error } => self.handle_refused(&pattern, &error),
            ClientEvent::Presence(event) => self.handle_presence(event),
            ClientEvent::Published { request, result } => self.handle_published(request, result),
        }
    }

    /// Answers a member's `hello`.
    pub(super) fn welcome(&mut self, member: TabId) {
        let welcome = ServerFrame::Welcome {
            heartbeat_ms: MEMBER_HEARTBEAT_MS,
            expires_in_ms: None,
            message_bytes_max: None,
            publish_rate: None,
        };
        self.one(member, welcome);
        if self.is_stale {
            self.one(member, ServerFrame::Stale);
        }
    }

    /// Passes on whether the link to the backend is up, because it affects what an answered ping means: see
    /// [`ServerFrame::Stale`]. While there is no connection, the last known state stands.
    fn report_stale(&mut self, is_stale: bool) {
        if core::mem::replace(&mut self.is_stale, is_stale) != is_stale {
            self.all(if is_stale {
                ServerFrame::Stale
            } else {
                ServerFrame::Live
            });
        }
    }

    fn handle_publication(&mut self, pattern: &Pattern, publication: Arc<Publication<P>>) {
        self.hand_to_joining(pattern, &publication, Novelty::New);
        if let Some(route) = self.routes.get_mut(pattern) {
            route.handle_publication(&publication);
            let via = via(pattern);
            self.all(ServerFrame::Publication { publication, via });
        }
    }

    fn handle_batch(&mut self, pattern: &Pattern, items: Vec<Arc<Publication<P>>>) {
        if let Some(route) = self.routes.get_mut(pattern) {
            items
                .iter()
                .for_each(|publication| route.handle_publication(publication));
            let via = via(pattern);
            self.all(ServerFrame::Batch { items, via });
        }
    }

    fn handle_refused(&mut self, pattern: &Pattern, error: &WireError) {
        if let Some(route) = self.routes.remove(pattern) {
            for member in route.seats.into_keys() {
                self.fail(member, error.clone().about_pattern(pattern.clone()));
            }
        }
    }

    fn handle_published(&mut self, request: u64, result: Result<Position, WireError>) {
        let Some(publish) = self.requests.remove(&request) else {
            return;
        };
        if self.members.get(&publish.member) != Some(&publish.link) {
            return;
        }
        let request = publish.request;
        match result {
            Ok(position) => self.one(publish.member, ServerFrame::Published { request, position }),
            Err(error) => self.fail(publish.member, error.about_request(request)),
        }
    }
}
