//! A live change of flow: nothing pending is lost, and no throttle's distance is cut short.

use tidegate_core::flow::{Conflate, Flow};

use super::{Timeline, collect, debounce, ms, throttle};

fn with_b_pending_at_10(flow: Flow) -> Timeline {
    Timeline::new(flow).values(&[(0, "a"), (10, "b")])
}

#[test]
fn a_shorter_window_counts_from_where_the_current_one_opened() {
    let log = with_b_pending_at_10(Flow::throttle(ms(1_000)))
        .flow(50, Flow::throttle(ms(100)))
        .value(110, "c")
        .log();
    assert_eq!(log, "0:a 100:b 200:c");
}

#[test]
fn what_is_overdue_at_the_new_pace_leaves_at_once() {
    let log = with_b_pending_at_10(Flow::throttle(ms(1_000)))
        .flow(500, Flow::throttle(ms(100)))
        .value(510, "c")
        .log();
    assert_eq!(log, "0:a 500:b 600:c");
}

#[test]
fn a_longer_window_keeps_its_distance_from_the_last_emission() {
    let log = with_b_pending_at_10(Flow::throttle(ms(100)))
        .flow(50, Flow::throttle(ms(1_000)))
        .log();
    assert_eq!(log, "0:a 1000:b");
}

#[test]
fn a_longer_window_keeps_its_distance_even_where_the_shorter_one_had_ended() {
    let log = Timeline::new(Flow::throttle(ms(10)))
        .value(0, "a")
        .flow(500, Flow::throttle(ms(1_000)))
        .value(600, "b")
        .log();
    assert_eq!(log, "0:a 1000:b");
}

#[test]
fn a_throttle_keeps_its_distance_from_what_passed_at_once() {
    let log = with_b_pending_at_10(Flow::IMMEDIATE)
        .flow(20, Flow::throttle(ms(100)))
        .value(30, "c")
        .log();
    assert_eq!(log, "0:a 10:b 110:c");
}

#[test]
fn at_an_immediate_pace_what_is_pending_leaves_at_once() {
    for flow in [Flow::throttle(ms(100)), Flow::debounce(ms(100))] {
        let log = Timeline::new(flow)
            .values(&[(0, "a"), (10, "b"), (110, "c")])
            .flow(120, Flow::IMMEDIATE)
            .value(121, "d")
            .log();
        assert!(log.ends_with("120:c 121:d"), "{log}");
    }
}

#[test]
fn what_is_pending_leaves_though_the_new_pace_has_no_trailing_edge() {
    let log = with_b_pending_at_10(Flow::throttle(ms(100)))
        .flow(50, throttle(200, true, false))
        .values(&[(60, "c"), (210, "d"), (400, "e")])
        .log();
    assert_eq!(log, "0:a 200:c 400:e");
    let log = with_b_pending_at_10(Flow::debounce(ms(100)))
        .flow(50, debounce(200, None, true, false))
        .log();
    assert_eq!(log, "210:b");
}

#[test]
fn a_debounce_counts_on_from_the_last_call_and_the_last_emission() {
    let log = with_b_pending_at_10(Flow::debounce(ms(1_000)))
        .flow(50, Flow::debounce(ms(100)))
        .log();
    assert_eq!(log, "110:b");
    let log = with_b_pending_at_10(Flow::debounce(ms(1_000)))
        .flow(500, Flow::debounce(ms(100)))
        .log();
    assert_eq!(log, "500:b");
    let log = with_b_pending_at_10(Flow::debounce(ms(100)))
        .values(&[(80, "c"), (150, "d")])
        .flow(160, debounce(100, Some(200), false, true))
        .values(&[(210, "e"), (280, "f")])
        .log();
    assert_eq!(log, "200:d 380:f");
}

#[test]
fn where_a_throttle_becomes_a_debounce_the_change_counts_as_the_last_call() {
    let log = with_b_pending_at_10(Flow::throttle(ms(1_000)))
        .flow(50, Flow::debounce(ms(100)))
        .log();
    assert_eq!(log, "0:a 150:b");
    let log = with_b_pending_at_10(Flow::throttle(ms(1_000)))
        .flow(500, debounce(100, Some(300), false, true))
        .log();
    assert_eq!(log, "0:a 500:b");
}

#[test]
fn where_a_debounce_becomes_a_throttle_the_burst_has_opened_its_window() {
    let log = with_b_pending_at_10(Flow::debounce(ms(1_000)))
        .flow(50, Flow::throttle(ms(100)))
        .log();
    assert_eq!(log, "100:b");
    let log = with_b_pending_at_10(Flow::debounce(ms(1_000)))
        .flow(500, Flow::throttle(ms(100)))
        .log();
    assert_eq!(log, "500:b");
}

#[test]
fn what_is_pending_is_conflated_anew() {
    let collecting = Flow::throttle(ms(100)).with_conflate(collect(10));
    let change = |from: Flow, to: Conflate| {
        let changed = || {
            with_b_pending_at_10(from)
                .value(20, "c")
                .flow(50, Flow::throttle(ms(100)).with_conflate(to))
        };
        [changed().log(), changed().value(60, "d").log()]
    };
    assert_eq!(
        change(collecting, Conflate::Latest),
        ["0:[a] 100:c", "0:[a] 100:d"]
    );
    assert_eq!(
        change(collecting, Conflate::Sum),
        ["0:[a] 100:b+c", "0:[a] 100:b+c+d"]
    );
    assert_eq!(
        change(collecting, Conflate::Merge),
        ["0:[a] 100:b&c", "0:[a] 100:b&c&d"]
    );
    assert_eq!(
        change(Flow::throttle(ms(100)), collect(10)),
        ["0:a 100:[c]", "0:a 100:[c d]"]
    );
}

#[test]
fn a_batch_that_is_too_large_for_the_new_flow_leaves_whole_and_at_once() {
    let flow = |max| Flow::throttle(ms(100)).with_conflate(collect(max));
    let log = with_b_pending_at_10(flow(10))
        .values(&[(20, "c"), (30, "d")])
        .flow(50, flow(2))
        .value(60, "e")
        .log();
    assert_eq!(log, "0:[a] 50:[b c d] 150:[e]");
}

#[test]
fn the_same_flow_changes_nothing() {
    for flow in [
        Flow::throttle(ms(100)),
        Flow::debounce(ms(100)),
        debounce(100, Some(250), true, true),
    ] {
        let calls = [(0, "a"), (10, "b"), (90, "c"), (130, "d"), (220, "e")];
        let undisturbed = Timeline::new(flow).values(&calls).log();
        let mut timeline = Timeline::new(flow);
        for (t, value) in calls {
            timeline = timeline.value(t, value).flow(t + 5, flow);
        }
        assert_eq!(timeline.log(), undisturbed);
    }
}
