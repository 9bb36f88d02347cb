//! The three paces behind one interface. Time goes in and decisions come out; the machine never sees the values.

use core::time::Duration;

use crate::flow::Pace;
use crate::time::Instant;

use super::debounce::Debounce;
use super::span::Span;
use super::throttle::Throttle;

/// What happens to a value that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is emitted unchanged.
    Pass,
    /// It is emitted now, together with what is pending.
    Emit,
    /// It becomes pending, if the gate keeps values at all.
    Hold,
}

impl Arrival {
    /// What happens to the first value of a burst.
    pub(super) const fn at_edge(leading: bool) -> Self {
        if leading { Self::Emit } else { Self::Hold }
    }
}

/// The edges of a burst at which a pace emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edges {
    pub(super) leading: bool,
    pub(super) trailing: bool,
}

impl From<Pace> for Edges {
    fn from(pace: Pace) -> Self {
        match pace {
            Pace::Immediate => Self {
                leading: true,
                trailing: true,
            },
            Pace::Throttle {
                leading, trailing, ..
            }
            | Pace::Debounce {
                leading, trailing, ..
            } => Self { leading, trailing },
        }
    }
}

/// A pace in progress, without its [`Edges`], which a gate stores more compactly elsewhere.
#[derive(Debug)]
pub(super) enum Machine {
    Immediate {
        /// The emission that a slower pace which begins now must keep its distance from.
        last_emission: Option<Instant>,
    },
    Throttle(Throttle),
    Debounce(Debounce),
}

impl Machine {
    pub(super) fn new(pace: Pace) -> Self {
        match pace {
            Pace::Immediate => Self::Immediate {
                last_emission: None,
            },
            Pace::Throttle { every, .. } => Self::Throttle(Throttle::new(every.into(), None)),
            Pace::Debounce {
                quiet, max_wait, ..
            } => Self::Debounce(Debounce::new(quiet.into(), max_wait.map(Span::from), None)),
        }
    }

    pub(super) fn pace(&self, edges: Edges) -> Pace {
        let Edges { leading, trailing } = edges;
        match self {
            Self::Immediate { .. } => Pace::Immediate,
            Self::Throttle(throttle) => Pace::Throttle {
                every: throttle.every().into(),
                leading,
                trailing,
            },
            Self::Debounce(debounce) => Pace::Debounce {
                quiet: debounce.quiet().into(),
                max_wait: debounce.max_wait().map(Duration::from),
                leading,
                trailing,
            },
        }
    }

    pub(super) fn on_value(&mut self, now: Instant, leading: bool) -> Arrival {
        match self {
            Self::Immediate { last_emission } => {
                *last_emission = Some(now);
                Arrival::Pass
            }
            Self::Throttle(throttle) => throttle.on_value(now, leading),
            Self::Debounce(debounce) => debounce.on_value(now, leading),
        }
    }

    /// Values now come from a throttle with this window, or unthrottled.
    pub(super) fn set_feed(&mut self, window: Option<Span>) {
        match self {
            Self::Throttle(throttle) => throttle.set_feed(window),
            Self::Immediate { .. } | Self::Debounce(_) => {}
        }
    }

    /// Handles deadlines up to `now`. Returns whether what is pending is emitted.
    pub(super) fn on_due(&mut self, now: Instant, is_pending: bool) -> bool {
        match self {
            Self::Immediate { .. } => false,
            Self::Throttle(throttle) => throttle.on_due(now, is_pending),
            Self::Debounce(debounce) => debounce.on_due(now, is_pending),
        }
    }

    /// The owner flushes: what is pending is emitted.
    pub(super) fn flush(&mut self, now: Instant, is_pending: bool) {
        match self {
            Self::Immediate { .. } => {}
            Self::Throttle(throttle) => {
                if is_pending {
                    throttle.restart(now);
                }
            }
            Self::Debounce(debounce) => debounce.flush(now, is_pending),
        }
    }

    /// What is pending is emitted because it is full.
    pub(super) fn restart(&mut self, now: Instant) {
        match self {
            Self::Immediate { .. } => {}
            Self::Throttle(throttle) => throttle.restart(now),
            Self::Debounce(debounce) => debounce.restart(now),
        }
    }

    pub(super) fn cancel(&mut self) {
        match self {
            Self::Immediate { last_emission } => *last_emission = None,
            Self::Throttle(throttle) => throttle.cancel(),
            Self::Debounce(debounce) => debounce.cancel(),
        }
    }

    /// Changes the pace. Returns whether what is pending is emitted at once.
    pub(super) fn change(&mut self, now: Instant, pace: Pace, is_pending: bool) -> bool {
        let last_opened = self.last_opened();
        match pace {
            Pace::Immediate => {
                let last_emission = if is_pending { Some(now) } else { last_opened };
                *self = Self::Immediate { last_emission };
                return is_pending;
            }
            Pace::Throttle { every, .. } => {
                *self = Self::Throttle(Throttle::new(every.into(), last_opened));
            }
            Pace::Debounce {
                quiet, max_wait, ..
            } => {
                let (quiet, max_wait) = (quiet.into(), max_wait.map(Span::from));
                match self {
                    Self::Debounce(debounce) => debounce.change(now, quiet, max_wait),
                    Self::Immediate { .. } | Self::Throttle(_) => {
                        *self = Self::Debounce(if is_pending {
                            Debounce::new_waiting(quiet, max_wait, last_opened, now)
                        } else {
                            Debounce::new(quiet, max_wait, last_opened)
                        });
                    }
                }
            }
        }
        self.on_due(now, is_pending)
    }

    pub(super) fn deadline(&self, is_pending: bool) -> Option<Instant> {
        match self {
            Self::Immediate { .. } => None,
            Self::Throttle(throttle) => throttle.deadline(is_pending),
            Self::Debounce(debounce) => debounce.deadline(),
        }
    }

    /// The time before which a value only replaces the previous one.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        match self {
            Self::Immediate { .. } => None,
            Self::Throttle(throttle) => throttle.rests_until(),
            Self::Debounce(debounce) => debounce.rests_until(),
        }
    }

    /// When the gate last emitted, or opened a window or a burst without emitting. No emission was later.
    fn last_opened(&self) -> Option<Instant> {
        match self {
            Self::Immediate { last_emission } => *last_emission,
            Self::Throttle(throttle) => throttle.last_opened(),
            Self::Debounce(debounce) => debounce.last_opened(),
        }
    }
}
