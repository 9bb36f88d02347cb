//! At most one emission per window: RxJS's `throttleTime`, as a machine that sees only time.

use crate::time::Instant;

use super::feed::Feed;
use super::machine::Arrival;
use super::span::Span;

/// Decides when a throttled gate emits. The values are held elsewhere.
#[derive(Debug)]
pub(super) struct Throttle {
    every: Span,
    state: State,
    /// Set if values come from another throttle.
    feed: Option<Feed>,
}

/// ```text
///            value (emits if leading)
///   Idle ────────────────────────────► Window ──┐ the window's end, a value pending: emits;
///    ▲                                  │  ▲    │ a value that the end has waited for: emits;
///    │ the window's end, none pending;  │  │    │ flush, a value pending: emits;
///    └──────────────── cancel ──────────┘  └────┘ a full batch
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    /// No window is open, and nothing is pending.
    Idle {
        /// When the last window opened, with no emission since: a longer pace that begins now must keep its distance
        /// from it.
        last_opened: Option<Instant>,
    },
    /// A window is open: values that arrive before `opened + every` are held until then.
    Window {
        /// When it was opened by an emission or, without a leading edge, by a value.
        opened: Instant,
    },
}

impl Throttle {
    /// A throttle whose last window opened at `last_opened`, whatever the pace was then.
    ///
    /// That window may have ended long ago: the next [`Self::on_due`] finds out.
    pub(super) fn new(every: Span, last_opened: Option<Instant>) -> Self {
        let state = match last_opened {
            Some(opened) => State::Window { opened },
            None => State::Idle { last_opened: None },
        };
        Self {
            every,
            state,
            feed: None,
        }
    }

    /// Values now come from a throttle with this window, or unthrottled.
    pub(super) fn set_feed(&mut self, window: Option<Span>) {
        if self.feed.map(|feed| feed.window()) != window {
            self.feed = window.map(Feed::new);
        }
    }

    pub(super) const fn every(&self) -> Span {
        self.every
    }

    /// Call [`Self::on_due`] first, which ends a window that is over, unless its end waits for this value.
    pub(super) fn on_value(&mut self, now: Instant, leading: bool) -> Arrival {
        if let Some(feed) = &mut self.feed {
            feed.on_value(now);
        }
        match self.state {
            State::Idle { .. } => {
                self.state = State::Window { opened: now };
                Arrival::at_edge(leading)
            }
            State::Window { opened } if self.every.after(opened) <= now => {
                self.restart(now);
                Arrival::Emit
            }
            State::Window { .. } => Arrival::Hold,
        }
    }

    /// Ends the window if it is time. Returns whether what is pending is emitted.
    pub(super) fn on_due(&mut self, now: Instant, is_pending: bool) -> bool {
        match self.state {
            State::Idle { .. } => false,
            State::Window { opened } if self.end(opened, is_pending) > now => false,
            State::Window { opened } => {
                self.state = if is_pending {
                    State::Window { opened: now }
                } else {
                    State::Idle {
                        last_opened: Some(opened),
                    }
                };
                is_pending
            }
        }
    }

    /// What is pending is emitted now, and the window counts from here.
    pub(super) fn restart(&mut self, now: Instant) {
        self.state = State::Window { opened: now };
    }

    pub(super) fn cancel(&mut self) {
        self.state = State::Idle { last_opened: None };
    }

    pub(super) fn deadline(&self, is_pending: bool) -> Option<Instant> {
        match self.state {
            State::Idle { .. } => None,
            State::Window { opened } => Some(self.end(opened, is_pending)),
        }
    }

    /// The time before which a value only becomes the newest. With a feed, each value also matters because it predicts
    /// when the next one arrives.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        match self.feed {
            Some(_) => None,
            None => self.deadline(true),
        }
    }

    fn end(&self, opened: Instant, is_pending: bool) -> Instant {
        let end = self.every.after(opened);
        match self.feed {
            Some(feed) if is_pending => feed.end(end),
            Some(_) | None => end,
        }
    }

    pub(super) fn last_opened(&self) -> Option<Instant> {
        match self.state {
            State::Idle { last_opened } => last_opened,
            State::Window { opened } => Some(opened),
        }
    }
}
