//! Emits when values pause: lodash's `debounce`, as a machine that sees only time.
//!
//! lodash wakes early and postpones its timer; here, a deadline is where that chain of timers ends, and the timers on
//! the way are caught up on at the next call. What is emitted, and when, is the same.

use crate::time::Instant;

use super::leftovers::Leftovers;
use super::machine::Arrival;
use super::span::Span;

/// Decides when a debounced gate emits. The values are held elsewhere.
#[derive(Debug)]
pub(super) struct Debounce {
    quiet: Span,
    max_wait: Option<Span>,
    state: State,
    leftovers: Leftovers,
}

/// A burst *lapses* `quiet` after its last call, or `max_wait` after its last emission (its first call, if there was
/// none). A timer that fires closes a burst that has lapsed; otherwise, it is postponed until the burst lapses.
///
/// ```text
///   Idle ───── value: emits if leading ──────────────────────────► Waiting
///   Waiting ── value: waits; emits if lapsed before the timer ───► Waiting
///   Waiting ── a timer due, lapsed: emits what is pending ───────► Cooling
///   Waiting ── flush: emits what is pending, its timer stays ────► Cooling
///   Cooling ── value: waits, and sets a timer ───────────────────► Waiting
///   Cooling ── a leftover timer due, not lapsed ─────────────────► Waiting
///   Cooling ── lapsed ───────────────────────────────────────────► Idle
///   any ────── a full batch ─────────────────────────────────────► Waiting
///   any ────── cancel ───────────────────────────────────────────► Idle
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing is pending, and the next value opens a burst.
    Idle {
        /// The last emission, or the opening of the last burst; needed if the pace changes.
        last_opened: Option<Instant>,
    },
    /// Just emitted, but the last call is still recent: the next value continues the burst, without an edge.
    Cooling {
        last_call: Instant,
        last_emission: Instant,
    },
    /// Within a burst.
    Waiting {
        last_call: Instant,
        last_emission: Instant,
        timer: Instant,
    },
}

impl Debounce {
    pub(super) fn new(quiet: Span, max_wait: Option<Span>, last_opened: Option<Instant>) -> Self {
        Self {
            quiet,
            max_wait,
            state: State::Idle { last_opened },
            leftovers: Leftovers::default(),
        }
    }

    /// A debounce within a burst whose last call is now, for a gate that changes its pace with a value pending.
    pub(super) fn new_waiting(
        quiet: Span,
        max_wait: Option<Span>,
        last_opened: Option<Instant>,
        now: Instant,
    ) -> Self {
        Self {
            state: State::Waiting {
                last_call: now,
                last_emission: last_opened.unwrap_or(now),
                timer: now,
            },
            ..Self::new(quiet, max_wait, last_opened)
        }
    }

    pub(super) const fn quiet(&self) -> Span {
        self.quiet
    }

    pub(super) const fn max_wait(&self) -> Option<Span> {
        self.max_wait
    }

    /// Changes the durations of the current burst; the next [`Self::on_due`] finds out whether it has lapsed.
    pub(super) fn change(&mut self, now: Instant, quiet: Span, max_wait: Option<Span>) {
        self.quiet = quiet;
        self.max_wait = max_wait;
        self.leftovers = Leftovers::default();
        match self.state {
            State::Idle { .. } | State::Cooling { .. } => {}
            State::Waiting {
                last_call,
                last_emission,
                timer: _,
            } => {
                self.state = State::Waiting {
                    last_call,
                    last_emission,
                    timer: now,
                };
            }
        }
    }

    /// Call [`Self::on_due`] first, which ends states that are over.
    pub(super) fn on_value(&mut self, now: Instant, leading: bool) -> Arrival {
        match self.state {
            State::Idle { .. } => {
                self.restart(now);
                Arrival::at_edge(leading)
            }
            State::Cooling {
                last_call: _,
                last_emission,
            } => {
                self.state = State::Waiting {
                    last_call: now,
                    last_emission,
                    timer: self.quiet.after(now),
                };
                Arrival::Hold
            }
            State::Waiting {
                last_call,
                last_emission,
                timer: _,
            } if self.lapse(last_call, last_emission) <= now => {
                self.restart(now);
                Arrival::Emit
            }
            State::Waiting {
                last_call: _,
                last_emission,
                timer,
            } => {
                self.state = State::Waiting {
                    last_call: now,
                    last_emission,
                    timer,
                };
                Arrival::Hold
            }
        }
    }

