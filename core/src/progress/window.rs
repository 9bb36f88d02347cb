//! What was done lately: a ring of buckets on the clock of the node that fills it.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::COUNT_MAX;

/// The most buckets of a window: those of another node that says more are cut off.
pub(super) const BUCKETS_MAX: usize = 240;

/// Counts of the last stretches of time, each as long as the others.
///
/// Its clock is that of one node, in microseconds from the first thing that happened there. Memory does not depend on how
/// much is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The length of a bucket, in microseconds.
    width_us: u64,
    /// The node's time.
    clock_us: u64,
    /// The bucket that `clock_us` lies in first, then those before.
    counts: Vec<u64>,
}

impl Window {
    pub(super) fn new(width_us: u64, buckets: usize) -> Self {
        Self {
            width_us: width_us.max(1),
            clock_us: 0,
            counts: alloc::vec![0; buckets.clamp(1, BUCKETS_MAX)],
        }
    }

    /// What another node said, within bounds.
    pub(super) fn bounded(mut self) -> Self {
        self.width_us = self.width_us.max(1);
        self.counts.truncate(BUCKETS_MAX);
        if self.counts.is_empty() {
            self.counts.push(0);
        }
        self
    }

    pub(super) const fn clock_us(&self) -> u64 {
        self.clock_us
    }

    pub(super) const fn width_us(&self) -> u64 {
        self.width_us
    }

    /// Time has come so far; it never goes back.
    pub(super) fn advance(&mut self, clock_us: u64) {
        if clock_us <= self.clock_us {
            return;
        }
        let passed = clock_us / self.width_us - self.clock_us / self.width_us;
        let len = self.counts.len();
        let passed = usize::try_from(passed).unwrap_or(len).min(len);
        self.counts.rotate_right(passed);
        self.counts[..passed].fill(0);
        self.clock_us = clock_us;
    }

    /// Counts at the time that it has come to.
    pub(super) fn add(&mut self, count: u64) {
        self.counts[0] = self.counts[0].saturating_add(count).min(COUNT_MAX);
    }

    /// The least window that knows what both know. Two of different shapes are not of one node: one of them stays.
    pub(super) fn join(&mut self, other: &Self) {
        let shape = |window: &Self| (window.width_us, window.counts.len());
        if shape(self) != shape(other) {
            if shape(self) < shape(other) {
                self.clone_from(other);
            }
            return;
        }
        let mut other = other.clone();
        other.advance(self.clock_us);
        self.advance(other.clock_us);
        for (count, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *count = (*count).max(*theirs);
        }
    }

    /// The counts at a later time, the newest bucket first, and the time that they cover: at least one bucket's.
    pub(super) fn at(&self, clock_us: u64) -> (Vec<u64>, u64) {
        let mut later = self.clone();
        later.advance(clock_us);
        let whole = later.width_us.saturating_mul(later.counts.len() as u64 - 1);
        let into_newest = later.clock_us % later.width_us;
        let covered = whole.saturating_add(into_newest).min(later.clock_us);
        (later.counts, covered.max(later.width_us))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_counts_what_lies_within_it(steps in prop::collection::vec((0..30_u64, 0..5_u64), 1..60)) {
            let (width, buckets) = (10, 4);
            let mut window = Window::new(width, buckets);
            let (mut clock, mut events) = (0, Vec::new());
            for (after, count) in steps {
                clock += after;
                window.advance(clock);
                window.add(count);
                events.push((clock, count));
                let oldest = (clock / width + 1).saturating_sub(buckets as u64) * width;
                let expected: u64 = events.iter().filter(|(at, _)| *at >= oldest).map(|(_, count)| count).sum();
                let (counts, covered) = window.at(clock);
                prop_assert_eq!(counts.iter().sum::<u64>(), expected);
                prop_assert_eq!(covered, (clock - oldest).max(width));
            }
        }
    }
}
