//! A gate that rests: only the last of what comes then counts.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tidegate_core::flow::{Conflate, Flow};
use tidegate_core::time::Instant;

use super::schedule::{Input, Left, PUNCTUAL, Run, pace};
use super::{Timeline, Word, collect, debounce, ms, throttle};

/// What leaves a gate that is handed, of what comes while it rests, the last one alone.
fn spared(flow: Flow, gaps_us: &[u64]) -> Vec<Left> {
    let mut run = Run::new(PUNCTUAL, flow, &[]);
    let mut last: Option<(Instant, Word)> = None;
    for gap in gaps_us.iter().map(|gap| Duration::from_micros(*gap)) {
        let next = run.now + gap;
        if run.gate.rests_until().is_some_and(|until| until <= next) {
            hand_over(&mut run, last.take());
        }
        run.wait(gap);
        let word = run.next_word();
        if run.gate.rests_until().is_some() {
            last = Some((next, word));
        } else {
            hand_over(&mut run, Some((next, word)));
        }
    }
    hand_over(&mut run, last);
    run.finish()
}

fn hand_over(run: &mut Run, value: Option<(Instant, Word)>) {
    if let Some((at, word)) = value {
        run.gate.handle_value(at, word);
        run.drain(at);
    }
}

proptest! {
    #[test]
    fn nobody_can_tell_what_a_resting_gate_was_spared(
        pace in pace(any::<bool>()),
        gaps_us in vec(prop_oneof![0..2_000_u64, 0..60_000_u64, (0..40_u64).prop_map(|ms| ms * 1_000)], 0..60),
    ) {
        let flow = Flow { pace, ..Flow::IMMEDIATE };
        let all: Vec<_> = gaps_us.iter().map(|gap| (*gap, Input::Value)).collect();
        prop_assert_eq!(spared(flow, &gaps_us), Run::new(PUNCTUAL, flow, &all).finish());
    }
}

#[test]
fn a_gate_rests_within_a_window_and_within_a_burst() {
    let rests_until = |flow, calls: &[(u64, &str)]| {
        let until = Timeline::new(flow).values(calls).gate.rests_until();
        until.map(|until| until.as_micros() / 1_000)
    };
    let (once, twice) = ([(0, "a")], [(0, "a"), (60, "b")]);
    let throttled = throttle(100, true, true);
    assert_eq!(rests_until(throttled, &[]), None);
    assert_eq!(rests_until(throttled, &twice), Some(100));
    let debounced = debounce(100, None, false, true);
    assert_eq!(rests_until(debounced, &[]), None);
    assert_eq!(rests_until(debounced, &once), Some(100));
    assert_eq!(
        rests_until(debounced, &twice),
        Some(100),
        "its timer is due"
    );
    assert_eq!(rests_until(Flow::IMMEDIATE, &once), None);
    let mut lapsing = Timeline::new(debounce(100, Some(100), true, true));
    lapsing = lapsing.values(&[(0, "a"), (60, "b"), (130, "c")]);
    lapsing.gate.handle_timeout(Instant::from_millis(200));
    assert_eq!(lapsing.gate.rests_until(), None, "its burst lapses now");
    for conflate in [Conflate::Merge, Conflate::Sum, collect(4)] {
        assert_eq!(rests_until(throttled.with_conflate(conflate), &twice), None);
    }
    let mut fed = Timeline::new(throttled).values(&twice);
    fed.gate.handle_feed(Instant::ZERO, Some(ms(10)));
    assert_eq!(
        fed.gate.rests_until(),
        None,
        "each says when the next comes"
    );
    assert_eq!(
        Timeline::new(throttled)
            .terminal(0, "end")
            .gate
            .rests_until(),
        None
    );
}
