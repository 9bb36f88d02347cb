//! A flow packed into 16 bytes, because there may be a million of them.

use core::num::NonZeroU32;
use core::time::Duration;

use crate::flow::{Conflate, Flow, Pace};
use crate::limits::{COLLECT_MAX, PACE_MAX};

/// The layout of `first`: the lower bits are the duration of the pace in microseconds.
const DURATION_BITS: u32 = 48;
const THROTTLE: u64 = 1 << 48;
const DEBOUNCE: u64 = 1 << 49;
const LEADING: u64 = 1 << 50;
const TRAILING: u64 = 1 << 51;
const HAS_MAX_WAIT: u64 = 1 << 52;
const MERGE: u64 = 1 << 53;
const SUM: u64 = 1 << 54;
const COLLECT: u64 = 1 << 55;

/// The layout of `second`: from this bit on, the maximum of a batch. The lower bits, in microseconds, are the
/// `max_wait` of a debounce, or the window of the throttle that feeds a throttle (zero if none does).
const MAX_WAIT_BITS: u32 = 48;

const _: () = assert!(PACE_MAX.as_micros() < 1 << MAX_WAIT_BITS);
const _: () = assert!(COLLECT_MAX < 1 << (u64::BITS - MAX_WAIT_BITS));

/// A valid [`Flow`], with its durations rounded up to microseconds, as gates do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeptFlow {
    first: u64,
    second: u64,
}

impl KeptFlow {
    pub(super) const fn is_immediate(self) -> bool {
        self.first & (THROTTLE | DEBOUNCE) == 0
    }

    /// The same flow for a subscription whose gates are fed by a throttle with this window.
    pub(super) fn with_feed(self, window: Option<Duration>) -> Self {
        if self.first & THROTTLE == 0 {
            return self;
        }
        let max = self.second & !((1 << MAX_WAIT_BITS) - 1);
        Self {
            second: max | window.map_or(0, micros),
            ..self
        }
    }

    /// The window of the throttle that feeds its gates, if one does.
    pub(super) fn feed(self) -> Option<Duration> {
        let window = duration(self.second);
        (self.first & THROTTLE != 0 && !window.is_zero()).then_some(window)
    }

    pub(super) fn get(self) -> Flow {
        let has = |flag| self.first & flag != 0;
        let (leading, trailing) = (has(LEADING), has(TRAILING));
        let pace = if has(THROTTLE) {
            Pace::Throttle {
                every: duration(self.first),
                leading,
                trailing,
            }
        } else if has(DEBOUNCE) {
            Pace::Debounce {
                quiet: duration(self.first),
                max_wait: has(HAS_MAX_WAIT).then(|| duration(self.second)),
                leading,
                trailing,
            }
        } else {
            Pace::Immediate
        };
        let conflate = if has(MERGE) {
            Conflate::Merge
        } else if has(SUM) {
            Conflate::Sum
        } else if has(COLLECT) {
            let max = (self.second >> MAX_WAIT_BITS) as u32;
            Conflate::Collect {
                max: NonZeroU32::new(max).unwrap_or(NonZeroU32::MIN),
            }
        } else {
            Conflate::Latest
        };
        Flow {
            pace,
            conflate,
            delta: false,
        }
    }
}

impl From<Flow> for KeptFlow {
    fn from(flow: Flow) -> Self {
        let edges = |leading, trailing| {
            let leading = if leading { LEADING } else { 0 };
            leading | if trailing { TRAILING } else { 0 }
        };
        let (first, max_wait) = match flow.pace {
            Pace::Immediate => (0, None),
            Pace::Throttle {
                every,
                leading,
                trailing,
            } => (THROTTLE | edges(leading, trailing) | micros(every), None),
            Pace::Debounce {
                quiet,
                max_wait,
                leading,
                trailing,
            } => (
                DEBOUNCE | edges(leading, trailing) | micros(quiet),
                max_wait,
            ),
        };
        let (conflate, max) = match flow.conflate {
            Conflate::Latest => (0, 0),
            Conflate::Merge => (MERGE, 0),
            Conflate::Sum => (SUM, 0),
            Conflate::Collect { max } => (COLLECT, max.get().min(COLLECT_MAX)),
        };
        Self {
            first: first | conflate | max_wait.map_or(0, |_| HAS_MAX_WAIT),
            second: max_wait.map_or(0, micros) | u64::from(max) << MAX_WAIT_BITS,
        }
    }
}

/// The duration in the lower bits of a word.
const fn duration(word: u64) -> Duration {
    Duration::from_micros(word & ((1 << DURATION_BITS) - 1))
}

/// A duration in whole microseconds, rounded up, and limited to that of a valid flow.
fn micros(duration: Duration) -> u64 {
    let duration = duration.min(PACE_MAX);
    duration.as_secs() * 1_000_000 + u64::from(duration.subsec_nanos().div_ceil(1_000))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_flow() -> impl Strategy<Value = Flow> {
        let duration = || (1_000..=86_400_000_000_u64).prop_map(Duration::from_micros);
        let edges = || (any::<bool>(), any::<bool>());
        let throttle =
            (duration(), edges()).prop_map(|(every, (leading, trailing))| Pace::Throttle {
                every,
                leading,
                trailing,
            });
        let debounce = (duration(), prop::option::of(duration()), edges()).prop_map(
            |(quiet, max_wait, (leading, trailing))| Pace::Debounce {
                quiet,
                max_wait,
                leading,
                trailing,
            },
        );
        let conflate = prop_oneof![
            Just(Conflate::Latest),
            Just(Conflate::Merge),
            Just(Conflate::Sum),
            (1..=COLLECT_MAX).prop_map(|max| Conflate::Collect {
                max: max.try_into().unwrap()
            }),
        ];
        let pace = prop_oneof![Just(Pace::Immediate), throttle, debounce];
        (pace, conflate).prop_map(|(pace, conflate)| Flow {
            pace,
            conflate,
            ..Flow::IMMEDIATE
        })
    }

    proptest! {
        #[test]
        fn every_valid_flow_comes_back_as_it_was(flow in any_flow()) {
            prop_assert!(flow.validate().is_ok());
            let kept = KeptFlow::from(flow);
            prop_assert_eq!(kept.get(), flow);
            prop_assert_eq!(kept.is_immediate(), flow.is_immediate());
            prop_assert_eq!(kept.feed(), None);
        }

        #[test]
        fn only_a_throttle_is_fed_and_its_flow_stays_as_it_was(flow in any_flow(), ms in 1..86_400_000_u64) {
            let window = Some(Duration::from_millis(ms));
            let kept = KeptFlow::from(flow).with_feed(window);
            prop_assert_eq!(kept.get(), flow);
            let is_throttle = matches!(flow.pace, Pace::Throttle { .. });
            prop_assert_eq!(kept.feed(), window.filter(|_| is_throttle));
            prop_assert_eq!(kept.with_feed(None), KeptFlow::from(flow));
        }
    }

    #[test]
    fn a_part_of_a_microsecond_counts_as_a_whole_one_as_it_does_for_gates() {
        let flow = |nanos| Flow::throttle(Duration::from_nanos(nanos));
        assert_eq!(KeptFlow::from(flow(1_000_001)).get(), flow(1_001_000));
    }
}
