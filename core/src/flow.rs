//! Flow control as a policy: the pace of a subscription, and what happens to publications that wait.
//!
//! A [`Flow`] is a [`Pace`] and a [`Conflate`]. The machine that applies it is [`crate::gate::Gate`].

mod finest;
mod floor;
mod past;
mod slow;

use core::num::NonZeroU32;
use core::time::Duration;

use alloc::string::String;

pub use floor::FlowFloor;
pub(crate) use past::Past;
pub use slow::{Slow, UnknownSlow};

use crate::limits::{COLLECT_MAX, PACE_MAX, PACE_MIN};
use crate::words::{decimal, sentence};

/// When a gate lets publications through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pace {
    /// Every publication, at once. Nothing waits, so nothing is conflated.
    #[default]
    Immediate,
    /// At most one emission per `every`: RxJS's `throttleTime`.
    ///
    /// The first publication opens a window, and is emitted at once if `leading`. What is published within the window
    /// is conflated and emitted at its end if `trailing`. That emission opens a new window, so two emissions are never
    /// closer together than `every`. With neither edge, only a terminal publication is ever emitted.
    Throttle {
        /// The length of a window.
        every: Duration,
        /// Emit at the start of a burst.
        leading: bool,
        /// Emit what is pending at a window's end.
        trailing: bool,
    },
    /// Emits when publications pause: lodash's `debounce`, with `flush`, `cancel` and `maxWait`.
    Debounce {
        /// How long nothing must be published.
        quiet: Duration,
        /// The longest that an emission may be delayed; a value below `quiet` counts as `quiet`.
        max_wait: Option<Duration>,
        /// Emit at the start of a burst.
        leading: bool,
        /// Emit after its end.
        trailing: bool,
    },
}

/// What happens to publications that wait in a gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Conflate {
    /// The newest replaces the older ones.
    #[default]
    Latest,
    /// Each is merged into the older ones (RFC 7396).
    Merge,
    /// Numbers add up, field by field.
    Sum,
    /// All of them, in order, as one batch; nothing is lost.
    Collect {
        /// A batch with this many publications is emitted at once, ahead of its pace, so that memory is bounded and
        /// nothing is lost.
        max: NonZeroU32,
    },
}

/// A subscription's flow control: its pace and its conflation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flow {
    /// When to emit.
    pub pace: Pace,
    /// What to emit.
    pub conflate: Conflate,
    /// Whether a connection may carry deltas where they are shorter. Subscribers get complete values in any case.
    pub delta: bool,
}

/// Why a [`Flow`] is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum FlowError {
    /// A duration is out of range.
    DurationOutOfRange {
        /// The name of the duration in the protocol.
        field: &'static str,
    },
    /// A batch would be too large.
    CollectTooLarge,
    /// Deltas were requested with `collect`, whose batches contain complete publications.
    DeltaOfCollect,
}

impl FlowError {
    /// What is wrong, in words.
    pub fn message(&self) -> String {
        match self {
            Self::DurationOutOfRange { field } => {
                sentence(&[field, " must be between 1 ms and 24 h"])
            }
            Self::CollectTooLarge => {
                let max = decimal(COLLECT_MAX as usize);
                sentence(&["collect max must be at most ", &max, " publications"])
            }
            Self::DeltaOfCollect => {
                "delta works with latest, merge and sum; collect batches are sent whole".into()
            }
        }
    }
}

impl Flow {
    /// Every publication, at once: the default.
    pub const IMMEDIATE: Self = Self {
        pace: Pace::Immediate,
        conflate: Conflate::Latest,
        delta: false,
    };

    /// The latest value at most once per `every`, at both edges of a burst.
    pub const fn throttle(every: Duration) -> Self {
        Self {
            pace: Pace::Throttle {
                every,
                leading: true,
                trailing: true,
            },
            conflate: Conflate::Latest,
            delta: false,
        }
    }

    /// The latest value, once nothing has been published for `quiet`.
    pub const fn debounce(quiet: Duration) -> Self {
        Self {
            pace: Pace::Debounce {
                quiet,
                max_wait: None,
                leading: false,
                trailing: true,
            },
            conflate: Conflate::Latest,
            delta: false,
        }
    }

    /// The same pace with another conflation.
    #[must_use]
    pub const fn with_conflate(self, conflate: Conflate) -> Self {
        Self { conflate, ..self }
    }

    /// The same flow, with or without deltas.
    #[must_use]
    pub const fn with_delta(self, delta: bool) -> Self {
        Self { delta, ..self }
    }

    /// Returns whether both emit the same at the same times.
    pub fn emits_like(&self, other: &Self) -> bool {
        (self.pace, self.conflate) == (other.pace, other.conflate)
    }

    /// Checks a flow that an outsider requested.
    ///
    /// # Errors
    /// If a duration or the size of a batch is out of range, or deltas are combined with `collect`.
    pub fn validate(&self) -> Result<(), FlowError> {
        let in_range = |field, duration: Duration| {
            if (PACE_MIN..=PACE_MAX).contains(&duration) {
                Ok(())
            } else {
                Err(FlowError::DurationOutOfRange { field })
            }
        };
        match self.pace {
            Pace::Immediate => {}
            Pace::Throttle { every, .. } => in_range("throttle_ms", every)?,
            Pace::Debounce {
                quiet, max_wait, ..
            } => {
                in_range("debounce_ms", quiet)?;
                if let Some(max_wait) = max_wait {
                    in_range("max_wait_ms", max_wait)?;
                }
            }
        }
        match self.conflate {
            Conflate::Collect { max } if max.get() > COLLECT_MAX => Err(FlowError::CollectTooLarge),
            Conflate::Collect { .. } if self.delta => Err(FlowError::DeltaOfCollect),
            Conflate::Collect { .. } | Conflate::Latest | Conflate::Merge | Conflate::Sum => Ok(()),
        }
    }

    /// Whether every publication goes straight through, so that no gate is needed.
    pub const fn is_immediate(&self) -> bool {
        matches!(self.pace, Pace::Immediate)
    }

    /// Returns whether a gap is no loss to a subscriber that gets the latest value.
    pub(crate) fn skips(&self) -> bool {
        self.conflates() && self.conflate == Conflate::Latest
    }

    /// Whether publications that wait may be combined into one: a paced flow that does not collect.
    ///
    /// A subscriber with such a flow has no gaps to be told of: under pressure it gets fewer, newer
    /// publications. Any other subscriber that falls behind is told how many it lost.
    pub const fn conflates(&self) -> bool {
        !self.is_immediate() && !matches!(self.conflate, Conflate::Collect { .. })
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_collection_may_be_as_large_as_the_limit() {
        let collect = |max| {
            let max = NonZeroU32::new(max).expect("a batch holds at least one");
            Flow::throttle(PACE_MIN).with_conflate(Conflate::Collect { max })
        };
        assert_eq!(collect(COLLECT_MAX).validate(), Ok(()));
        let too_large = Err(FlowError::CollectTooLarge);
        assert_eq!(collect(COLLECT_MAX + 1).validate(), too_large);
    }
}
