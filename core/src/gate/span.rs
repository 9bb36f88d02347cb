//! The durations of a pace, as the machines count them.

use core::num::NonZeroU64;
use core::time::Duration;

use crate::time::Instant;

/// The last instant that a gate distinguishes. It is late enough for any clock, and deadlines beyond it never saturate,
/// so they always lie after `now`.
pub(super) const CLOCK_END: Instant = Instant::from_micros(u64::MAX / 2);

/// A duration in whole microseconds, rounded up, and at least one, so that a window ends after it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    micros: NonZeroU64,
}

impl Span {
    /// The point in time that lies this long after `start`.
    pub(super) const fn after(self, start: Instant) -> Instant {
        Instant::from_micros(start.as_micros().saturating_add(self.micros.get()))
    }

    /// A fraction of it: `1 / divisor`, rounded down.
    pub(super) const fn part(self, divisor: u64) -> Duration {
        Duration::from_micros(self.micros.get() / divisor)
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        // Not computed from all its nanoseconds: they have 128 bits, and dividing those takes a lot of code.
        let below_a_second = u64::from(duration.subsec_nanos().div_ceil(1_000));
        let micros = duration
            .as_secs()
            .saturating_mul(1_000_000)
            .saturating_add(below_a_second)
            .min(CLOCK_END.as_micros());
        Self {
            micros: NonZeroU64::new(micros).unwrap_or(NonZeroU64::MIN),
        }
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_micros(span.micros.get())
    }
}
