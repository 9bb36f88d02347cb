//! The speed of work, and how long what is left will take.

use alloc::vec::Vec;
use core::time::Duration;

const HOUR_US: u128 = 3_600_000_000;
const SECOND_US: u128 = 1_000_000;

/// The amount done within the window.
///
/// All figures are whole numbers, rounded half up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Velocity {
    /// The amount done,
    pub done: u64,
    /// within this time: the window, or the time since the work began if that is shorter; at least one bucket.
    pub over: Duration,
    /// By how much `done` may be off: one standard deviation. It is the greater of two estimates: pure chance for so
    /// many independent events (the square root of `done`), and the variation between buckets.
    pub spread: u64,
}

/// When the work may be done, if it continues as within the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eta {
    /// At the measured speed.
    pub expected: Duration,
    /// If the actual speed is one [`Velocity::spread`] higher.
    pub earliest: Duration,
    /// If the actual speed is one lower; `None` if that leaves no speed at all.
    pub latest: Option<Duration>,
}

impl Velocity {
    /// Adds up windows as [`Window::at`](super::Window) returns them: counts, newest first; the time covered; and the
    /// width of a bucket, in microseconds.
    pub(super) fn of(windows: impl Iterator<Item = (Vec<u64>, u64, u64)>) -> Self {
        let (mut counts, mut covered_us, mut width_us) = (Vec::new(), 0, 1);
        for (theirs, covered, width) in windows {
            counts.resize(theirs.len().max(counts.len()), 0_u64);
            for (sum, count) in counts.iter_mut().zip(theirs) {
                *sum = sum.saturating_add(count);
            }
            covered_us = covered_us.max(covered);
            width_us = width_us.max(width);
        }
        let done = counts
            .iter()
            .fold(0_u64, |sum, count| sum.saturating_add(*count));
        let whole = usize::try_from(covered_us / width_us).unwrap_or(usize::MAX);
        // The newest bucket is incomplete, so it says nothing about the variation between buckets.
        let complete = counts.get(1..).unwrap_or_default();
        let variance = variance_of_sum(&complete[..whole.min(complete.len())]);
        Self {
            done,
            over: Duration::from_micros(covered_us),
            spread: u64::try_from(variance.max(u128::from(done)).isqrt()).unwrap_or(u64::MAX),
        }
    }

    /// The amount done per hour.
    pub fn per_hour(&self) -> u64 {
        self.per(HOUR_US)
    }

    /// The amount done per second, in thousandths.
    pub fn per_second_milli(&self) -> u64 {
        self.per(SECOND_US * 1_000)
    }

    fn per(&self, micros: u128) -> u64 {
        let over = self.over.as_micros();
        if over == 0 {
            return 0;
        }
        let rate = (u128::from(self.done) * micros + over / 2) / over;
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    /// How long `remaining` will take; `None` while nothing is done.
    pub fn eta(&self, remaining: u64) -> Option<Eta> {
        let slowest = self.done.saturating_sub(self.spread);
        Some(Eta {
            expected: self.time_for(remaining, self.done)?,
            earliest: self.time_for(remaining, self.done.saturating_add(self.spread))?,
            latest: self.time_for(remaining, slowest),
        })
    }

    fn time_for(&self, remaining: u64, done: u64) -> Option<Duration> {
        if done == 0 {
            return (remaining == 0).then_some(Duration::ZERO);
        }
        let micros = u128::from(remaining) * self.over.as_micros() / u128::from(done);
        Some(Duration::from_micros(
            u64::try_from(micros).unwrap_or(u64::MAX),
        ))
    }
}

/// The variance of the sum of these counts, as estimated from the variation between them.
fn variance_of_sum(counts: &[u64]) -> u128 {
    let n = counts.len() as u128;
    if n < 2 {
        return 0;
    }
    let (mut sum, mut squares) = (0_u128, 0_u128);
    for count in counts {
        let count = u128::from(*count);
        sum += count;
        squares = squares.saturating_add(count * count);
    }
    let spread = n
        .saturating_mul(squares)
        .saturating_sub(sum.saturating_mul(sum));
    spread / (n - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_US: u64 = 60_000_000;

    fn steady(per_bucket: u64) -> Velocity {
        let counts = alloc::vec![per_bucket; 11];
        Velocity::of([(counts, 11 * MINUTE_US, MINUTE_US)].into_iter())
    }

    #[test]
    fn steady_work_is_off_by_chance_alone() {
        let velocity = steady(25);
        assert_eq!((velocity.done, velocity.spread), (275, 16));
        assert_eq!(
            (velocity.per_hour(), velocity.per_second_milli()),
            (1500, 417)
        );
        let eta = velocity.eta(275).expect("work is done");
        assert_eq!(eta.expected, Duration::from_secs(11 * 60));
        assert!(eta.earliest < eta.expected && eta.latest.is_some_and(|at| at > eta.expected));
    }

    #[test]
    fn work_in_bursts_is_less_certain() {
        let mut counts = alloc::vec![0; 11];
        counts[5] = 275;
        let velocity = Velocity::of([(counts, 11 * MINUTE_US, MINUTE_US)].into_iter());
        assert_eq!(velocity.done, 275);
        assert!(velocity.spread > 200, "{}", velocity.spread);
    }

    #[test]
    fn two_buckets_are_enough_to_tell_how_they_differ() {
        // The newest bucket is incomplete, and those before the work began mean nothing.
        let of = |counts: &[u64], buckets| {
            let window = (counts.to_vec(), buckets * MINUTE_US, MINUTE_US);
            Velocity::of([window].into_iter()).spread
        };
        assert_eq!(of(&[0, 100, 0], 2), 100);
        assert_eq!(of(&[0, 100], 1), 10, "chance alone");
        assert_eq!(of(&[0, 20, 20, 20, 20, 20, 0, 0, 0, 0, 0], 5), 10);
    }

    #[test]
    fn windows_of_several_nodes_are_added_up_bucket_by_bucket() {
        for widest_first in [true, false] {
            let mut windows = alloc::vec![
                (alloc::vec![1, 2, 3], 2 * MINUTE_US, MINUTE_US),
                (alloc::vec![4], MINUTE_US / 2, MINUTE_US / 2),
            ];
            if !widest_first {
                windows.reverse();
            }
            let velocity = Velocity::of(windows.into_iter());
            assert_eq!(velocity.done, 10);
            assert_eq!(velocity.over, Duration::from_secs(120));
        }
    }

    #[test]
    fn one_event_tells_no_latest_time() {
        let eta = steady(0).eta(10);
        assert_eq!(eta, None, "nothing is done, so nothing can be told");
        let once = Velocity {
            done: 1,
            over: Duration::from_secs(60),
            spread: 1,
        };
        assert_eq!(once.eta(10).expect("something is done").latest, None);
    }

    #[test]
    fn nothing_left_takes_no_time() {
        let eta = steady(0).eta(0).expect("nothing is left");
        assert_eq!(eta.expected, Duration::ZERO);
    }

    #[test]
    fn numbers_as_large_as_they_get_do_not_overflow() {
        let counts = alloc::vec![u64::MAX; 240];
        let velocity = Velocity::of([(counts, u64::MAX, 1)].into_iter());
        assert!(velocity.eta(u64::MAX).is_some());
        assert!(velocity.per_hour() > 0);
    }
}