    /// Runs the timers that are due. Returns whether what is pending is emitted.
    pub(super) fn on_due(&mut self, now: Instant, is_pending: bool) -> bool {
        let mut emits = false;
        loop {
            match self.state {
                State::Idle { .. } => {
                    if !self.leftovers.take_due(now) {
                        return emits;
                    }
                }
                State::Cooling {
                    last_call,
                    last_emission,
                } => {
                    let lapse = self.lapse(last_call, last_emission);
                    if lapse <= now {
                        self.state = State::Idle {
                            last_opened: Some(last_emission),
                        };
                    } else if self.leftovers.take_due(now) {
                        self.state = State::Waiting {
                            last_call,
                            last_emission,
                            timer: lapse,
                        };
                    } else {
                        return emits;
                    }
                }
                State::Waiting {
                    last_call,
                    last_emission,
                    timer,
                } => {
                    let is_own = timer <= now;
                    if !is_own {
                        if !self.leftovers.take_due(now) {
                            return emits;
                        }
                        self.leftovers.push(timer);
                    }
                    let lapse = self.lapse(last_call, last_emission);
                    if lapse > now {
                        self.state = State::Waiting {
                            last_call,
                            last_emission,
                            timer: lapse,
                        };
                    } else {
                        // At most once: a burst that emits now lapses next because of its last call, and that ends it.
                        emits = is_pending;
                        self.state = State::Cooling {
                            last_call,
                            last_emission: if emits { now } else { last_emission },
                        };
                    }
                }
            }
        }
    }

    /// Ends the wait, so that what is pending is emitted now. The timer keeps running, as lodash's does.
    pub(super) fn flush(&mut self, now: Instant, is_pending: bool) {
        match self.state {
            State::Idle { .. } | State::Cooling { .. } => {}
            State::Waiting {
                last_call,
                last_emission,
                timer,
            } => {
                self.leftovers.push(timer);
                self.state = State::Cooling {
                    last_call,
                    last_emission: if is_pending { now } else { last_emission },
                };
            }
        }
    }

    /// A burst begins now, or begins again because what was pending is emitted early.
    pub(super) fn restart(&mut self, now: Instant) {
        self.state = State::Waiting {
            last_call: now,
            last_emission: now,
            timer: self.quiet.after(now),
        };
    }

    /// Forgets the burst and stops its timer, but no timer that a flush has left over: lodash's `cancel`.
    pub(super) fn cancel(&mut self) {
        self.state = State::Idle { last_opened: None };
    }

    /// When what is pending is emitted at the latest; with nothing pending, when the state ends.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let leftover = self.leftovers.earliest();
        match self.state {
            State::Idle { .. } => leftover,
            State::Cooling {
                last_call,
                last_emission,
            } => Some(self.lapse(last_call, last_emission)),
            State::Waiting {
                last_call,
                last_emission,
                timer,
            } => {
                let timer = leftover.map_or(timer, |leftover| leftover.min(timer));
                Some(self.lapse(last_call, last_emission).max(timer))
            }
        }
    }

    /// The time before which a value only becomes the last call: no timer fires, and no burst lapses.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        match self.state {
            State::Idle { .. } | State::Cooling { .. } => None,
            State::Waiting {
                last_call,
                last_emission,
                timer,
            } => {
                let lapse = self.lapse(last_call, last_emission);
                let leftover = self.leftovers.earliest().unwrap_or(lapse);
                Some(lapse.min(timer).min(leftover))
            }
        }
    }

    pub(super) fn last_opened(&self) -> Option<Instant> {
        match self.state {
            State::Idle { last_opened } => last_opened,
            State::Cooling { last_emission, .. } | State::Waiting { last_emission, .. } => {
                Some(last_emission)
            }
        }
    }

    /// When a burst lapses. A `max_wait` below `quiet` counts as `quiet`.
    fn lapse(&self, last_call: Instant, last_emission: Instant) -> Instant {
        let by_quiet = self.quiet.after(last_call);
        match self.max_wait {
            Some(max_wait) => by_quiet.min(max_wait.max(self.quiet).after(last_emission)),
            None => by_quiet,
        }
    }
}
