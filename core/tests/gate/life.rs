//! A gate's life: terminals, late and early timers, idleness, its size.

use std::sync::Arc;
use std::time::Duration;

use tidegate_core::flow::{Conflate, Flow, Pace};
use tidegate_core::gate::Gate;
use tidegate_core::publication::Combine;
use tidegate_core::time::Instant;

use super::{Timeline, Word, collect, debounce, ms, text, throttle};

fn word(name: &str) -> Word {
    Word(name.to_owned())
}

fn outputs(gate: &mut Gate<Word>) -> Vec<String> {
    std::iter::from_fn(|| gate.poll_output().as_ref().map(text)).collect()
}

#[test]
fn a_terminal_leaves_at_once_after_what_is_pending() {
    for (conflate, expected) in [
        (Conflate::Latest, "0:a 30:c 30:end"),
        (Conflate::Sum, "0:a 30:b+c 30:end"),
    ] {
        let log = Timeline::new(Flow::throttle(ms(100)).with_conflate(conflate))
            .values(&[(0, "a"), (10, "b"), (20, "c")])
            .terminal(30, "end")
            .log();
        assert_eq!(log, expected);
    }
    let log = Timeline::new(Flow::debounce(ms(100)).with_conflate(collect(10)))
        .values(&[(0, "a"), (10, "b")])
        .terminal(30, "end")
        .log();
    assert_eq!(log, "30:[a b] 30:end");
}

#[test]
fn a_terminal_passes_whatever_the_pace() {
    for flow in [
        Flow::IMMEDIATE,
        throttle(100, true, false),
        throttle(100, false, false),
        debounce(100, Some(100), false, false),
    ] {
        let log = Timeline::new(flow).terminal(5, "end").log();
        assert_eq!(log, "5:end", "{flow:?}");
    }
}

#[test]
fn nothing_follows_a_terminal() {
    let mut timeline = Timeline::new(Flow::throttle(ms(100)))
        .value(0, "a")
        .terminal(10, "end")
        .value(20, "b")
        .flush(30)
        .cancel(40)
        .flow(50, Flow::IMMEDIATE)
        .terminal(60, "again");
    assert!(!timeline.gate.is_idle() && !timeline.gate.is_pending());
    assert_eq!(timeline.gate.poll_timeout(), None);
    assert_eq!(timeline.gate.flow(), Flow::throttle(ms(100)));
    timeline.gate.handle_timeout(Instant::from_millis(70));
    assert_eq!(timeline.log(), "0:a 10:end");
}

#[test]
fn a_late_timer_emits_once_and_the_window_counts_from_there() {
    for flow in [
        Flow::throttle(ms(100)),
        debounce(100, Some(100), true, true),
    ] {
        let mut gate = Gate::new(flow);
        gate.handle_value(Instant::ZERO, word("a"));
        gate.handle_value(Instant::from_millis(10), word("b"));
        assert_eq!(outputs(&mut gate), ["a"]);
        gate.handle_timeout(Instant::from_millis(100_000));
        assert_eq!(outputs(&mut gate), ["b"]);
        gate.handle_timeout(Instant::from_millis(200_000));
        assert!(outputs(&mut gate).is_empty() && gate.is_idle());
    }
}

#[test]
fn a_value_that_finds_a_late_timer_waits_behind_it() {
    let mut gate = Gate::new(Flow::throttle(ms(100)));
    for (t, name) in [(0, "a"), (10, "b"), (5_000, "c")] {
        gate.handle_value(Instant::from_millis(t), word(name));
    }
    assert_eq!(outputs(&mut gate), ["a", "b"]);
    assert_eq!(gate.poll_timeout(), Some(Instant::from_millis(5_100)));
}

#[test]
fn an_early_timer_does_nothing() {
    for flow in [Flow::throttle(ms(100)), Flow::debounce(ms(100))] {
        let mut gate = Gate::new(flow);
        gate.handle_value(Instant::ZERO, word("a"));
        gate.handle_value(Instant::ZERO, word("b"));
        outputs(&mut gate);
        let deadline = gate.poll_timeout();
        gate.handle_timeout(Instant::from_micros(99_999));
        assert!(outputs(&mut gate).is_empty());
        assert_eq!(gate.poll_timeout(), deadline);
    }
}

