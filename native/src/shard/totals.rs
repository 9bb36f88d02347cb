//! What a shard has done since it started.

use tidegate_core::durable::DurableCounts;
use tidegate_core::hub::Backlog;
use tidegate_core::protocol::ErrorCode;
use tidegate_core::session::CloseReason;

use super::latency::Latency;
use super::websocket::Violation;
use super::{Shard, Snapshot};

/// Sums of what has happened since the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// WebSockets that were accepted.
    pub(crate) accepted: u64,
    /// Requests to publish.
    pub(crate) publishes: u64,
    /// Messages of clients that were not valid frames.
    pub(crate) bad_frames: u64,
    /// Frames written to sockets: those of WebSockets, and of event streams that the shard writes itself.
    pub(crate) frames: u64,
    /// The messages in which they were written.
    pub(crate) messages: u64,
    /// Connections that the server closed, by [`CLOSE_REASONS`].
    pub(crate) closed: [u64; CLOSE_REASONS.len()],
    /// Connections that the server closed because of a message that was too long.
    pub(crate) too_large: u64,
    /// Connections that the server closed because there was no room for their message.
    pub(crate) no_room: u64,
    /// Errors that were sent to clients of WebSockets.
    pub(crate) errors: Vec<(ErrorCode, u64)>,
    /// What slow connections cost, and what was lost and recovered.
    pub(crate) backlog: Backlog,
    /// Durable subscriptions.
    pub(crate) durables: DurableCounts,
    /// How long publications take through a shard.
    pub(crate) latency: Latency,
}

/// Why the server closes connections, and the names of the reasons for operators.
pub(crate) const CLOSE_REASONS: [(CloseReason, &str); 10] = [
    (CloseReason::Timeout, "timeout"),
    (CloseReason::Protocol, "protocol"),
    (CloseReason::Unauthorized, "unauthorized"),
    (CloseReason::TooManyConnections, "too_many_connections"),
    (CloseReason::Unavailable, "unavailable"),
    (CloseReason::SlowConsumer, "slow_consumer"),
    (CloseReason::Superseded, "superseded"),
    (CloseReason::Disconnected, "disconnected"),
    (CloseReason::Drained, "drained"),
    (CloseReason::Ended, "ended"),
];

impl Shard {
    /// How much it holds and has done.
    pub(super) fn snapshot(&mut self) -> Snapshot {
        // Count what was published before this.
        self.drain();
        Snapshot {
            counts: self.hub.counts(),
            uplink: self.hub.uplink_counts(),
            connections: self.hub.connections(),
            has_clients: self.hub.has_clients(),
            totals: Totals {
                frames: self.joiner.frames + self.events.written,
                messages: self.joiner.messages + self.events.chunks,
                errors: self.joiner.errors.clone(),
                backlog: self.backlog(),
                durables: self.hub.durable_counts(),
                latency: self.joiner.stopwatch.latency,
                ..self.totals.clone()
            },
        }
    }
}

impl Totals {
    pub(super) fn count_close(&mut self, reason: CloseReason) {
        let known = CLOSE_REASONS.iter().position(|(known, _)| *known == reason);
        if let Some(at) = known {
            self.closed[at] += 1;
        }
    }

    /// Counts a client that broke the WebSocket protocol.
    pub(super) fn count_violation(&mut self, violation: &Violation) {
        match violation {
            Violation::TooLarge { .. } => self.too_large += 1,
            Violation::NoRoom => self.no_room += 1,
            Violation::Unmasked | Violation::Malformed | Violation::Binary | Violation::NotUtf8 => {
                self.count_close(CloseReason::Protocol)
            }
        }
    }

    /// Adds up what several shards have done.
    pub(crate) fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.publishes += other.publishes;
        self.bad_frames += other.bad_frames;
        self.frames += other.frames;
        self.messages += other.messages;
        self.too_large += other.too_large;
        self.no_room += other.no_room;
        for (sum, more) in self.closed.iter_mut().zip(other.closed) {
            *sum += more;
        }
        for (code, count) in &other.errors {
            match self.errors.iter_mut().find(|(known, _)| known == code) {
                Some((_, sum)) => *sum += count,
                None => self.errors.push((*code, *count)),
            }
        }
        self.backlog.add(&other.backlog);
        self.durables.add(&other.durables);
        self.latency.add(&other.latency);
    }
}
