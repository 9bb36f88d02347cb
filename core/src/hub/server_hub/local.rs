//! Connections within the process, whose owners subscribe by calls.

use alloc::boxed::Box;

use super::connection::{Downlink, Local, Room};
use super::{ConnectionId, ServerHub};
use crate::flow::{Flow, FlowError};
use crate::hub::start::OnLoss;
use crate::hub::{SubscribeError, Subscribed, SubscriptionId};
use crate::payload::Payload;
use crate::protocol::{ServerFrame, Start, SubscribeRequest};
use crate::time::Instant;
use crate::topic::Pattern;

impl<P: Payload + Clone> ServerHub<P> {
    /// Opens a connection for a subscriber within the process; at most `outbox_bytes_max` bytes wait for it.
    pub fn handle_open_local(&mut self, outbox_bytes_max: usize) -> ConnectionId {
        let id = self.add(Downlink::Local(Local::default()), outbox_bytes_max);
        if self.is_stale() {
            self.send(id.index, ServerFrame::Stale);
        }
        id
    }

    /// Subscribes a local connection. The frames of the answer are queued for it. Returns `None` if the connection has
    /// gone, or if the subscription has to wait for the backend: [`ServerHub::poll_answer`] then returns the result.
    ///
    /// A durable subscription belongs to a device that can't acknowledge, so the positions in its start count as
    /// processed.
    ///
    /// # Errors
    /// As [`SubscribeError`] says. Nothing was subscribed then.
    pub fn handle_subscribe(
        &mut self,
        now: Instant,
        id: ConnectionId,
        request: SubscribeRequest,
    ) -> Result<Option<Subscribed>, SubscribeError> {
        if self.local(id).is_none() {
            return Ok(None);
        }
        request.flow.validate()?;
        if request.durable.is_some() && request.slow.is_some() {
            return Err(SubscribeError::SlowDurable);
        }
        self.settle();
        let pattern = request.pattern.clone();
        if let Some(name) = request.durable.clone() {
            self.await_start(id, &pattern);
            self.begin_durable(now, id, request, name);
            self.drain_hub(now);
            return self.durables.take_answer(id, &pattern).transpose();
        }
        if !self.prepare(now, id, &request) {
            self.await_start(id, &pattern);
            return Ok(None);
        }
        let started = self.start_local(now, id, &request, OnLoss::Latest);
        self.hub.note_released(pattern);
        self.drain_hub(now);
        started.map(Some)
    }

    fn await_start(&mut self, id: ConnectionId, pattern: &Pattern) {
        if let Some(local) = self.local(id) {
            local.pending.push(pattern.clone());
        }
    }

    /// Puts a local connection into a room that it has not requested: it is sent everything published there from now
    /// on, but still ends when the subscriptions it requests have ended. Must be called once, before it subscribes to
    /// anything; otherwise like [`ServerHub::handle_subscribe`].
    ///
    /// # Errors
    /// As [`SubscribeError`] says. The connection is in no room then.
    pub fn handle_join(
        &mut self,
        now: Instant,
        id: ConnectionId,
        room: &Pattern,
    ) -> Result<Option<Subscribed>, SubscribeError> {
        if let Some(local) = self.local(id) {
            local.room = Some(Box::new(Room {
                pattern: room.clone(),
                subscription: None,
            }));
        }
        let request = SubscribeRequest {
            start: Start::New,
            ..SubscribeRequest::new(room.clone(), Flow::IMMEDIATE)
        };
        self.handle_subscribe(now, id, request)
    }

    pub(super) fn start_local(
        &mut self,
        now: Instant,
        id: ConnectionId,
        request: &SubscribeRequest,
        on_loss: OnLoss,
    ) -> Result<Subscribed, SubscribeError> {
        let result = self.hub.subscribe(now, id.index, request, on_loss);
        self.set_slow(id, &result, request.slow);
        let subscribed = result?;
        if let Some(local) = self.local(id) {
            local.begin(&request.pattern, subscribed.id);
        }
        self.connections[id.index as usize].outbox.begin_start();
        self.send(
            id.index,
            ServerFrame::Subscribed {
                pattern: request.pattern.clone(),
                position: subscribed.position,
                recovered: subscribed.recovered,
                flow: request.flow,
            },
        );
        self.drain_due(now);
        self.end_start(now, id);
        Ok(subscribed)
    }

    pub(super) fn local(&mut self, id: ConnectionId) -> Option<&mut Local> {
        self.find(id)?;
        match &mut self.connections[id.index as usize].downlink {
            Downlink::Local(local) => Some(local),
            Downlink::Session(_) => None,
        }
    }

    /// Changes the flow of a local connection's subscription.
    ///
    /// # Errors
    /// If the flow is out of range; the old one stays.
    pub fn handle_flow(
        &mut self,
        now: Instant,
        subscription: SubscriptionId,
        flow: Flow,
    ) -> Result<(), FlowError> {
        self.hub.handle_flow(now, subscription, flow)?;
        self.drain_hub(now);
        Ok(())
    }
}
