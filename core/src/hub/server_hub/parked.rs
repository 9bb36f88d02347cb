//! Subscriptions that wait until the hub is in sync with their topics.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::connection::Downlink;
use super::upstream::{ServerAnswer, Upstream};
use super::{ConnectionId, ServerHub};
use crate::flow::{Flow, FlowError};
use crate::hub::mirror::Progress;
use crate::hub::start::OnLoss;
use crate::payload::Payload;
use crate::protocol::SubscribeRequest;
use crate::time::Instant;
use crate::topic::Pattern;

/// A waiting subscription.
#[derive(Debug)]
pub(super) struct Parked {
    connection: ConnectionId,
    pub(super) request: SubscribeRequest,
    /// The number of losses of the link when its history was last requested.
    pub(super) read_at: Option<u64>,
}

impl Parked {
    pub(super) const fn new(connection: ConnectionId, request: SubscribeRequest) -> Self {
        Self {
            connection,
            request,
            read_at: None,
        }
    }
}

impl<P> Upstream<P> {
    pub(super) fn parked(&mut self, pattern: &Pattern) -> &mut BTreeMap<Pattern, Vec<Parked>> {
        if pattern.is_exact() {
            &mut self.parked_exact
        } else {
            &mut self.parked_wild
        }
    }
}

impl<P: Payload + Clone> ServerHub<P> {
    /// Returns whether a subscription can start now; if not, parks it until it can.
    pub(super) fn prepare(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        request: &SubscribeRequest,
    ) -> bool {
        let Some(upstream) = &mut self.upstream else {
            return true;
        };
        let SubscribeRequest { pattern, start, .. } = request;
        let mut read_at = None;
        let is_ready = upstream
            .mirror
            .prepare(now, &self.hub, pattern, start, &mut read_at);
        if !is_ready {
            let parked = upstream.parked(pattern).entry(pattern.clone());
            parked.or_default().push(Parked {
                connection,
                request: request.clone(),
                read_at,
            });
        }
        is_ready
    }

    pub(super) fn withdraw(&mut self, connection: ConnectionId, pattern: &Pattern) {
        if self.durables.withdraw(connection, pattern) {
            self.hub.note_released(pattern.clone());
        }
        let Some(upstream) = &mut self.upstream else {
            return;
        };
        let Some(parked) = upstream.parked(pattern).get_mut(pattern) else {
            return;
        };
        parked.retain(|parked| parked.connection != connection);
        if parked.is_empty() {
            upstream.parked(pattern).remove(pattern);
            self.hub.note_released(pattern.clone());
        }
    }

    pub(super) fn withdraw_all(&mut self, connection: ConnectionId) {
        let pending: Vec<Pattern> = match &self.connections[connection.index as usize].downlink {
            Downlink::Session(session) => session.pending().cloned().collect(),
            Downlink::Local(local) => local.pending.clone(),
        };
        for pattern in pending {
            self.withdraw(connection, &pattern);
        }
    }

    pub(super) fn set_flow_ahead(
        &mut self,
        connection: ConnectionId,
        pattern: &Pattern,
        flow: Flow,
    ) -> Result<(), FlowError> {
        flow.validate()?;
        self.durables.set_flow(connection, pattern, flow);
        let upstream = self.upstream.as_mut();
        let parked = upstream.and_then(|upstream| upstream.parked(pattern).get_mut(pattern));
        for parked in parked.into_iter().flatten() {
            if parked.connection == connection {
                parked.request.flow = flow;
            }
        }
        Ok(())
    }

    /// Starts the subscriptions that waited for what has come into sync.
    pub(super) fn start_parked(&mut self, now: Instant, progress: &Progress) {
        let Some(upstream) = &self.upstream else {
            return;
        };
        let patterns: Vec<Pattern> = match progress {
            Progress::Pattern(pattern) => Vec::from([pattern.clone()]),
            Progress::Topic(topic) => upstream
                .parked_wild
                .keys()
                .filter(|pattern| pattern.matches(topic))
                .cloned()
                .chain([Pattern::from(topic.clone())])
                .collect(),
        };
        for pattern in patterns {
            self.start_parked_with(now, &pattern);
        }
    }

    fn start_parked_with(&mut self, now: Instant, pattern: &Pattern) {
        let Some(upstream) = &mut self.upstream else {
            return;
        };
        for mut parked in upstream.parked(pattern).remove(pattern).unwrap_or_default() {
            let Some(upstream) = &mut self.upstream else {
                return;
            };
            let is_ready = upstream.mirror.prepare(
                now,
                &self.hub,
                pattern,
                &parked.request.start,
                &mut parked.read_at,
            );
            if is_ready {
                self.start_late(now, parked);
            } else {
                let waiting = upstream.parked(pattern).entry(pattern.clone());
                waiting.or_default().push(parked);
            }
        }
        self.hub.note_released(pattern.clone());
    }

    fn start_late(&mut self, now: Instant, parked: Parked) {
        let id = parked.connection;
        if self.find(id).is_none() {
            return;
        }
        if self.durables.is_waiting(id, &parked.request.pattern) {
            return self.go_on_durable(now, id, parked);
        }
        let request = parked.request;
        if self.session(id).is_some() {
            self.start_session(now, id, request, OnLoss::Latest);
            return;
        }
        if let Downlink::Local(local) = &mut self.connections[id.index as usize].downlink {
            local.pending.retain(|known| *known != request.pattern);
        }
        let result = self.start_local(now, id, &request, OnLoss::Latest);
        if let Some(upstream) = &mut self.upstream {
            upstream.answers.push_back(ServerAnswer::Subscribed {
                connection: id,
                pattern: request.pattern,
                result,
            });
        }
    }

    pub(super) fn start_session(
        &mut self,
        now: Instant,
        id: ConnectionId,
        request: SubscribeRequest,
        on_loss: OnLoss,
    ) {
        // If this replaces a subscription, what is still due to that one must be sent first.
        self.drain_due(now);
        let outbox = &mut self.connections[id.index as usize].outbox;
        outbox.begin_start();
        let result = self.hub.subscribe(now, id.index, &request, on_loss);
        self.set_slow(id, &result, request.slow);
        if let Some(session) = self.session(id) {
            session.handle_subscribed(request.pattern, request.flow, result);
        }
        self.drain_session(now, id);
        self.drain_due(now);
        if self.find(id).is_some() {
            self.end_start(now, id);
            self.arm(id);
        }
    }
}
