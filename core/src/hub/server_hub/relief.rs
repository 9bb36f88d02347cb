//! The total memory of slow connections: what waits for them is counted, and limited.

use alloc::vec::Vec;

use super::{ConnectionId, Downlink, ServerHub};
use crate::flow::{Flow, Slow};
use crate::hub::{SubscribeError, Subscribed};
use crate::outbox::Losses;
use crate::payload::Payload;
use crate::time::Instant;
use crate::topic::Pattern;

/// Making room reduces the waiting bytes to this share of the limit, so that it isn't necessary at every push.
const RELIEVE_TO_PERCENT: usize = 75;

/// What waits for slow connections, and what they have lost since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Connections that are slow: frames wait for them here.
    pub connections: usize,
    /// The bytes that wait for them, by the estimate that limits use, plus those in batches that wait for their pace.
    pub bytes: usize,
    /// What slow connections have lost.
    pub losses: Losses,
    /// How many resets were sent.
    pub resets: u64,
    /// Publications that were missed, and then sent to resuming subscribers.
    pub recovered: u64,
    /// How often a client was granted a slower pace than it requested.
    pub slowed: u64,
}

impl Backlog {
    /// Adds the figures of another shard or server.
    pub const fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.bytes += other.bytes;
        self.losses.add(other.losses);
        self.resets += other.resets;
        self.recovered += other.recovered;
        self.slowed += other.slowed;
    }
}

impl<P: Payload + Clone> ServerHub<P> {
    /// Returns whether more waits for a connection than it accepts.
    pub fn is_behind(&self, id: ConnectionId) -> bool {
        self.find(id)
            .is_some_and(|connection| connection.outbox.is_behind())
    }

    /// What waits for slow connections, and what was lost and recovered. It counts what waits in this hub; only the
    /// host knows what was taken from here but not yet accepted by a transport.
    pub fn backlog(&self) -> Backlog {
        let connections = self.connections.iter();
        Backlog {
            connections: connections
                .filter(|(_, connection)| connection.outbox.is_behind())
                .count(),
            bytes: self.tally.waiting_bytes + self.hub.batches_bytes(),
            losses: self.tally.losses,
            resets: self.resets,
            recovered: self.hub.recovered(),
            slowed: self.slowed,
        }
    }

    /// Sets what happens to a local connection's publications while it is slow. Must be called before it subscribes.
    pub fn handle_slow(&mut self, id: ConnectionId, slow: Slow) {
        if self.find(id).is_some() {
            let outbox = &mut self.connections[id.index as usize].outbox;
            outbox.set_slow_of_all(Some(slow));
        }
    }

    /// The flow that a client is granted if it asks for `flow`.
    pub(super) fn grant_flow(&mut self, pattern: &Pattern, flow: Flow) -> Flow {
        let granted = self.config.floor.grant(pattern, flow);
        self.slowed += u64::from(granted != flow);
        granted
    }

    /// Applies the policy for a slow connection to a subscription, unless it was refused.
    pub(super) fn set_slow(
        &mut self,
        id: ConnectionId,
        result: &Result<Subscribed, SubscribeError>,
        slow: Option<Slow>,
    ) {
        if let (Ok(subscribed), Some(_)) = (result, slow) {
            let outbox = &mut self.connections[id.index as usize].outbox;
            outbox.set_slow(subscribed.id, slow);
        }
    }

    /// Ends the start of a subscription: everything that it starts with has been queued.
    pub(super) fn end_start(&mut self, now: Instant, id: ConnectionId) {
        self.connections[id.index as usize].outbox.end_start();
        self.note_behind(now, id.index);
    }

    /// Something was queued for a connection that may be slow.
    #[cold]
    pub(super) fn note_behind(&mut self, now: Instant, index: u32) {
        let outbox = &mut self.connections[index as usize].outbox;
        outbox.settle_tally(&mut self.tally);
        if self.connections[index as usize].outbox.is_overfull() {
            self.close_if_overfull(now, index);
        }
        if self.tally.waiting_bytes > self.relieve_above {
            self.relieve(now);
        }
    }

    /// Makes room, beginning with the connections with the most waiting.
    fn relieve(&mut self, now: Instant) {
        let limit = self.config.waiting_bytes_max;
        let target = limit / 100 * RELIEVE_TO_PERCENT;
        let mut heavy: Vec<(usize, u32)> = self.heavy();
        heavy.sort_unstable_by(|one, other| other.cmp(one));
        // Closed connections aren't included: what waits for them goes when they are removed.
        let mut waiting: usize = heavy.iter().map(|(bytes, _)| bytes).sum();
        for (bytes, index) in &mut heavy {
            if waiting <= target {
                break;
            }
            let outbox = &mut self.connections[*index as usize].outbox;
            outbox.shed_all();
            let left = outbox.bytes_behind();
            outbox.settle_tally(&mut self.tally);
            waiting -= *bytes - left;
            *bytes = left;
        }
        heavy.sort_unstable_by(|one, other| other.cmp(one));
        for (bytes, index) in heavy {
            let is_forfeit = self.connections[index as usize].outbox.is_overfull();
            if waiting <= limit && !is_forfeit {
                continue;
            }
            let id = self.id_of(index);
            if let Some(session) = self.session(id) {
                session.handle_overfull();
                self.drain_session(now, id);
                waiting -= bytes;
            } else {
                self.close_if_overfull(now, index);
            }
        }
        // If what is left must stay, don't look again until a good deal more has been added.
        let left = self.tally.waiting_bytes;
        self.relieve_above = limit.max(left.saturating_add(limit / 8));
    }

    /// The open connections that are slow, each with its waiting bytes.
    fn heavy(&self) -> Vec<(usize, u32)> {
        let behind = self.connections.iter().filter(|(_, connection)| {
            let is_closed = match &connection.downlink {
                Downlink::Session(session) => session.is_closed(),
                Downlink::Local(_) => false,
            };
            connection.outbox.is_behind() && !is_closed
        });
        behind
            .map(|(index, connection)| {
                #[expect(clippy::cast_possible_truncation, reason = "made from a u32")]
                let index = index as u32;
                (connection.outbox.bytes_behind(), index)
            })
            .collect()
    }

    /// A frame of a connection was taken.
    pub(super) fn note_popped(&mut self, index: u32) {
        let outbox = &mut self.connections[index as usize].outbox;
        if outbox.is_behind() {
            outbox.settle_tally(&mut self.tally);
            let limit = self.config.waiting_bytes_max;
            let left = self.tally.waiting_bytes.saturating_add(limit / 8);
            self.relieve_above = self.relieve_above.min(limit.max(left));
        }
    }
}
