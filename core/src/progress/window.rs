//! What was done recently: a ring of buckets on the clock of the node that fills it.

use alloc::vec::Vec;
use core::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::COUNT_MAX;

/// The most buckets of a window; further ones from other nodes are cut off.
pub(super) const BUCKETS_MAX: usize = 240;

/// Counts of equally long recent periods.
///
/// Its clock is that of one node, in microseconds since the first event there. Its size does not depend on how much is
/// counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The length of a bucket, in microseconds.
    width_us: u64,
    /// The current time on the node's clock.
    clock_us: u64,
    /// The bucket that contains `clock_us`, followed by earlier ones.
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

    /// Limits a window that came from another node.
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

    /// Advances the clock, which never goes back.
    pub(super) fn advance(&mut self, clock_us: u64) {
        let clock_us = clock_us.max(self.clock_us);
        let passed = clock_us / self.width_us - self.clock_us / self.width_us;
        let len = self.counts.len();
        let passed = usize::try_from(passed).unwrap_or(len).min(len);
        self.counts.rotate_right(passed);
        self.counts[..passed].fill(0);
        self.clock_us = clock_us;
    }

    /// Counts at the current time.
    pub(super) fn add(&mut self, count: u64) {
        self.counts[0] = self.counts[0].saturating_add(count).min(COUNT_MAX);
    }

    /// Merges another window. Windows of different shapes can't be from one node; one of them is kept.
    pub(super) fn join(&mut self, other: &Self) {
        let shape = |window: &Self| (window.width_us, window.counts.len());
        match shape(self).cmp(&shape(other)) {
            Ordering::Less => return self.clone_from(other),
            Ordering::Greater => return,
            Ordering::Equal => {}
        }
        let mut other = other.clone();
        other.advance(self.clock_us);
        self.advance(other.clock_us);
        for (count, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *count = (*count).max(*theirs);
        }
    }

    /// The counts at a later time, newest bucket first, and the time that they cover: at least one bucket.
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

    #[test]
    fn it_covers_the_time_since_it_began_and_at_least_a_bucket() {
        let mut window = Window::new(10, 4);
        assert_eq!(window.width_us(), 10);
        assert_eq!(window.at(0).1, 10);
        window.advance(23);
        window.add(5);
        window.advance(23);
        window.advance(7);
        assert_eq!(window.clock_us(), 23, "time never goes back");
        assert_eq!(window.at(23), (alloc::vec![5, 0, 0, 0], 23));
        assert_eq!(window.at(29), (alloc::vec![5, 0, 0, 0], 29));
        assert_eq!(window.at(52), (alloc::vec![0, 0, 0, 5], 32));
    }

    #[test]
    fn of_two_shapes_the_greater_one_stays() {
        let shapes = [(10, 2), (10, 3), (20, 1)];
        for (one, small) in shapes.iter().enumerate() {
            for great in &shapes[one + 1..] {
                let window = |(width, buckets): (u64, usize)| Window::new(width, buckets);
                let (small, great) = (window(*small), window(*great));
                for [first, second] in [[&small, &great], [&great, &small]] {
                    let mut joined = first.clone();
                    joined.join(second);
                    assert_eq!(joined, great);
                }
            }
        }
    }
}
