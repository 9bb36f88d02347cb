//! Connections within the process, whose owners subscribe by calls.

use alloc::boxed::Box;

use super::connection::{Downlink, Local, Room};
use super::{ConnectionId, ServerHub};
use crate::durable::CursorKey;
use crate::flow::{Flow, FlowError};
use crate::hub::start::OnLoss;
use crate::hub::{SubscribeError, Subscribed, SubscriptionId};
use crate::payload::Payload;
use crate::protocol::{ServerFrame, Start};
use crate::time::Instant;
use crate::topic::Pattern;

impl<P: Payload + Clone> ServerHub<P> {
    /// Something in the same process wants to subscribe; at most `outbox_bytes_max` bytes wait for it.
    pub fn handle_open_local(&mut self, outbox_bytes_max: usize) -> ConnectionId {
        let id = self.add(Downlink::Local(Local::default()), outbox_bytes_max);
        if self.is_stale() {
            self.send(id.index, ServerFrame::Stale);
        }
        id
    }

    /// Subscribes a local connection. The answer's frames wait for it. `None` for a connection that is gone; and where
    /// topics live elsewhere and have to be asked for first: the answer is due by [`ServerHub::poll_answer`] then.
    ///
    /// # Errors
    /// As [`SubscribeError`] says. Nothing was subscribed then.
    pub fn handle_subscribe(
        &mut self,
        now: Instant,
        id: ConnectionId,
        pattern: &Pattern,
        flow: Flow,
        start: &Start,
    ) -> Result<Option<Subscribed>, SubscribeError> {
        if self.local(id).is_none() {
            return Ok(None);
        }
        flow.validate()?;
        self.settle();
        if !self.prepare(now, id, pattern, flow, start, None) {
            if let Some(local) = self.local(id) {
                local.pending.push(pattern.clone());
            }
            return Ok(None);
        }
        let started = self.start_local(now, id, pattern, (flow, start, OnLoss::Latest));
        self.hub.note_released(pattern.clone());
        self.drain_hub(now);
        started.map(Some)
    }

    /// A local connection is in a room without having asked: it is sent all that is published there from now on, and ends with
    /// what it asks for all the same. To be called once, before it subscribes to anything; otherwise as
    /// [`ServerHub::handle_subscribe`].
    ///
    /// # Errors
    /// As [`SubscribeError`] says. It is in no room then.
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
        self.handle_subscribe(now, id, room, Flow::IMMEDIATE, &Start::New)
    }

    /// Subscribes a local connection, on behalf of a device that a cursor is kept of. It can't acknowledge: what `start` says
    /// that it has seen is dealt with. Otherwise as [`ServerHub::handle_subscribe`].
    ///
    /// # Errors
    /// As [`SubscribeError`] says. Nothing was subscribed then.
    pub fn handle_subscribe_durable(
        &mut self,
        now: Instant,
        id: ConnectionId,
        key: CursorKey,
        flow: Flow,
        start: Start,
    ) -> Result<Option<Subscribed>, SubscribeError> {
        flow.validate()?;
        let pattern = key.pattern.clone();
        let Some(local) = self.local(id) else {
            return Ok(None);
        };
        local.pending.push(pattern.clone());
        self.settle();
        self.begin_durable(now, id, key, flow, start);
        self.drain_hub(now);
        self.durables.take_answer(id, &pattern).transpose()
    }

    pub(super) fn start_local(
        &mut self,
        now: Instant,
        id: ConnectionId,
        pattern: &Pattern,
        (flow, start, on_loss): (Flow, &Start, OnLoss),
    ) -> Result<Subscribed, SubscribeError> {
        let subscribed = self
            .hub
            .subscribe(now, id.index, pattern, flow, start, on_loss)?;
        if let Some(local) = self.local(id) {
            local.begin(pattern, subscribed.id);
        }
        self.connections[id.index as usize].outbox.begin_start();
        self.send(
            id.index,
            ServerFrame::Subscribed {
                pattern: pattern.clone(),
                position: subscribed.position,
                recovered: subscribed.recovered,
                flow,
            },
        );
        self.drain_due(now);
        self.end_start(now, id);
        Ok(subscribed)
    }

    fn local(&mut self, id: ConnectionId) -> Option<&mut Local> {
        self.find(id)?;
        match &mut self.connections[id.index as usize].downlink {
            Downlink::Local(local) => Some(local),
            Downlink::Session(_) => None,
        }
    }

    /// Changes the flow of a local connection's subscription.
    ///
    /// # Errors
    /// When the flow is out of range; the old one stays.
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
