//! Room for all connections: what waits for those that are behind is counted, and bounded in all.

use alloc::vec::Vec;

use super::{ConnectionId, Downlink, ServerHub};
use crate::flow::{Flow, Slow};
use crate::hub::{SubscribeError, Subscribed};
use crate::outbox::Losses;
use crate::payload::Payload;
use crate::time::Instant;
use crate::topic::Pattern;

/// After room was made, at most this share of the limit waits, so that it is not made at every push.
const RELIEVE_TO_PERCENT: usize = 75;

/// What connections that are behind cost, and have lost since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Connections for which more waits than they take.
    pub connections: usize,
    /// The bytes that wait for them, by the estimate that limits count, and those in batches that wait for their pace.
    pub bytes: usize,
    /// What such connections have lost.
    pub losses: Losses,
    /// How often a subscriber was told to forget what it knew of a topic.
    pub resets: u64,
    /// Publications that were missed and given to those who resumed.
    pub recovered: u64,
    /// How often a client was granted a slower pace than it asked for.
    pub slowed: u64,
}

impl Backlog {
    /// Adds that of another server's, or shard's.
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
    /// Whether more waits for a connection than it takes.
    pub fn is_behind(&self, id: ConnectionId) -> bool {
        self.find(id)
            .is_some_and(|connection| connection.outbox.is_behind())
    }

    /// What slow connections cost, and what was lost and recovered. A connection counts that has left something here; one whose
    /// transport alone has not taken what it was given, its host knows.
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

    /// What becomes of a local connection's publications while it is behind. To be said before it subscribes.
    pub fn handle_slow(&mut self, id: ConnectionId, slow: Slow) {
        if self.find(id).is_some() {
            let outbox = &mut self.connections[id.index as usize].outbox;
            outbox.set_slow_of_all(Some(slow));
        }
    }

    /// What a client is granted that asks for `flow`.
    pub(super) fn grant_flow(&mut self, pattern: &Pattern, flow: Flow) -> Flow {
        let granted = self.config.floor.grant(pattern, flow);
        self.slowed += u64::from(granted != flow);
        granted
    }

    /// A subscription stands, or was refused.
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

    /// What a subscription of a connection starts with is complete.
    pub(super) fn end_start(&mut self, now: Instant, id: ConnectionId) {
        self.connections[id.index as usize].outbox.end_start();
        self.note_behind(now, id.index);
    }

    /// Something was pushed to a connection that may be behind.
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

    /// Makes room: of those for whom most waits first.
    fn relieve(&mut self, now: Instant) {
        let limit = self.config.waiting_bytes_max;
        let target = limit / 100 * RELIEVE_TO_PERCENT;
        let mut heavy: Vec<(usize, u32)> = self.heavy();
        heavy.sort_unstable_by(|one, other| other.cmp(one));
        // What those hold who are closed already goes with them.
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
        // Where what is left must stay, it is looked through again only once there is more of it.
        let left = self.tally.waiting_bytes;
        self.relieve_above = limit.max(left.saturating_add(limit / 8));
    }

    /// The connections that are behind and open, with the bytes that wait for each.
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

    /// Something has left for a connection.
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
