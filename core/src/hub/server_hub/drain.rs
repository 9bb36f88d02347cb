//! Carries out what sessions request, and passes what the hub emits to connections.

use super::connection::Local;
use super::{Connection, ConnectionId, Downlink, ServerHub, ServerOutput};
use crate::hub::owed::Owed;
use crate::hub::{Due, SubscriptionId};
use crate::lifecycle::EndReason;
use crate::payload::Payload;
use crate::protocol::ServerFrame;
use crate::session::{CloseReason, Session, SessionOutput};
use crate::time::Instant;
use crate::topic::Pattern;

impl<P: Payload + Clone> ServerHub<P> {
    /// Carries out a session's requests, in order, until it has no more.
    pub(super) fn drain_session(&mut self, now: Instant, id: ConnectionId) {
        while let Some(output) = self.session(id).and_then(Session::poll_output) {
            match output {
                SessionOutput::Send(frame) => self.send(id.index, frame),
                SessionOutput::Authenticate(token) => self.authentication.push(id, token),
                SessionOutput::Subscribe(mut request) => {
                    request.flow = self.grant_flow(&request.pattern, request.flow);
                    let result = match (request.flow.validate(), request.durable.clone()) {
                        (Err(error), _) => Err(error.into()),
                        (Ok(()), Some(name)) => {
                            self.begin_durable(now, id, request, name);
                            continue;
                        }
                        (Ok(()), None) if !self.prepare(now, id, &request) => continue,
                        (Ok(()), None) => self.hub.handle_subscribe(now, id.index, &request),
                    };
                    self.hub.note_released(request.pattern.clone());
                    self.set_slow(id, &result, request.slow);
                    if let Some(session) = self.session(id) {
                        session.handle_subscribed(request.pattern, request.flow, result);
                    }
                }
                SessionOutput::Withdraw(pattern) => {
                    self.withdraw(id, &pattern);
                    let answered = self
                        .session(id)
                        .and_then(|it| it.handle_withdrawn(&pattern));
                    if let Some(subscription) = answered {
                        self.end_asked(now, id, subscription);
                    }
                }
                SessionOutput::FlowAhead { pattern, flow } => {
                    let flow = self.grant_flow(&pattern, flow);
                    if let Err(error) = self.set_flow_ahead(id, &pattern, flow)
                        && let Some(session) = self.session(id)
                    {
                        session.handle_flow_refused(pattern, error);
                    }
                }
                SessionOutput::Ack { pattern, positions } => {
                    self.acknowledge(now, id, &pattern, &positions);
                }
                SessionOutput::Forget(pattern) => self.forget_durable(id, &pattern),
                SessionOutput::Unsubscribe(subscription) => {
                    self.end_asked(now, id, subscription);
                }
                SessionOutput::Replaced(subscription) => {
                    self.hub.handle_unsubscribe(subscription);
                    let outbox = &mut self.connections[id.index as usize].outbox;
                    outbox.set_slow(subscription, None);
                }
                SessionOutput::Flow {
                    subscription,
                    pattern,
                    flow,
                } => {
                    let flow = self.grant_flow(&pattern, flow);
                    match self.hub.handle_flow(now, subscription, flow) {
                        Ok(()) => self.set_delta(id, &pattern, flow.delta),
                        Err(error) => {
                            if let Some(session) = self.session(id) {
                                session.handle_flow_refused(pattern, error);
                            }
                        }
                    }
                }
                SessionOutput::Publish { request, publish } => {
                    let Some(publish) = self.publish_upstream(now, id, request, publish) else {
                        continue;
                    };
                    let result = self.hub.handle_publish(now, publish);
                    if let Some(session) = self.session(id) {
                        session.handle_published(request, result);
                    }
                }
                SessionOutput::Track {
                    request,
                    topic,
                    key,
                    meta,
                } => {
                    let tracked = self.track(now, id, request, topic, key, meta);
                    if let Err(error) = tracked
                        && let Some(session) = self.session(id)
                    {
                        session.handle_track_refused(request, &error);
                    }
                }
                SessionOutput::Untrack { request } => self.untrack(now, id, request),
                SessionOutput::ReviewTracks => self.review_tracks(now, id),
                SessionOutput::Watch(topic) => self.watch(now, id, topic),
                SessionOutput::Unwatch(topic) => self.presences.unwatch(id, &topic),
                SessionOutput::Lead(shared_by, term) => self.lead(now, id, shared_by, term),
                SessionOutput::Close(reason) => {
                    self.groups.leave(id);
                    self.leave_user(id);
                    self.unsubscribe_all(id);
                    self.leave_all(now, id);
                    self.output.push_back(ServerOutput::Close(id, reason));
                }
            }
        }
    }

