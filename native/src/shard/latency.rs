//! Measures how long publications take through a shard. It samples them, because measuring all would cost more than it tells.
//!
//! It watches one publication in each twentieth of a second, the first of its round. Every delivery of it to a WebSocket in the same round
//! is timed: from when the publication was accepted, or announced by the backend, until the kernel has accepted its last byte. Deliveries
//! that wait for a pace or for a slow connection are not timed.

use std::sync::Arc;
use std::time::{Duration, Instant as HostInstant};

use tidegate_core::publication::Publication;

use crate::json::Json;

/// The shortest time between two publications that are watched.
const WATCH_EVERY: Duration = Duration::from_millis(50);

/// The upper bounds of the histogram's buckets, in microseconds; one more bucket holds what is longer.
pub(crate) const BOUNDS_MICROS: [u64; 14] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
];

/// A histogram of how long deliveries took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latency {
    /// By bucket; the last one has what is above all bounds.
    pub(crate) counts: [u64; BOUNDS_MICROS.len() + 1],
    /// All times together, in microseconds.
    pub(crate) sum_micros: u64,
}

impl Latency {
    fn note(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.counts[class] += 1;
        self.sum_micros = self.sum_micros.saturating_add(micros);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, more) in self.counts.iter_mut().zip(other.counts) {
            *sum += more;
        }
        self.sum_micros = self.sum_micros.saturating_add(other.sum_micros);
    }
}

/// Watches one publication at a time.
#[derive(Default)]
pub(super) struct Stopwatch {
    /// The address of the watched publication, and the start of its time.
    watched: Option<(usize, HostInstant)>,
    /// When the last one began to be watched.
    last: Option<HostInstant>,
    /// Whether the watched one is in the message at hand.
    is_at_hand: bool,
    pub(super) latency: Latency,
}

impl Stopwatch {
    /// Whether to watch another publication, accepted at this time.
    pub(super) fn is_due(&self, accepted: HostInstant) -> bool {
        let last = self
            .last
            .is_none_or(|last| accepted.saturating_duration_since(last) >= WATCH_EVERY);
        self.watched.is_none() && last
    }

    pub(super) fn watch(&mut self, publication: &Arc<Publication<Json>>, accepted: HostInstant) {
        self.watched = Some((Arc::as_ptr(publication).addr(), accepted));
        self.last = Some(accepted);
    }

    /// Notes that a publication goes into the message at hand.
    pub(super) fn see(&mut self, publication: &Arc<Publication<Json>>) {
        if let Some((address, _)) = self.watched {
            self.is_at_hand |= address == Arc::as_ptr(publication).addr();
        }
    }

    /// Notes that the message at hand was written, or not as a whole.
    pub(super) fn note_written(&mut self, is_whole: bool) {
        if std::mem::take(&mut self.is_at_hand)
            && is_whole
            && let Some((_, accepted)) = self.watched
        {
            self.latency.note(accepted.elapsed());
        }
    }

    /// Ends the round: what is delivered later was held back for a reason of its own.
    pub(super) fn end_round(&mut self) {
        self.watched = None;
        self.is_at_hand = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_the_class_that_ends_at_or_above_them() {
        let mut latency = Latency::default();
        for micros in [0, 50, 51, 1_000, 1_000_000, 1_000_001] {
            latency.note(Duration::from_micros(micros));
        }
        assert_eq!(latency.counts[0], 2);
        assert_eq!(latency.counts[1], 1);
        assert_eq!(latency.counts[4], 1);
        assert_eq!(latency.counts[13], 1);
        assert_eq!(latency.counts[14], 1);
        assert_eq!(latency.sum_micros, 50 + 51 + 1_000 + 1_000_000 + 1_000_001);
    }
}
