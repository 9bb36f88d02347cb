//! What a gate knows of a throttle upstream that feeds it.
//!
//! A coarse throttle behind a finer one gets values when windows upstream end, and its own windows end at about the same
//! times. Whichever is a moment earlier decides whether a value leaves at the end of this window or of the next: far later than if it
//! came unthrottled. So a window that ends while something may be on its way waits for that.

use core::time::Duration;

use crate::time::Instant;

use super::span::Span;

/// The longest that something is waited for beyond the time at which it should come, in which the way here may take longer once
/// than another time.
const GRACE_MAX: Duration = Duration::from_millis(50);

/// A part of a window upstream: no more is waited for beyond its end.
const GRACE_PART: u64 = 8;

/// Values come once per window, at its end, while there are any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Feed {
    window: Span,
    /// When the last one came.
    last: Instant,
}

impl Feed {
    /// One of which nothing has come yet.
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

    /// When a window that should end at `end` with something pending does end: then, if what came last came nearest to then, or nothing
    /// is on its way; otherwise when the next value should have come.
    pub(super) fn end(&self, end: Instant) -> Instant {
        if self.last + self.window.part(2) >= end {
            return end;
        }
        let grace = self.window.part(GRACE_PART).min(GRACE_MAX);
        end.max(self.window.after(self.last) + grace)
    }
}
