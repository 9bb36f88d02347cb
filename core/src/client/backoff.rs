//! How long to wait before retrying what has failed: connecting, taking the lead, publishing.

use core::time::Duration;

use crate::random::Random;

/// Exponential backoff with full jitter: a random time up to a ceiling that doubles with each failure, so that the
/// clients of a restarted server don't all come back at once (Brooker, "Exponential Backoff And Jitter", 2015).
#[derive(Debug)]
pub struct Backoff {
    random: Random,
    base: Duration,
    max: Duration,
    attempt: u32,
}

impl Backoff {
    /// The ceiling starts at `base` and never exceeds `max`. Equal seeds give equal waits.
    pub const fn new(seed: u64, base: Duration, max: Duration) -> Self {
        Self {
            random: Random::new(seed),
            base,
            max,
            attempt: 0,
        }
    }

    /// How many times it has waited since the last reset.
    pub(crate) const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The attempt succeeded: starts over with the shortest wait.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }

    /// A random part of a time.
    pub(crate) fn part_of(&mut self, time: Duration) -> Duration {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.random.up_to(micros))
    }

    /// How long to wait after another failure; at least a microsecond.
    pub fn next_wait(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.attempt).unwrap_or(u32::MAX);
        let ceiling = self.base.saturating_mul(factor).min(self.max);
        self.attempt = self.attempt.saturating_add(1);
        // A deadline must lie after `now`, or the host would spin.
        self.part_of(ceiling).max(Duration::from_micros(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "thousands of numbers, and no memory")]
    fn waits_stay_below_a_ceiling_that_doubles_up_to_the_longest() {
        let (base, max) = (Duration::from_millis(250), Duration::from_secs(20));
        for seed in 0..200 {
            let mut backoff = Backoff::new(seed, base, max);
            for attempt in 0..40_u32 {
                let ceiling = base.saturating_mul(2_u32.saturating_pow(attempt)).min(max);
                assert!(
                    backoff.next_wait() <= ceiling,
                    "seed {seed}, attempt {attempt}"
                );
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "a thousand numbers, and no memory")]
    fn waits_spread_over_the_whole_range() {
        let mut early = 0;
        for seed in 0..1000 {
            let mut backoff = Backoff::new(seed, Duration::from_secs(1), Duration::from_secs(1));
            early += u32::from(backoff.next_wait() < Duration::from_millis(500));
        }
        assert!(
            (400..600).contains(&early),
            "{early} of 1000 in the first half"
        );
    }
}
