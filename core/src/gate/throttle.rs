//! At most one emission per window: RxJS's `throttleTime`, as a machine over time alone.

use crate::time::Instant;

use super::machine::Arrival;
use super::span::Span;

/// When a throttled gate emits. What it emits is held elsewhere.
#[derive(Debug)]
pub(super) struct Throttle {
    every: Span,
    state: State,
}

/// ```text
///            value (emits if leading)
///   Idle ────────────────────────────► Window ──┐ the window's end, a value pending: emits;
///    ▲                                  │  ▲    │ flush, a value pending: emits;
///    │ the window's end, none pending;  │  └────┘ a full batch
///    └──────────────── cancel ──────────┘
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    /// No window is open, and nothing is pending.
    Idle {
        /// When the last window opened. Nothing was emitted since: what a longer pace that begins
        /// now has to keep its distance from.
        last_opened: Option<Instant>,
    },
    /// Values that come before `opened + every` wait for it.
    Window {
        /// The emission, or with no leading edge the value, that opened it.
        opened: Instant,
    },
}

impl Throttle {
    /// A throttle whose last window opened at `last_opened`, whatever the pace was then.
    ///
    /// That window may long be over: the next [`Self::on_due`] finds out.
    pub(super) fn new(every: Span, last_opened: Option<Instant>) -> Self {
        let state = match last_opened {
            Some(opened) => State::Window { opened },
            None => State::Idle { last_opened: None },
        };
        Self { every, state }
    }

    pub(super) const fn every(&self) -> Span {
        self.every
    }

    pub(super) fn on_value(&mut self, now: Instant, leading: bool) -> Arrival {
        match self.state {
            State::Idle { .. } => {
                self.state = State::Window { opened: now };
                Arrival::at_edge(leading)
            }
            State::Window { .. } => Arrival::Hold,
        }
    }

    /// Ends the window if it is time; whether what is pending leaves.
    pub(super) fn on_due(&mut self, now: Instant, is_pending: bool) -> bool {
        match self.state {
            State::Idle { .. } => false,
            State::Window { opened } if self.every.after(opened) > now => false,
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

    /// What is pending leaves now, and the window counts from here.
    pub(super) fn restart(&mut self, now: Instant) {
        self.state = State::Window { opened: now };
    }

    pub(super) fn cancel(&mut self) {
        self.state = State::Idle { last_opened: None };
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Idle { .. } => None,
            State::Window { opened } => Some(self.every.after(opened)),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        match self.state {
            State::Idle { .. } => true,
            State::Window { .. } => false,
        }
    }

    pub(super) fn last_opened(&self) -> Option<Instant> {
        match self.state {
            State::Idle { last_opened } => last_opened,
            State::Window { opened } => Some(opened),
        }
    }
}
