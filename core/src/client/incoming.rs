//! How a client handles frames from the server.

use core::time::Duration;

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::subscription::{News, Sight, Subscription};
use super::{Client, ClientEvent, ClosedReason, ConnectionState, Open, State, TokenSource};
use crate::payload::Payload;
use crate::protocol::{ClientFrame, ErrorCode, ServerFrame, WireError};
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

impl<P: Payload + Clone> Client<P> {
    /// A frame arrived over the transport of `link`.
    pub fn handle_frame(&mut self, now: Instant, link: u32, frame: ServerFrame<P>) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        if open.link != link {
            return;
        }
        open.heard = now;
        open.probed = None;
        match frame {
            ServerFrame::Welcome {
                heartbeat_ms,
                expires_in_ms,
                message_bytes_max,
                publish_rate: _,
            } => {
                let heartbeat = Duration::from_millis(heartbeat_ms);
                let is_first = open.heartbeat.replace(heartbeat).is_none();
                self.message_bytes_max = message_bytes_max;
                if is_first {
                    self.output
                        .push_back(ClientEvent::State(ConnectionState::Connected));
                    self.handle_welcomed();
                }
                self.handle_lasting(now, expires_in_ms);
            }
            ServerFrame::Subscribed {
                pattern,
                position,
                recovered,
                ..
            } => {
                if !self.leaving.contains_key(&pattern)
                    && let Some(subscription) = self.subscriptions.get_mut(&pattern)
                {
                    subscription.handle_subscribed(&pattern, position, recovered);
                    self.output.push_back(ClientEvent::Subscribed {
                        pattern: pattern.clone(),
                        position,
                        recovered,
                    });
                    self.handle_confirmed(&pattern);
                }
            }
            ServerFrame::Unsubscribed { pattern } => self.handle_unsubscribed(&pattern),
            ServerFrame::Pong => self.handle_pong(),
            ServerFrame::Publication { publication, via } => {
                self.handle_publication(publication, via)
            }
            ServerFrame::Delta {
                publication,
                base,
                via,
            } => self.handle_delta(&publication, base, via),
            ServerFrame::Batch { items, via } => self.handle_batch(items, via),
            ServerFrame::Reset {
                topic,
                position,
                via,
            } => self.handle_reset(topic, position, via),
            ServerFrame::Lagged { pattern, missed } => {
                if let Some(subscription) = self.subscriptions.get_mut(&pattern)
                    && subscription.is_live()
                {
                    subscription.handle_lagged();
                    self.output
                        .push_back(ClientEvent::Lagged { pattern, missed });
                }
            }
            ServerFrame::End { pattern, reason } => {
                if self.is_live(&pattern)
                    && !self.goes_on_to_cursor(&pattern)
                    && !self.asks_for_end(&pattern)
                {
                    let ended = self.subscriptions.remove(&pattern);
                    self.end_acks(now, &pattern, ended.and_then(|ended| ended.last(&pattern)));
                    self.output
                        .push_back(ClientEvent::Ended { pattern, reason });
                }
            }
            ServerFrame::Published { request, position } => {
                if self.requests.remove(request) {
                    let result = Ok(position);
                    self.output
                        .push_back(ClientEvent::Published { request, result });
                    self.send_publishes();
                }
            }
            ServerFrame::PresenceState(state) => self.handle_presence_state(&state),
            ServerFrame::PresenceDiff(diff) => self.handle_presence_diff(&diff),
            ServerFrame::Error(error) => self.handle_error(now, error),
            ServerFrame::Ping => self.send(ClientFrame::Pong),
            ServerFrame::Drain { within_ms } => self.handle_drain(now, within_ms),
            ServerFrame::Stale => self.handle_stale(true),
            ServerFrame::Live => self.handle_stale(false),
        }
    }

    /// The server has lost its link to the backend, or has it back.
    fn handle_stale(&mut self, is_stale: bool) {
        if let State::Open(open) = &mut self.state {
            open.is_stale = is_stale;
        }
        let state = if is_stale {
            ConnectionState::Stale
        } else {
            self.repeat_overdue();
            ConnectionState::Connected
        };
        self.output.push_back(ClientEvent::State(state));
    }

    /// The server has sent the first welcome on this connection: sends what had to wait for it. Publishes and presences
    /// always do, because the welcome says how long they may be.
    fn handle_welcomed(&mut self) {
        if let State::Open(open) = &mut self.state
            && core::mem::take(&mut open.awaits_welcome)
        {
            self.send_subscriptions();
        }
        self.send_presences();
        self.send_publishes();
    }

    /// Notes that an unsubscribe is being sent, which the server will answer.
    pub(super) fn leave(&mut self, pattern: &Pattern) {
        *self.leaving.or_insert_with(pattern.clone(), || 0) += 1;
    }

    fn handle_unsubscribed(&mut self, pattern: &Pattern) {
        if let Some(unanswered) = self.leaving.get_mut(pattern) {
            *unanswered -= 1;
            if *unanswered == 0 {
                self.leaving.remove(pattern);
            }
        }
    }

    /// Returns whether the server has confirmed a subscription on this connection.
    pub(crate) fn is_live(&self, pattern: &Pattern) -> bool {
        self.subscriptions
            .get(pattern)
            .is_some_and(Subscription::is_live)
    }

    fn handle_publication(&mut self, publication: Arc<Publication<P>>, via: Option<Pattern>) {
        let pattern = via.unwrap_or_else(|| Pattern::from(publication.topic.clone()));
        if self.accept(&pattern, &publication) {
            self.output.push_back(ClientEvent::Publication {
                pattern,
                publication,
            });
        }
    }

    /// Applies a delta to its base, and hands on the complete value.
    fn handle_delta(&mut self, delta: &Publication<P>, base: u64, via: Option<Pattern>) {
        let pattern = via.unwrap_or_else(|| Pattern::from(delta.topic.clone()));
        let known = self.subscriptions.get_mut(&pattern);
        let Some(subscription) = known.filter(|known| known.is_live()) else {
            return;
        };
        let Some(publication) = subscription.restore(delta, base) else {
            return self.resume(&pattern);
        };
        let publication = Arc::new(publication);
        if self.accept(&pattern, &publication) {
            self.output.push_back(ClientEvent::Publication {
                pattern,
                publication,
            });
        }
    }

    /// The topic of a subscription has ended. If its terminal publication wasn't seen, requests it again, and returns
    /// true. That happens if only the position of the end was known when the connection was lost, or if the backend has
    /// lost what was seen there.
    fn asks_for_end(&mut self, pattern: &Pattern) -> bool {
        let (Some(topic), Some(subscription)) =
            (pattern.exact(), self.subscriptions.get_mut(pattern))
        else {
            return false;
        };
        let Some((position, sight)) = subscription.forget_other_end(&topic) else {
            return false;
        };
        let request = subscription.request(pattern);
        if sight == Sight::Value {
            self.tell_of_loss(pattern, topic, position);
        }
        self.send(request);
        true
    }

    /// Subscribes again, after what was seen. The publications that follow start with complete values.
    pub(super) fn resume(&mut self, pattern: &Pattern) {
        if let Some(subscription) = self.subscriptions.get_mut(pattern) {
            let request = subscription.request(pattern);
            self.replace(pattern, request);
        }
    }

    /// Ends a subscription at the server, and requests it anew.
    pub(super) fn replace(&mut self, pattern: &Pattern, request: ClientFrame<P>) {
        self.leave(pattern);
        self.send(ClientFrame::Unsubscribe {
            pattern: pattern.clone(),
        });
        self.send(request);
    }

    fn handle_batch(&mut self, mut items: Vec<Arc<Publication<P>>>, via: Option<Pattern>) {
        let Some(first) = items.first() else { return };
        let pattern = via.unwrap_or_else(|| Pattern::from(first.topic.clone()));
        items.retain(|item| self.accept(&pattern, item));
        if !items.is_empty() {
            self.output.push_back(ClientEvent::Batch { pattern, items });
        }
    }

    /// Returns whether a publication is new to its subscription. If it is of another epoch without a reset before it,
    /// which can happen on a shared connection, a reset is emitted here.
    fn accept(&mut self, pattern: &Pattern, publication: &Arc<Publication<P>>) -> bool {
        let Some(subscription) = self.subscriptions.get_mut(pattern) else {
            return false;
        };
        let news = subscription.accept(publication);
        if news == News::Restart {
            self.tell_of_loss(pattern, publication.topic.clone(), publication.position);
        }
        if let News::Again { is_latest } = news {
            self.output.push_back(ClientEvent::Repeat {
                pattern: pattern.clone(),
                publication: Arc::clone(publication),
                is_latest,
            });
        }
        matches!(news, News::Next | News::Restart)
    }

    /// Emits a reset: the publication at position `next` doesn't continue what was known of the topic.
    pub(super) fn tell_of_loss(&mut self, pattern: &Pattern, topic: Topic, next: Position) {
        self.output.push_back(ClientEvent::Reset {
            pattern: pattern.clone(),
            topic,
            position: Position {
                offset: next.offset.saturating_sub(1),
                ..next
            },
        });
    }

    /// The host has handed on the publications of a subscription up to this one by licence. `heard` is when one of them
    /// arrived, or a time before that at which something did.
    pub(crate) fn handle_handed(
        &mut self,
        heard: Instant,
        pattern: &Pattern,
        publication: &Arc<Publication<P>>,
    ) {
        if let State::Open(open) = &mut self.state {
            open.heard = open.heard.max(heard);
            open.probed = None;
        }
        if let Some(subscription) = self.subscriptions.get_mut(pattern) {
            subscription.accept(publication);
        }
    }

    fn handle_reset(&mut self, topic: Topic, position: Position, via: Option<Pattern>) {
        let pattern = via.unwrap_or_else(|| Pattern::from(topic.clone()));
        let subscription = self.subscriptions.get_mut(&pattern);
        let Some(subscription) = subscription.filter(|known| known.is_live()) else {
            return;
        };
        if subscription.is_lost_to_device(&topic, position) {
            self.output.push_back(ClientEvent::RepeatReset {
                pattern,
                topic,
                position,
            });
        } else if subscription.has_gone_too_far(&topic) {
            self.ask_again(&pattern);
        } else if subscription.handle_reset(&topic, position) {
            self.output.push_back(ClientEvent::Reset {
                pattern,
                topic,
                position,
            });
        }
    }

    fn handle_error(&mut self, now: Instant, error: WireError) {
        if error.fatal {
            return self.handle_fatal(now, error);
        }
        if error.code == ErrorCode::Draining {
            // The request crossed the server's `drain` on the way; send it to the next server.
            if let State::Open(Open { link, .. }) = self.state {
                self.abandon(now, link);
            }
            return;
        }
        if let Some(request) = error.request
            && self.requests.remove(request)
        {
            let result = Err(error);
            self.output
                .push_back(ClientEvent::Published { request, result });
            self.send_publishes();
            return;
        }
        if let Some(request) = error.request {
            return self.handle_presence_error(request, error);
        }
        let Some(pattern) = error.pattern.clone() else {
            return self.tokens.handle_refused(now);
        };
        if error.code == ErrorCode::NotSubscribed {
            // Answers an unsubscribe, or a change of flow, that crossed an `end` on the way.
            self.handle_unsubscribed(&pattern);
        } else if !self.leaving.contains_key(&pattern)
            && self.subscriptions.remove(&pattern).is_some()
        {
            self.output
                .push_back(ClientEvent::Refused { pattern, error });
        }
    }

    fn handle_fatal(&mut self, now: Instant, error: WireError) {
        match error.code {
            ErrorCode::Timeout
            | ErrorCode::TooManyConnections
            | ErrorCode::TooManyRequests
            | ErrorCode::SlowConsumer
            | ErrorCode::Draining
            | ErrorCode::Unavailable
            | ErrorCode::Internal => self.abandon_open(now),
            ErrorCode::Unauthorized | ErrorCode::TokenExpired if self.takes_another_chance() => {
                self.abandon_open(now);
            }
            // A client that can get another token may try again; that token decides whether it is let in.
            ErrorCode::Disconnected if self.config.token == TokenSource::Asked => {
                self.abandon_open(now);
            }
            ErrorCode::BadFrame
            | ErrorCode::BadTopic
            | ErrorCode::BadFlow
            | ErrorCode::AlreadySubscribed
            | ErrorCode::NotSubscribed
            | ErrorCode::TooManySubscriptions
            | ErrorCode::TooManyTopics
            | ErrorCode::TooManyPresences
            | ErrorCode::TooLarge
            | ErrorCode::TopicEnded
            | ErrorCode::Unauthorized
            | ErrorCode::TokenExpired
            | ErrorCode::Forbidden
            | ErrorCode::Superseded
            | ErrorCode::Disconnected
            | ErrorCode::ConnectionLost
            | ErrorCode::Refused => self.close(ClosedReason::Refused(error)),
        }
    }

    fn abandon_open(&mut self, now: Instant) {
        if let State::Open(Open { link, .. }) = self.state {
            self.abandon(now, link);
        }
    }
}
