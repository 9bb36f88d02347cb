//! How publications get from the hub to connections: a few connections at a time, as the host asks for them.
//!
//! If every outbox were filled first and emptied afterwards, each connection would be touched twice, with all others in
//! between. Publications of several topics that arrive together are put into outboxes first nevertheless, so that they
//! leave together.

use super::{ConnectionId, Downlink, ServerHub, ServerOutput};
use crate::payload::Payload;
use crate::protocol::{ClientFrame, ServerFrame};
use crate::session::CloseReason;
use crate::time::Instant;

/// How many deliveries of a publication go ahead of connections that were ready before; mostly that is the publisher,
/// waiting for its answer. Watchers should not wait for the publisher, nor the publisher for thousands of watchers.
pub(super) const DELIVERIES_FIRST: usize = 64;

/// How many deliveries are put into outboxes before the host gets the first of them: few enough that the memory of all
/// is still in the cache when it gets to the last one, and enough to make a tight loop.
pub(super) const DELIVERIES_AT_ONCE: usize = 16;

/// How far the current publications have been handed over.
#[derive(Debug, Default)]
pub(super) struct DeliveryProgress {
    /// How many deliveries went ahead of connections that were ready before. A delivery that ends a local connection
    /// counts twice, because its close follows.
    overtaken: usize,
    /// How many outputs at the front of the queue were just handed over. Until they are taken, no outbox needs to be
    /// filled.
    at_hand: usize,
}

impl<P: Payload + Clone> ServerHub<P> {
    /// What the host must do next.
    pub fn poll_output(&mut self) -> Option<ServerOutput> {
        loop {
            self.deliver_some();
            let output = self.output.pop_front()?;
            match output {
                ServerOutput::Close(id, CloseReason::Ended) if self.is_wanted_again(id) => {}
                ServerOutput::Ready(_) | ServerOutput::Close(..) => return Some(output),
            }
        }
    }

    /// Returns whether a local connection whose subscriptions had all ended has subscribed again since.
    fn is_wanted_again(&mut self, id: ConnectionId) -> bool {
        if self.find(id).is_none() {
            return false;
        }
        match &mut self.connections[id.index as usize].downlink {
            Downlink::Local(local) if local.is_wanted() => {
                local.is_ending = false;
                true
            }
            Downlink::Local(_) | Downlink::Session(_) => false,
        }
    }

    /// The next frame for a connection. `None` if nothing is waiting.
    pub fn poll_frame(&mut self, id: ConnectionId) -> Option<ServerFrame<P>> {
        let known = self.find(id)?;
        if known.outbox.is_empty() {
            if self.owing_since.is_some() && self.delivery.is_none() && !self.hub.is_spreading() {
                // A host may ask before it was told that the connection is ready; it gets what is due nevertheless.
                self.settle();
            } else if !known.is_ready {
                return None;
            }
        }
        let connection = self.connections.get_mut(id.index as usize)?;
        let frame = connection.outbox.pop();
        if connection.outbox.is_behind() {
            self.note_popped(id.index);
        }
        let Some(frame) = frame else {
            let state = self.presences.next_state(id);
            self.connections[id.index as usize].is_ready = state.is_some();
            return state;
        };
        let connection = &mut self.connections[id.index as usize];
        if connection.outbox.is_empty() && !self.presences.owes_states() {
            connection.is_ready = false;
        }
        Some(connection.send(&mut self.deltas, frame))
    }

    /// A client publishes. The deliveries go to many connections, so they are handed over later.
    pub(super) fn publish_with_session(
        &mut self,
        now: Instant,
        id: ConnectionId,
        frame: ClientFrame<P>,
    ) {
        if self.find(id).is_none() {
            return;
        }
        if let Downlink::Session(session) = &mut self.connections[id.index as usize].downlink {
            session.handle_frame(now, frame);
            self.drain_session(now, id);
            self.drain_hub_later(now);
            self.close_if_overfull(now, id.index);
            self.arm(id);
        }
    }

    /// Something was published. If nothing else happens, its deliveries are put into outboxes as the host polls
    /// outputs, so that each connection is written while its memory is in the cache.
    pub(super) fn drain_hub_later(&mut self, now: Instant) {
        self.owing_since = Some(now);
    }

    /// Finishes what [`ServerHub::drain_hub_later`] has postponed, before anything else happens.
    pub(super) fn settle(&mut self) {
        self.delivery = None;
        if let Some(now) = self.owing_since.take() {
            self.drain_hub(now);
        }
    }

    /// Continues with the postponed deliveries until a few connections are ready for the host, or none is left.
    pub(super) fn deliver_some(&mut self) {
        let Some(now) = self.owing_since else {
            return;
        };
        if self.hub.is_spreading() {
            // The host polls the rest of the spread itself.
            return;
        }
        if self.delivery.is_none() && !self.hub.owes_one_topic() {
            // Publications of several topics go into outboxes first, so that those of one connection leave together.
            return self.settle();
        }
        let delivery = self.delivery.get_or_insert_default();
        if delivery.at_hand > 0 {
            delivery.at_hand -= 1;
            return;
        }
        let ready = self.output.len();
        let most = if ready > 0 {
            DELIVERIES_AT_ONCE.min(DELIVERIES_FIRST.saturating_sub(delivery.overtaken))
        } else {
            DELIVERIES_AT_ONCE
        };
        while self.output.len() < ready + most {
            let Some(owed) = self.hub.poll_owed() else {
                self.settle();
                break;
            };
            self.take_owed(now, owed);
        }
        let handed = self.output.len() - ready;
        self.output.rotate_left(ready);
        if let Some(delivery) = &mut self.delivery {
            delivery.at_hand = handed.saturating_sub(1);
            delivery.overtaken += if ready > 0 { handed } else { 0 };
        }
    }
}
