//! A throttle behind a finer one.

use proptest::prelude::*;
use tidegate_core::flow::Flow;
use tidegate_core::gate::{Emission, Gate};
use tidegate_core::time::Instant;

use super::{Timeline, Word, collect, ms, throttle};

fn fed(flow: Flow, window_ms: u64) -> Timeline {
    let mut timeline = Timeline::new(flow);
    let gate = &mut timeline.gate;
    gate.handle_feed(Instant::ZERO, Some(ms(window_ms)));
    timeline
}

#[test]
fn what_comes_a_moment_after_the_window_leaves_with_it() {
    let log = fed(throttle(300, true, true), 100)
        .values(&[(0, "a"), (100, "b"), (203, "c"), (303, "d")])
        .log();
    assert_eq!(log, "0:a 303:d");
}

#[test]
fn what_came_a_moment_before_the_end_is_not_kept_waiting_for_more() {
    let log = fed(throttle(300, true, true), 100)
        .values(&[(0, "a"), (100, "b"), (298, "c"), (398, "d")])
        .log();
    assert_eq!(log, "0:a 300:c 600:d");
    let log = fed(throttle(300, true, true), 100)
        .values(&[(0, "a"), (250, "b")])
        .log();
    assert_eq!(log, "0:a 300:b", "as near as what would come next");
}

#[test]
fn where_nothing_comes_the_end_is_an_eighth_of_the_feeds_window_late() {
    let log = fed(throttle(300, true, true), 100)
        .values(&[(0, "a"), (200, "b")])
        .log();
    assert_eq!(log, "0:a 312:b");
    let log = fed(throttle(3_000, true, true), 1_000)
        .values(&[(0, "a"), (2_000, "b")])
        .log();
    assert_eq!(log, "0:a 3050:b", "and no more than 50 ms");
}

#[test]
fn a_feed_that_has_paused_is_not_waited_for() {
    let log = fed(throttle(300, true, true), 100)
        .values(&[(0, "a"), (100, "b")])
        .log();
    assert_eq!(log, "0:a 300:b");
}

#[test]
fn a_window_in_which_nothing_waits_is_not_kept_open_for_the_feed() {
    let log = fed(throttle(100, false, true), 100)
        .values(&[(0, "a"), (98, "b"), (205, "c")])
        .log();
    assert_eq!(log, "100:b 317:c");
}

#[test]
fn a_feed_that_ends_is_waited_for_no_more() {
    let timeline = fed(throttle(300, true, true), 200).values(&[(0, "a"), (140, "b")]);
    let log = timeline
        .at(310, |gate, now| gate.handle_feed(now, None))
        .log();
    assert_eq!(log, "0:a 310:b");
}

#[test]
fn batches_count_as_one_arrival() {
    let flow = throttle(300, true, true).with_conflate(collect(4));
    let timeline = fed(flow, 100).batch(0, "ab").batch(100, "cd");
    let timeline = timeline.batch(200, "efgh").batch(403, "i");
    let log = timeline.batch(505, "j").log();
    assert_eq!(log, "0:[a b] 200:[c d e f] 505:[g h i j]");
}

proptest! {
    /// Whatever comes when: nothing is closer than the window, and the newest is out no later than promised.
    #[test]
    fn a_fed_throttle_keeps_its_distance_and_its_promise(
        every in 10_u64..500,
        window in 1_u64..500,
        leading: bool,
        gaps in prop::collection::vec(0_u64..700, 1..40),
    ) {
        let mut gate = Gate::new(throttle(every, leading, true));
        gate.handle_feed(Instant::ZERO, Some(ms(window)));
        let mut emitted: Vec<(Instant, usize)> = Vec::new();
        let mut drain = |gate: &mut Gate<Word>, now| {
            while let Some(emission) = gate.poll_output() {
                let Emission::One(Word(number)) = emission else { panic!("a batch") };
                emitted.push((now, number.parse().expect("a number")));
            }
        };
        let mut arrivals = Vec::new();
        let mut now = Instant::ZERO;
        for (number, gap) in gaps.iter().enumerate() {
            let next = now + ms(*gap);
            while let Some(at) = gate.poll_timeout().filter(|at| *at <= next) {
                gate.handle_timeout(at);
                drain(&mut gate, at);
            }
            now = next;
            gate.handle_value(now, Word(number.to_string()));
            drain(&mut gate, now);
            arrivals.push(now);
        }
        while let Some(at) = gate.poll_timeout() {
            gate.handle_timeout(at);
            drain(&mut gate, at);
        }
        for pair in emitted.windows(2) {
            prop_assert!(pair[1].0 - pair[0].0 >= ms(every));
        }
        let grace = (ms(window) / 8).min(ms(50));
        for (number, arrived) in arrivals.into_iter().enumerate() {
            let shown = emitted.iter().find(|(_, shown)| *shown >= number);
            let (shown, _) = shown.expect("the last value is emitted");
            prop_assert!(*shown - arrived <= ms(every) + ms(window) / 2 + grace, "{number}");
        }
    }
}
