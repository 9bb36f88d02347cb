//! A client's requests about subscriptions and publications, and their answers.

use alloc::collections::BTreeSet;
use alloc::string::ToString;

use super::{Session, SessionOutput, State, access};
use crate::flow::{Flow, FlowError};
use crate::hub::{PublishError, SubscribeError, Subscribed, SubscriptionId};
use crate::lifecycle::EndReason;
use crate::protocol::{ErrorCode, PublishRequest, ServerFrame, Start, SubscribeRequest, WireError};
use crate::publication::Position;
use crate::time::Instant;
use crate::topic::Pattern;

impl<P> Session<P> {
    pub(super) fn subscribe(&mut self, request: SubscribeRequest) {
        let pattern = &request.pattern;
        let error = if matches!(self.state, State::Draining { .. }) {
            WireError::new(
                ErrorCode::Draining,
                "the server is going away; connect again",
            )
        } else if self.is_withheld(pattern) {
            access::withheld()
        } else if request.durable.is_some() && request.slow.is_some() {
            SubscribeError::SlowDurable.to_wire()
        } else if !self.leave(pattern) && self.is_taken(pattern, request.durable.is_some()) {
            WireError::new(
                ErrorCode::AlreadySubscribed,
                "this connection has a subscription with this pattern; change it with a flow frame",
            )
        } else if !self.subscriptions.contains_key(pattern)
            && self.subscriptions.len() + self.pending.len() >= self.config.subscriptions_max
        {
            WireError::new(
                ErrorCode::TooManySubscriptions,
                alloc::format!(
                    "a connection may have {} subscriptions; use a pattern, or unsubscribe from some",
                    self.config.subscriptions_max
                ),
            )
        } else {
            self.pending.insert(pattern.clone());
            self.output.push_back(SessionOutput::Subscribe(request));
            return;
        };
        self.send(ServerFrame::Error(error.about_pattern(request.pattern)));
    }

    /// Returns whether the connection has a subscription that a new one can't replace. A durable one can: the existing
    /// subscription continues until it has started, so that nothing is missed in between.
    fn is_taken(&self, pattern: &Pattern, is_durable: bool) -> bool {
        let is_there = self.subscriptions.contains_key(pattern);
        self.pending.contains(pattern) || (is_there && !is_durable)
    }

    /// Changes the flow of a subscription, and of one that is about to replace it.
    pub(super) fn reflow(&mut self, pattern: Pattern, flow: Flow) {
        let subscription = self.subscriptions.get(&pattern).copied();
        let is_pending = self.pending.contains(&pattern);
        if is_pending {
            let pattern = pattern.clone();
            self.output
                .push_back(SessionOutput::FlowAhead { pattern, flow });
        }
        if let Some(subscription) = subscription {
            self.output.push_back(SessionOutput::Flow {
                subscription,
                pattern,
                flow,
            });
        } else if !is_pending {
            self.not_subscribed(pattern);
        }
    }

    /// Subscribes the client to its own rooms, without a request.
    pub(super) fn join(&mut self) {
        let rooms = self.grant().map_or(&[][..], |grant| &grant.joins).to_vec();
        for pattern in rooms {
            if self.subscriptions.contains_key(&pattern) || !self.pending.insert(pattern.clone()) {
                continue;
            }
            self.joined.push(pattern.clone());
            self.output
                .push_back(SessionOutput::Subscribe(SubscribeRequest {
                    start: Start::New,
                    durable: self.device.clone(),
                    ..SubscribeRequest::new(pattern, Flow::IMMEDIATE)
                }));
        }
    }

    /// Ends a subscription that the client got without asking, because it now subscribes itself, perhaps with other
    /// options. Returns whether there was one.
    fn leave(&mut self, pattern: &Pattern) -> bool {
        let Some(at) = self.joined.iter().position(|joined| joined == pattern) else {
            return false;
        };
        self.joined.swap_remove(at);
        if let Some(id) = self.subscriptions.remove(pattern) {
            self.output.push_back(SessionOutput::Unsubscribe(id));
        }
        if self.pending.remove(pattern) {
            self.output
                .push_back(SessionOutput::Withdraw(pattern.clone()));
        }
        true
    }

