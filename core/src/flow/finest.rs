//! What a hub asks of its uplink if its own subscribers differ.

use core::time::Duration;

use super::{Conflate, Flow, Pace};

/// The shortest window is made up of at most this many windows of the common throttle.
const PARTS_MAX: u32 = 4;

impl Flow {
    /// The one flow that serves all of `flows` from a single subscription upstream; `None` if there are none.
    ///
    /// - Equal flows are served by the same flow.
    /// - Throttles with trailing edges, which all keep the latest value, all sum, or all collect, are served by a
    ///   throttle. Its window is the longest that divides all of theirs, so each of their windows ends together with
    ///   one of its own: 500 ms for 1 s and 1.5 s. If that is less than a quarter of the shortest window, it is the
    ///   shortest window.
    /// - Anything else needs every publication. This includes merges of different paces: if patches that were merged
    ///   are merged again, the result may differ from merging all of them at once. A member that is removed and then
    ///   set to an object again replaces the earlier object in one case, and is merged with it in the other.
    ///
    /// With deltas, if any of the flows has them.
    pub fn finest(flows: &[Self]) -> Option<Self> {
        let first = flows.first()?;
        let delta = flows.iter().any(|flow| flow.delta);
        let finest = if flows.iter().all(|flow| flow.emits_like(first)) {
            *first
        } else {
            common_throttle(flows).unwrap_or(Self::IMMEDIATE)
        };
        Some(finest.with_delta(delta))
    }
}

/// A throttle that serves all flows; `None` if there is none.
fn common_throttle(flows: &[Flow]) -> Option<Flow> {
    let mut windows = flows.iter().map(|flow| match flow.pace {
        Pace::Throttle {
            every,
            trailing: true,
            ..
        } => Some(every),
        Pace::Immediate | Pace::Throttle { .. } | Pace::Debounce { .. } => None,
    });
    let first = windows.next()??;
    let beginning = (first, millis(first));
    let (shortest, common) = windows.try_fold(beginning, |(shortest, common), window| {
        let window = window?;
        let common = divisor(common, millis(window));
        Some((shortest.min(window), common))
    })?;
    let mut conflations = flows.iter().map(|flow| flow.conflate);
    let first = conflations.next()?;
    let conflate = conflations.try_fold(first, common_conflation)?;
    let every = window(common, shortest).unwrap_or(shortest);
    Some(Flow::throttle(every).with_conflate(conflate))
}

/// The window in whole milliseconds, the unit of the protocol; 1 if it isn't whole.
const fn millis(window: Duration) -> u64 {
    if window.subsec_nanos().is_multiple_of(1_000_000) {
        window.as_secs() * 1_000 + window.subsec_millis() as u64
    } else {
        1
    }
}

/// The greatest common divisor.
const fn divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A window of `millis` milliseconds, unless it is much shorter than the shortest.
fn window(millis: u64, shortest: Duration) -> Option<Duration> {
    let window = Duration::from_millis(millis);
    (window * PARTS_MAX >= shortest).then_some(window)
}

/// The conflation of a throttle that serves both; a batch is full as soon as the smaller of theirs is.
fn common_conflation(a: Conflate, b: Conflate) -> Option<Conflate> {
    match (a, b) {
        (Conflate::Latest, Conflate::Latest) => Some(Conflate::Latest),
        // Adding up parts and then their sums gives the same result, as long as a field is always a number.
        (Conflate::Sum, Conflate::Sum) => Some(Conflate::Sum),
        (Conflate::Collect { max: a }, Conflate::Collect { max: b }) => {
            Some(Conflate::Collect { max: a.min(b) })
        }
        (
            Conflate::Latest | Conflate::Merge | Conflate::Sum | Conflate::Collect { .. },
            Conflate::Latest | Conflate::Merge | Conflate::Sum | Conflate::Collect { .. },
        ) => None,
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use super::*;

    fn finest(flows: &[Flow]) -> Flow {
        Flow::finest(flows).expect("there are some")
    }

    fn throttle(ms: u64) -> Flow {
        Flow::throttle(Duration::from_millis(ms))
    }

    fn collect(ms: u64, max: u32) -> Flow {
        let max = NonZeroU32::new(max).expect("a batch holds at least one");
        throttle(ms).with_conflate(Conflate::Collect { max })
    }

    #[test]
    fn what_is_equal_is_served_by_itself() {
        let debounce = Flow::debounce(Duration::from_millis(5));
        assert_eq!(finest(&[debounce, debounce]), debounce);
        let deltas = debounce.with_delta(true);
        assert_eq!(finest(&[debounce, deltas, debounce]), deltas);
    }

    #[test]
    fn throttles_are_served_by_the_window_that_theirs_are_made_of() {
        assert_eq!(finest(&[throttle(300), throttle(100)]), throttle(100));
        assert_eq!(finest(&[throttle(1_000), throttle(1_500)]), throttle(500));
        assert_eq!(finest(&[throttle(400), throttle(500)]), throttle(100));
        let three = [throttle(2_000), throttle(5_000), throttle(1_500)];
        assert_eq!(finest(&three), throttle(500));
    }

    #[test]
    fn windows_that_have_little_in_common_are_served_by_the_shortest() {
        assert_eq!(finest(&[throttle(1_000), throttle(1_001)]), throttle(1_000));
        let odd = Flow::throttle(Duration::from_micros(10_500));
        assert_eq!(finest(&[odd, throttle(200)]), odd);
    }

    #[test]
    fn collections_are_served_by_the_smaller_batch() {
        assert_eq!(
            finest(&[collect(200, 50), collect(500, 20)]),
            collect(100, 20)
        );
    }

    #[test]
    fn sums_are_served_by_sums_of_the_window_that_theirs_are_made_of() {
        let sum = |ms| throttle(ms).with_conflate(Conflate::Sum);
        assert_eq!(finest(&[sum(1_000), sum(3_000)]), sum(1_000));
        assert_eq!(finest(&[sum(1_000), sum(1_500)]), sum(500));
    }

    #[test]
    fn what_has_nothing_in_common_needs_every_publication() {
        let edge = Flow {
            pace: Pace::Throttle {
                every: Duration::from_millis(100),
                leading: true,
                trailing: false,
            },
            ..Flow::IMMEDIATE
        };
        let sums = throttle(100).with_conflate(Conflate::Sum);
        let merges = throttle(100).with_conflate(Conflate::Merge);
        for other in [
            Flow::IMMEDIATE,
            Flow::debounce(Duration::from_millis(100)),
            collect(100, 5),
            edge,
            sums,
            merges,
        ] {
            assert_eq!(
                finest(&[throttle(100), other]),
                Flow::IMMEDIATE,
                "{other:?}"
            );
        }
        assert_eq!(
            finest(&[merges, throttle(200).with_conflate(Conflate::Merge)]),
            Flow::IMMEDIATE
        );
    }
}
