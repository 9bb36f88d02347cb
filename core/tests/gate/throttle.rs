//! `Pace::Throttle`, beside what the recorded vectors of RxJS hold it to.

use tidegate_core::flow::Flow;
use tidegate_core::gate::{Emission, Gate};
use tidegate_core::time::Instant;

use super::{Timeline, Word, collect, ms, throttle};

#[test]
fn a_burst_is_emitted_at_both_edges_and_a_trailing_emission_opens_a_window() {
    let log = Timeline::new(throttle(100, true, true))
        .values(&[(0, "a"), (1, "b"), (2, "c"), (101, "d"), (500, "e")])
        .log();
    assert_eq!(log, "0:a 100:c 200:d 500:e");
}

#[test]
fn without_a_trailing_edge_the_rest_of_a_window_is_dropped() {
    let log = Timeline::new(throttle(100, true, false))
        .values(&[(0, "a"), (99, "b"), (100, "c"), (150, "d")])
        .log();
    assert_eq!(log, "0:a 100:c");
}

#[test]
fn without_a_trailing_edge_a_batch_leaves_whole_or_not_at_all() {
    let log = Timeline::new(throttle(100, true, false).with_conflate(collect(4)))
        .batch(0, "ab")
        .batch(50, "cd")
        .batch(100, "ef")
        .log();
    assert_eq!(log, "0:[a b] 100:[e f]");
}

#[test]
fn without_a_leading_edge_the_first_value_waits_for_the_windows_end() {
    let log = Timeline::new(throttle(100, false, true))
        .values(&[(0, "a"), (150, "b"), (400, "c")])
        .log();
    assert_eq!(log, "100:a 200:b 500:c");
}

#[test]
fn with_neither_edge_only_a_terminal_is_emitted() {
    let log = Timeline::new(throttle(100, false, false))
        .values(&[(0, "a"), (150, "b")])
        .flush(160)
        .terminal(170, "end")
        .log();
    assert_eq!(log, "170:end");
}

#[test]
fn a_flush_emits_what_is_pending_and_the_window_counts_from_it() {
    let log = Timeline::new(throttle(100, true, true))
        .values(&[(0, "a"), (10, "b")])
        .flush(20)
        .value(30, "c")
        .log();
    assert_eq!(log, "0:a 20:b 120:c");
}

#[test]
fn a_flush_with_nothing_pending_leaves_the_window_as_it_is() {
    let log = Timeline::new(throttle(100, true, true))
        .flush(0)
        .value(10, "a")
        .flush(50)
        .value(60, "b")
        .log();
    assert_eq!(log, "10:a 110:b");
}

#[test]
fn a_cancel_drops_what_is_pending_and_forgets_the_window() {
    let log = Timeline::new(throttle(100, true, true))
        .values(&[(0, "a"), (10, "b")])
        .cancel(20)
        .values(&[(30, "c"), (40, "d")])
        .log();
    assert_eq!(log, "0:a 30:c 130:d");
}

#[test]
fn a_value_at_the_windows_end_comes_after_the_timer_though_nobody_woke_the_gate() {
    let mut gate = Gate::new(Flow::throttle(ms(100)));
    for (t, value) in [(0, "a"), (50, "b"), (100, "c")] {
        gate.handle_value(Instant::from_millis(t), Word(value.to_owned()));
    }
    let outputs: Vec<_> = std::iter::from_fn(|| gate.poll_output()).collect();
    assert_eq!(
        outputs,
        ["a", "b"].map(|value| Emission::One(Word(value.to_owned())))
    );
    assert_eq!(gate.poll_timeout(), Some(Instant::from_millis(200)));
}

#[test]
fn a_window_ends_to_the_microsecond() {
    let mut gate = Gate::new(Flow::throttle(ms(1)));
    let word = || Word("a".to_owned());
    gate.handle_value(Instant::from_micros(7), word());
    gate.handle_value(Instant::from_micros(8), word());
    assert!(gate.poll_output().is_some());
    assert_eq!(gate.poll_timeout(), Some(Instant::from_micros(1_007)));
    gate.handle_timeout(Instant::from_micros(1_006));
    assert_eq!(gate.poll_output(), None);
    gate.handle_timeout(Instant::from_micros(1_007));
    assert!(gate.poll_output().is_some());
}
