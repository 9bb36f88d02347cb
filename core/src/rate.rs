//! Rate limits: a token bucket, stored as the one instant at which it would be full again.
//!
//! This is the generic cell rate algorithm (ITU-T I.371). It allows exactly what a token bucket allows that starts
//! full, holds `burst` tokens, and gains `per_second` of them evenly.

mod buckets;

use core::num::NonZeroU32;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Instant;
pub use buckets::Buckets;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many times per second, in the long run; at most 1,000,000.
    pub per_second: NonZeroU32,
    /// How many times in quick succession after a pause.
    pub burst: NonZeroU32,
}

/// The state of one token bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When everything that was taken will have been refilled.
    full_at: Instant,
}

impl Rate {
    /// The time in which one token is refilled.
    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.get()
    }

    /// The same rate with half the burst. Whatever is sent at this rate also stays within the original one, even if
    /// some of it is delayed on the way and arrives together with what was sent after it.
    #[must_use]
    pub fn with_half_burst(self) -> Self {
        let half = NonZeroU32::new(self.burst.get() / 2);
        Self {
            burst: half.unwrap_or(NonZeroU32::MIN),
            ..self
        }
    }

    /// The time in which an empty bucket is refilled.
    fn span(self) -> Duration {
        self.interval().saturating_mul(self.burst.get())
    }
}

impl Bucket {
    /// A full bucket.
    pub const fn new() -> Self {
        Self {
            full_at: Instant::ZERO,
        }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// If the bucket is empty. Nothing was taken; a token will be available after the returned time.
    pub fn take(&mut self, now: Instant, rate: Rate) -> Result<(), Duration> {
        let full_at = self.full_at.max(now) + rate.interval();
        let over = (full_at - now).saturating_sub(rate.span());
        if over > Duration::ZERO {
            return Err(over);
        }
        self.full_at = full_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    pub(super) fn rate(per_second: u32, burst: u32) -> Rate {
        Rate {
            per_second: NonZeroU32::new(per_second).unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
        }
    }

    #[test]
    fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let rate = rate(10, 3);
        let mut bucket = Bucket::new();
        let start = Instant::from_millis(5);
        for _ in 0..3 {
            assert_eq!(bucket.take(start, rate), Ok(()));
        }
        assert_eq!(bucket.take(start, rate), Err(Duration::from_millis(100)));
        let later = start + Duration::from_millis(100);
        assert_eq!(bucket.take(later, rate), Ok(()));
        assert_eq!(bucket.take(later, rate), Err(Duration::from_millis(100)));
    }

    proptest! {
        /// The model counts tokens in millionths, as a bucket is usually described.
        #[test]
        fn it_allows_what_a_bucket_of_tokens_allows(
            per_second in prop::sample::select(vec![1_u32, 2, 5, 10, 100, 1_000]),
            burst in 1_u32..20,
            waits in prop::collection::vec(0_u64..400_000, 1..if cfg!(miri) { 30 } else { 200 }),
        ) {
            let rate = rate(per_second, burst);
            let mut bucket = Bucket::new();
            let full = u64::from(burst) * 1_000_000;
            let (mut tokens, mut now) = (full, 0);
            for wait in waits {
                now += wait;
                tokens = full.min(tokens + wait * u64::from(per_second));
                let allowed = bucket.take(Instant::from_micros(now), rate);
                prop_assert_eq!(allowed.is_ok(), tokens >= 1_000_000);
                match allowed {
                    Ok(()) => tokens -= 1_000_000,
                    Err(wait) => {
                        let missing = 1_000_000 - tokens;
                        prop_assert_eq!(
                            wait,
                            Duration::from_micros(missing.div_ceil(u64::from(per_second)))
                        );
                    }
                }
            }
        }
    }
}
