//! How publications get from the hub to connections: a few connections after the others, as the host asks.
//!
//! Filling every outbox first, and emptying them afterwards, would touch each connection twice, with all others in
//! between. What several topics bring at once is put together first all the same, so that it leaves together.

use super::{ConnectionId, Downlink, ServerHub, ServerOutput};
use crate::payload::Payload;
use crate::protocol::{ClientFrame, ServerFrame};
use crate::session::CloseReason;
use crate::time::Instant;

/// So many deliveries of a publication go before whoever is ready already: mostly that is its publisher, with the answer. What
/// watchers see is not to wait for that, and a publisher not for thousands of watchers.
pub(super) const DELIVERIES_FIRST: usize = 64;

/// So many deliveries are put into outboxes before the host gets the first of them: few enough to be at hand still when
/// it comes to the last one, and enough for the processor to do the same many times in a row.
pub(super) const DELIVERIES_AT_ONCE: usize = 16;

/// How far a publication has been handed over.
#[derive(Debug, Default)]
pub(super) struct Handing {
    /// How much of it went before somebody who was ready. A delivery that ends a local connection is followed by its close.
    overtaken: usize,
    /// How many of the first who are ready have theirs, so that nothing need be put into an outbox before them.
    at_hand: usize,
}

impl<P: Payload + Clone> ServerHub<P> {
    /// What the host must do next.
    pub fn poll_output(&mut self) -> Option<ServerOutput> {
        loop {
            self.hand_over();
            let output = self.output.pop_front()?;
            match output {
                ServerOutput::Close(id, CloseReason::Ended) if self.is_wanted_again(id) => {}
                ServerOutput::Ready(_) | ServerOutput::Close(..) => return Some(output),
            }
        }
    }

    /// Whether a local connection whose subscriptions had all ended has subscribed to something else since.
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

    /// The next frame for a connection.
    pub fn poll_frame(&mut self, id: ConnectionId) -> Option<ServerFrame<P>> {
        let known = self.find(id)?;
        if known.outbox.is_empty() {
            if self.owing_since.is_some() && self.handing.is_none() && !self.hub.is_spreading() {
                // A host that asks before it is told gets what is owed, too.
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
            let state = self.presences.catch_up(id);
            self.connections[id.index as usize].is_ready = state.is_some();
            return state;
        };
        let connection = &mut self.connections[id.index as usize];
        if connection.outbox.is_empty() && !self.presences.owes_states() {
            connection.is_ready = false;
        }
        Some(connection.send(&mut self.deltas, frame))
    }

    /// A client publishes: what is owed for it is not owed to this client alone, and is handed over later.
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

    /// Something was published. Where that is all, what is owed for it is put into outboxes as the host asks for outputs:
    /// each connection's turn comes while its delivery is at hand.
    pub(super) fn drain_hub_later(&mut self, now: Instant) {
        self.owing_since = Some(now);
    }

    /// Does what [`ServerHub::drain_hub_later`] has left, before something else happens.
    pub(super) fn settle(&mut self) {
        self.handing = None;
        if let Some(now) = self.owing_since.take() {
            self.drain_hub(now);
        }
    }

    /// Goes on with what is owed until some connections are ready for their host, or nothing is owed.
    pub(super) fn hand_over(&mut self) {
        let Some(now) = self.owing_since else {
            return;
        };
        if self.hub.is_spreading() {
            // The host asks for the rest of it.
            return;
        }
        if self.handing.is_none() && !self.hub.owes_one_topic() {
            // What several topics bring is put together first, so that it leaves together.
            return self.settle();
        }
        let handing = self.handing.get_or_insert_default();
        if handing.at_hand > 0 {
            handing.at_hand -= 1;
            return;
        }
        let ready = self.output.len();
        let most = if ready > 0 {
            DELIVERIES_AT_ONCE.min(DELIVERIES_FIRST.saturating_sub(handing.overtaken))
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
        if let Some(handing) = &mut self.handing {
            handing.at_hand = handed.saturating_sub(1);
            handing.overtaken += if ready > 0 { handed } else { 0 };
        }
    }
}
