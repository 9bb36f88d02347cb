//! What becomes of values that wait.

use tidegate_core::flow::{Conflate, Flow};

use super::{Timeline, collect, debounce, ms, throttle};

const CALLS: [(u64, &str); 5] = [(0, "a"), (10, "b"), (20, "c"), (30, "d"), (150, "e")];

#[test]
fn the_latest_value_replaces_the_older_ones() {
    let log = Timeline::new(Flow::throttle(ms(100))).values(&CALLS).log();
    assert_eq!(log, "0:a 100:d 200:e");
}

#[test]
fn values_are_merged_as_they_arrive() {
    let flow = Flow::throttle(ms(100)).with_conflate(Conflate::Merge);
    let log = Timeline::new(flow).values(&CALLS).log();
    assert_eq!(log, "0:a 100:b&c&d 200:e");
}

#[test]
fn values_add_up_as_they_arrive() {
    let flow = Flow::debounce(ms(100)).with_conflate(Conflate::Sum);
    let log = Timeline::new(flow).values(&CALLS).log();
    assert_eq!(log, "130:a+b+c+d 250:e");
}

#[test]
fn collected_values_leave_in_batches_in_order_and_complete() {
    let flow = Flow::throttle(ms(100)).with_conflate(collect(100));
    let log = Timeline::new(flow).values(&CALLS).log();
    assert_eq!(log, "0:[a] 100:[b c d] 200:[e]");
}

#[test]
fn a_full_batch_leaves_at_once_and_a_throttles_window_counts_from_it() {
    let flow = Flow::throttle(ms(100)).with_conflate(collect(2));
    let log = Timeline::new(flow)
        .values(&[(0, "a"), (10, "b"), (20, "c"), (30, "d"), (130, "e")])
        .log();
    assert_eq!(log, "0:[a] 20:[b c] 120:[d] 220:[e]");
}

#[test]
fn a_full_batch_leaves_at_once_and_a_debounce_counts_from_it() {
    let flow = debounce(100, Some(150), false, true).with_conflate(collect(3));
    let log = Timeline::new(flow)
        .values(&[(0, "a"), (80, "b"), (140, "c"), (220, "d"), (280, "e")])
        .log();
    assert_eq!(log, "140:[a b c] 290:[d e]");
}

#[test]
fn a_batch_of_at_most_one_never_waits() {
    let flow = throttle(100, false, true).with_conflate(collect(1));
    let log = Timeline::new(flow).values(&CALLS).log();
    assert_eq!(log, "0:[a] 10:[b] 20:[c] 30:[d] 150:[e]");
}

#[test]
fn an_emission_at_the_leading_edge_of_a_later_burst_carries_nothing_old() {
    let flow = debounce(100, None, true, false).with_conflate(Conflate::Sum);
    let log = Timeline::new(flow).values(&CALLS).value(400, "f").log();
    assert_eq!(log, "0:a 150:e 400:f");
}

#[test]
fn at_an_immediate_pace_every_value_passes_as_it_came() {
    for conflate in [
        Conflate::Latest,
        Conflate::Merge,
        Conflate::Sum,
        collect(10),
    ] {
        let log = Timeline::new(Flow::IMMEDIATE.with_conflate(conflate))
            .values(&CALLS)
            .flush(160)
            .cancel(170)
            .log();
        assert_eq!(log, "0:a 10:b 20:c 30:d 150:e", "{conflate:?}");
    }
}
