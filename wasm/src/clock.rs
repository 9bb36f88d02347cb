//! Time as JavaScript measures it: floating-point milliseconds, as from `performance.now()`.

use core::time::Duration;

use tidegate_core::time::Instant;

/// The instant that is `ms` milliseconds after the host's origin, to the nearest microsecond.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and an instant that is no number is the origin"
)]
#[inline(never)]
pub(crate) fn instant(ms: f64) -> Instant {
    Instant::from_micros((ms * 1e3 + 0.5) as u64)
}

/// A duration of `ms` milliseconds; a negative number or NaN counts as zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates"
)]
#[inline(never)]
pub(crate) fn duration(ms: f64) -> Duration {
    Duration::from_micros((ms * 1e3 + 0.5) as u64)
}

/// When to be called, in the host's milliseconds; infinity for never.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact below 2^53 microseconds, 285 years"
)]
pub(crate) fn deadline_ms(at: Option<Instant>) -> f64 {
    at.map_or(f64::INFINITY, |at| at.as_micros() as f64 / 1e3)
}