    /// A subscription was withdrawn. It may have been answered just before, if the client's frames were waiting for its
    /// token; then returns it, so that it can be ended.
    pub fn handle_withdrawn(&mut self, pattern: &Pattern) -> Option<SubscriptionId> {
        let answered = self.subscriptions.remove(pattern)?;
        let is_asked_again = |output: &SessionOutput<P>| matches!(output, SessionOutput::Subscribe(request) if request.pattern == *pattern);
        if self.output.iter().any(is_asked_again) {
            self.pending.insert(pattern.clone());
        }
        Some(answered)
    }

    pub(super) fn publish(&mut self, now: Instant, request: u64, publish: PublishRequest<P>) {
        let is_granted = self
            .grant()
            .is_some_and(|grant| grant.may_publish(&publish.topic));
        let rate = self.config.publish_rate;
        let error = if !is_granted {
            access::may_not_publish()
        } else if let Some(Err(wait)) = rate.map(|rate| self.published.take(now, rate)) {
            access::publishes_too_often(wait)
        } else {
            self.output
                .push_back(SessionOutput::Publish { request, publish });
            return;
        };
        self.send(ServerFrame::Error(error.about_request(request)));
    }

    pub(super) fn unsubscribe(&mut self, pattern: Pattern) {
        let subscription = self.subscriptions.remove(&pattern);
        let was_pending = self.pending.remove(&pattern);
        if let Some(id) = subscription {
            self.output.push_back(SessionOutput::Unsubscribe(id));
        }
        if was_pending {
            self.output
                .push_back(SessionOutput::Withdraw(pattern.clone()));
        }
        if was_pending || subscription.is_some() {
            self.send(ServerFrame::Unsubscribed { pattern });
        } else {
            self.not_subscribed(pattern);
        }
    }

    pub(super) fn not_subscribed(&mut self, pattern: Pattern) {
        let error = WireError::new(
            ErrorCode::NotSubscribed,
            "this connection has no subscription with this pattern; it may have ended",
        );
        self.send(ServerFrame::Error(error.about_pattern(pattern)));
    }

    /// The result of [`SessionOutput::Subscribe`].
    pub fn handle_subscribed(
        &mut self,
        pattern: Pattern,
        flow: Flow,
        result: Result<Subscribed, SubscribeError>,
    ) {
        self.pending.remove(&pattern);
        if self.pending.is_empty() {
            // Frees the memory of the set, because hardly any session has anything pending.
            self.pending = BTreeSet::new();
        }
        match result {
            Ok(subscribed) => {
                let earlier = self.subscriptions.remove(&pattern);
                self.subscriptions.insert(pattern.clone(), subscribed.id);
                let earlier = earlier.map(SessionOutput::Replaced);
                self.output.extend(earlier);
                self.send(ServerFrame::Subscribed {
                    pattern,
                    position: subscribed.position,
                    recovered: subscribed.recovered,
                    flow,
                });
            }
            Err(error) => {
                // The subscription that it would have replaced ends, too.
                let earlier = self.subscriptions.remove(&pattern);
                let earlier = earlier.map(SessionOutput::Unsubscribe);
                self.output.extend(earlier);
                self.send(ServerFrame::Error(error.to_wire().about_pattern(pattern)));
            }
        }
    }

    /// The result of [`SessionOutput::Publish`].
    pub fn handle_published(&mut self, request: u64, result: Result<Position, PublishError>) {
        self.send(match result {
            Ok(position) => ServerFrame::Published { request, position },
            Err(error) => ServerFrame::Error(error.to_wire().about_request(request)),
        });
    }

    /// [`SessionOutput::Flow`] was refused.
    pub fn handle_flow_refused(&mut self, pattern: Pattern, error: FlowError) {
        let error = WireError::new(ErrorCode::BadFlow, error.to_string());
        self.send(ServerFrame::Error(error.about_pattern(pattern)));
    }

    /// A subscription ended with its topic.
    pub fn handle_end(&mut self, pattern: Pattern, reason: EndReason) {
        self.subscriptions.remove(&pattern);
        self.send(ServerFrame::End { pattern, reason });
    }
}