#[test]
fn a_clock_that_goes_backwards_stands_still() {
    let mut gate = Gate::new(Flow::throttle(ms(100)));
    gate.handle_value(Instant::from_millis(1_000), word("a"));
    gate.handle_timeout(Instant::from_millis(1_100));
    gate.handle_value(Instant::from_millis(1), word("b"));
    gate.handle_timeout(Instant::ZERO);
    assert_eq!(outputs(&mut gate), ["a", "b"]);
    assert_eq!(gate.poll_timeout(), Some(Instant::from_millis(1_200)));
}

#[test]
fn a_gate_is_idle_until_a_value_comes_and_after_its_last_window() {
    for flow in [
        Flow::throttle(ms(100)),
        debounce(100, Some(100), true, true),
    ] {
        let mut timeline = Timeline::new(flow);
        assert!(timeline.gate.is_idle());
        timeline = timeline.values(&[(0, "a"), (10, "b")]);
        assert!(timeline.gate.is_pending() && !timeline.gate.is_idle());
        timeline = timeline.wake_until(Instant::from_millis(100));
        assert!(!timeline.gate.is_pending());
        timeline = timeline.wake_until(Instant::from_millis(200));
        assert!(timeline.gate.is_idle());
        assert_eq!(timeline.gate.poll_timeout(), None);
    }
}

#[test]
fn a_gate_with_an_output_that_nobody_took_is_not_idle() {
    let mut gate = Gate::new(Flow::IMMEDIATE);
    gate.handle_value(Instant::ZERO, word("a"));
    assert!(!gate.is_idle());
    assert_eq!(outputs(&mut gate), ["a"]);
    assert!(gate.is_idle());
}

#[test]
fn outputs_that_nobody_takes_wait_in_order() {
    let mut gate = Gate::new(Flow::IMMEDIATE);
    for (t, name) in [(0, "a"), (1, "b"), (2, "c")] {
        gate.handle_value(Instant::from_millis(t), word(name));
    }
    gate.poll_output();
    gate.handle_value(Instant::from_millis(3), word("d"));
    assert_eq!(outputs(&mut gate), ["b", "c", "d"]);
}

#[test]
fn the_ends_of_time_do_no_harm() {
    for every in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        for flow in [Flow::throttle(every), Flow::debounce(every)] {
            let mut gate = Gate::new(flow);
            for now in [0, 1, u64::MAX, u64::MAX] {
                gate.handle_value(Instant::from_micros(now), word("a"));
                gate.handle_value(Instant::from_micros(now), word("b"));
                gate.handle_timeout(Instant::from_micros(now));
            }
            assert!(gate.poll_timeout().is_some());
        }
    }
}

#[test]
fn a_gate_tells_the_flow_that_it_carries_out() {
    let odd = Flow {
        pace: Pace::Debounce {
            quiet: Duration::from_micros(1_001),
            max_wait: Some(ms(1)),
            leading: true,
            trailing: false,
        },
        conflate: collect(7),
        ..Flow::IMMEDIATE
    };
    for flow in [Flow::IMMEDIATE, throttle(5, false, true), odd] {
        assert_eq!(Gate::<Word>::new(flow).flow(), flow);
    }
}

#[test]
fn a_gate_is_small_since_there_may_be_a_million() {
    #[derive(Debug)]
    struct Shared(#[expect(dead_code, reason = "only its size matters")] Arc<()>);
    impl Combine for Shared {
        fn merge_over(self, _older: &Self) -> Self {
            self
        }
        fn add_to(self, _older: &Self) -> Self {
            self
        }
    }
    let bytes = size_of::<Gate<Shared>>();
    println!("a gate over shared values takes {bytes} bytes");
    assert!(bytes <= 128, "{bytes} bytes");
}