    /// Ends a subscription at its client's request.
    fn end_asked(&mut self, now: Instant, id: ConnectionId, subscription: SubscriptionId) {
        if let Some(pattern) = self.hub.pattern_of(subscription).cloned() {
            self.durables.keeper.handle_release(now, id, &pattern);
        }
        self.hub.handle_unsubscribe(subscription);
        let outbox = &mut self.connections[id.index as usize].outbox;
        outbox.discard(subscription);
        outbox.set_slow(subscription, None);
        outbox.settle_tally(&mut self.tally);
    }

    /// Puts what the hub emits into outboxes, until neither the hub nor its uplink has any output left.
    pub(super) fn drain_hub(&mut self, now: Instant) {
        loop {
            self.drain_due(now);
            self.drain_presences(now);
            if !self.drain_upstream(now) && !self.drain_durables(now) {
                return;
            }
        }
    }

    pub(super) fn drain_due(&mut self, now: Instant) {
        while let Some(owed) = self.hub.poll_owed() {
            self.take_owed(now, owed);
        }
    }

    pub(super) fn take_owed(&mut self, now: Instant, owed: Owed<P>) {
        match owed {
            Owed::Run { downlink, run } => {
                self.connections[downlink as usize].outbox.push_run(run);
                self.note_pushed(now, downlink);
            }
            Owed::Due(due) => self.take_due(now, due),
        }
    }

    pub(super) fn note_pushed(&mut self, now: Instant, downlink: u32) {
        let is_behind = self.connections[downlink as usize].outbox.is_behind();
        self.mark_ready(downlink);
        if is_behind {
            self.note_behind(now, downlink);
        }
    }

    fn take_due(&mut self, now: Instant, due: Due<P>) {
        match due {
            Due::Deliver { downlink, delivery } => {
                self.connections[downlink as usize]
                    .outbox
                    .push_delivery(delivery);
                self.note_pushed(now, downlink);
            }
            Due::Reset {
                downlink,
                topic,
                position,
                via,
                ..
            } => {
                self.resets += 1;
                self.send(
                    downlink,
                    ServerFrame::Reset {
                        topic,
                        position,
                        via,
                    },
                );
            }
            Due::End {
                downlink,
                subscription,
                pattern,
                reason,
            } => self.end(now, downlink, subscription, pattern, reason),
            Due::Lagged {
                downlink,
                pattern,
                missed,
                ..
            } => self.send(downlink, ServerFrame::Lagged { pattern, missed }),
            Due::Refused {
                downlink, error, ..
            } => self.send(downlink, ServerFrame::Error(error)),
        }
    }

    fn end(
        &mut self,
        now: Instant,
        downlink: u32,
        subscription: SubscriptionId,
        pattern: Pattern,
        reason: EndReason,
    ) {
        let id = self.id_of(downlink);
        let connection = &mut self.connections[downlink as usize];
        connection.outbox.set_slow(subscription, None);
        match &mut connection.downlink {
            Downlink::Session(session) => {
                session.handle_end(pattern, reason);
                self.drain_session(now, id);
            }
            Downlink::Local(local) => {
                local.subscriptions.retain(|known| *known != subscription);
                let is_last = !local.is_wanted() && !local.is_ending;
                local.is_ending |= is_last;
                self.send(downlink, ServerFrame::End { pattern, reason });
                if is_last {
                    self.output
                        .push_back(ServerOutput::Close(id, CloseReason::Ended));
                }
            }
        }
    }

    pub(super) fn close_if_overfull(&mut self, now: Instant, downlink: u32) {
        if !self.connections[downlink as usize].outbox.is_overfull() {
            return;
        }
        let id = self.id_of(downlink);
        match &mut self.connections[downlink as usize] {
            Connection {
                downlink: Downlink::Session(session),
                ..
            } => {
                session.handle_overfull();
                self.drain_session(now, id);
            }
            // A local connection keeps what must not be dropped, however much that is, unless its policy is to be
            // disconnected.
            Connection {
                downlink: Downlink::Local(Local { is_ending, .. }),
                outbox,
                ..
            } if outbox.is_forfeit() && !*is_ending => {
                *is_ending = true;
                self.output
                    .push_back(ServerOutput::Close(id, CloseReason::SlowConsumer));
            }
            Connection { .. } => {}
        }
    }
}
