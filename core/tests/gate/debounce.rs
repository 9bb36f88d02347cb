//! `Pace::Debounce`, beside what the recorded vectors of lodash hold it to.

use super::{Timeline, debounce};

#[test]
fn a_value_is_emitted_once_nothing_has_come_for_the_quiet_time() {
    let log = Timeline::new(debounce(100, None, false, true))
        .values(&[(0, "a"), (99, "b"), (198, "c"), (500, "d")])
        .log();
    assert_eq!(log, "298:c 600:d");
}

#[test]
fn a_value_exactly_a_quiet_time_later_belongs_to_the_next_burst() {
    let log = Timeline::new(debounce(100, None, false, true))
        .values(&[(0, "a"), (100, "b")])
        .log();
    assert_eq!(log, "100:a 200:b");
}

#[test]
fn with_both_edges_a_burst_of_one_is_emitted_once_and_the_next_is_leading_however_soon() {
    let log = Timeline::new(debounce(100, None, true, true))
        .values(&[(0, "a"), (300, "b"), (310, "c"), (411, "d")])
        .log();
    assert_eq!(log, "0:a 300:b 410:c 411:d");
}

#[test]
fn without_a_trailing_edge_only_the_first_of_a_burst_is_emitted() {
    let log = Timeline::new(debounce(100, None, true, false))
        .values(&[(0, "a"), (90, "b"), (180, "c"), (280, "d")])
        .log();
    assert_eq!(log, "0:a 280:d");
}

#[test]
fn max_wait_counts_from_the_first_value_and_then_from_the_last_emission() {
    let calls = [
        (0, "a"),
        (60, "b"),
        (120, "c"),
        (180, "d"),
        (240, "e"),
        (300, "f"),
    ];
    let log = Timeline::new(debounce(100, Some(150), false, true))
        .values(&calls)
        .log();
    assert_eq!(log, "150:c 300:e 400:f");
}

#[test]
fn a_max_wait_below_the_quiet_time_counts_as_the_quiet_time() {
    let calls = [(0, "a"), (50, "b"), (99, "c"), (130, "d"), (205, "e")];
    let log_with = |max_wait_ms| {
        Timeline::new(debounce(100, Some(max_wait_ms), true, true))
            .values(&calls)
            .log()
    };
    assert_eq!(log_with(1), log_with(100));
}

#[test]
fn a_value_after_max_wait_is_emitted_at_once_where_the_timer_is_later() {
    let calls = [(0, "a"), (60, "b"), (130, "c"), (205, "d")];
    let log = Timeline::new(debounce(100, Some(100), true, true))
        .values(&calls)
        .log();
    assert_eq!(log, "0:a 100:b 205:d");
    let log = Timeline::new(debounce(100, Some(100), true, true))
        .values(&[(0, "a"), (60, "b"), (130, "c"), (200, "d")])
        .log();
    assert_eq!(log, "0:a 100:b 200:d", "to the millisecond");
}

#[test]
fn without_a_trailing_edge_max_wait_ends_a_burst_that_goes_on() {
    let calls = [(0, "a"), (60, "b"), (120, "c"), (160, "d"), (220, "e")];
    let log = Timeline::new(debounce(100, Some(150), true, false))
        .values(&calls)
        .log();
    assert_eq!(log, "0:a 160:d");
}

#[test]
fn the_timer_of_a_burst_that_was_flushed_goes_on_though_the_next_is_cancelled() {
    let log = Timeline::new(debounce(100, Some(100), false, true))
        .value(0, "a")
        .flush(20)
        .cancel(30)
        .values(&[(40, "b"), (120, "c"), (150, "d")])
        .log();
    assert_eq!(log, "20:a 140:c 240:d");
}

#[test]
fn a_flush_emits_what_is_pending_and_max_wait_counts_from_it() {
    let log = Timeline::new(debounce(100, Some(100), true, true))
        .values(&[(0, "a"), (10, "b")])
        .flush(20)
        .value(30, "c")
        .log();
    assert_eq!(log, "0:a 20:b 120:c");
}

#[test]
fn a_flush_with_nothing_pending_emits_nothing() {
    let log = Timeline::new(debounce(100, None, true, true))
        .flush(0)
        .value(10, "a")
        .flush(20)
        .flush(500)
        .log();
    assert_eq!(log, "10:a");
}

#[test]
fn a_cancel_drops_what_is_pending_and_the_next_value_is_leading() {
    let log = Timeline::new(debounce(100, None, true, true))
        .values(&[(0, "a"), (10, "b")])
        .cancel(20)
        .values(&[(30, "c"), (40, "d")])
        .log();
    assert_eq!(log, "0:a 30:c 140:d");
}

#[test]
fn any_number_of_flushes_within_one_burst_loses_nothing() {
    let mut timeline = Timeline::new(debounce(100, Some(300), false, true));
    let mut expected = Vec::new();
    for t in (0..400).step_by(10) {
        timeline = timeline.value(t, &t.to_string()).flush(t + 1);
        expected.push(format!("{}:{t}", t + 1));
    }
    let log = timeline.value(450, "last").log();
    expected.push("550:last".to_owned());
    assert_eq!(log, expected.join(" "));
}
