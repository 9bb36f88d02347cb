//! What a gate knows about a throttle upstream that feeds it.
//!
//! A coarse throttle behind a finer one gets values when windows upstream end, at about the same times as its own
//! windows. If such a value is a moment late, it misses the end of this window and waits for that of the next: much
//! longer than if it came unthrottled. So a window that ends while a value may be in flight waits for it.

use core::time::Duration;

use crate::time::Instant;

use super::span::Span;

/// The longest wait beyond the time at which a value should arrive, to allow for varying transit times.
const GRACE_MAX: Duration = Duration::from_millis(50);

/// The wait is at most this part of a window upstream.
const GRACE_PART: u64 = 8;

/// A feed delivers one value per window, at its end, as long as there are any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Feed {
    window: Span,
    /// When the last value arrived.
    last: Instant,
}

impl Feed {
    /// A feed that has delivered nothing yet.
    pub(super) const fn new(window: Span) -> Self {
        Self {
            window,
            last: Instant::ZERO,
        }
    }

    pub(super) const fn window(&self) -> Span {
        self.window
    }

    pub(super) fn on_value(&mut self, now: Instant) {
        self.last = now;
    }

    /// When a window with something pending ends that should end at `end`: then, if the last value arrived near enough
    /// to it, or if nothing is in flight; otherwise when the next value should have arrived.
    pub(super) fn end(&self, end: Instant) -> Instant {
        if self.last + self.window.part(2) >= end {
            return end;
        }
        let grace = self.window.part(GRACE_PART).min(GRACE_MAX);
        end.max(self.window.after(self.last) + grace)
    }
}
