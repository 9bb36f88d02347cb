//! What holds for every flow and every schedule.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tidegate_core::flow::{Conflate, Flow, Pace};
use tidegate_core::gate::Emission;

use super::collect;
use super::schedule::{
    Input, Left, Owner, PUNCTUAL, Run, any_conflate, any_flow, calls, flow, numbers, owner, pace,
    roomy_conflate, schedule, values,
};

/// Emissions at a throttled pace keep their distance from the one before.
fn keeps_distance(log: &[Left]) -> bool {
    log.windows(2).all(|pair| match pair[1].pace {
        Pace::Throttle { every, .. } => pair[1].at >= pair[0].at + every,
        Pace::Immediate | Pace::Debounce { .. } => true,
    })
}

proptest! {
    #[test]
    fn throttled_emissions_are_never_closer_than_the_pace(
        flow in flow(pace(any::<bool>()), roomy_conflate()),
        schedule in values(),
        owner in owner(),
    ) {
        let log = Run::new(owner, flow, &schedule).finish();
        prop_assert!(keeps_distance(&log), "{log:#?}");
    }

    #[test]
    fn throttled_emissions_keep_their_distance_across_changes_of_flow(
        first in flow(pace(any::<bool>()), roomy_conflate()),
        schedule in schedule(flow(pace(any::<bool>()), roomy_conflate()).prop_map(Input::Flow)),
        owner in owner(),
    ) {
        let log = Run::new(owner, first, &schedule).finish();
        prop_assert!(keeps_distance(&log), "{log:#?}");
    }

    #[test]
    fn with_a_trailing_edge_the_last_value_is_never_lost(
        first in flow(pace(Just(true)), any_conflate()),
        schedule in schedule(prop_oneof![
            Just(Input::Flush),
            flow(pace(Just(true)), any_conflate()).prop_map(Input::Flow),
        ]),
        owner in owner(),
    ) {
        let run = Run::new(owner, first, &schedule);
        let values = run.values;
        let log = run.finish();
        prop_assert_eq!(numbers(&log).last().copied(), values.checked_sub(1));
    }

    #[test]
    fn what_is_pending_survives_every_change_of_flow(
        first in any_flow(),
        schedule in values(),
        changes in vec(any_flow(), 1..4),
        owner in owner(),
    ) {
        let mut run = Run::new(owner, first, &schedule);
        if run.gate.is_pending() {
            let newest = run.values - 1;
            for flow in changes {
                run.handle(&Input::Flow(flow));
            }
            prop_assert_eq!(numbers(&run.finish()).last().copied(), Some(newest));
        }
    }

    #[test]
    fn values_leave_in_order_and_none_twice(
        first in any_flow(),
        schedule in schedule(prop_oneof![
            Just(Input::Flush),
            Just(Input::Cancel),
            any_flow().prop_map(Input::Flow),
        ]),
        owner in owner(),
    ) {
        let log = Run::new(owner, first, &schedule).finish();
        prop_assert!(numbers(&log).is_sorted_by(|a, b| a < b), "{log:#?}");
    }

    #[test]
    fn whatever_combines_or_collects_loses_nothing(
        pace in pace(Just(true)),
        conflate in any_conflate().prop_filter("keeps all", |conflate| *conflate != Conflate::Latest),
        schedule in schedule(Just(Input::Flush)),
        owner in owner(),
    ) {
        let run = Run::new(owner, Flow { pace, conflate, ..Flow::IMMEDIATE }, &schedule);
        let all: Vec<_> = (0..run.values).collect();
        prop_assert_eq!(numbers(&run.finish()), all);
    }

    #[test]
    fn a_batch_never_exceeds_its_limit(
        pace in pace(any::<bool>()),
        max in 1..6_u32,
        schedule in calls(),
        owner in owner(),
    ) {
        let flow = Flow { pace, conflate: collect(max), ..Flow::IMMEDIATE };
        for left in Run::new(owner, flow, &schedule).finish() {
            prop_assert!((1..=max as usize).contains(&left.numbers().len()));
        }
    }

    #[test]
    fn a_late_timer_emits_at_most_once(
        flow in any_flow(),
        schedule in calls(),
        late_ms in 0..1_000_u64,
    ) {
        let mut run = Run::new(PUNCTUAL, flow, &schedule);
        if let Some(deadline) = run.gate.poll_timeout() {
            let is_pending = run.gate.is_pending();
            let before = run.log.len();
            run.wake(deadline + Duration::from_millis(late_ms));
            prop_assert_eq!(run.log.len() - before, usize::from(is_pending));
        }
    }

    #[test]
    fn a_terminal_is_the_last_to_leave_right_behind_what_is_pending(
        flow in any_flow(),
        schedule in calls(),
        owner in owner(),
        gap_us in 0..50_000_u64,
    ) {
        let mut run = Run::new(owner, flow, &schedule);
        run.wait(Duration::from_micros(gap_us));
        let is_pending = run.gate.is_pending();
        let before = run.log.len();
        let word = run.next_word();
        run.gate.handle_terminal(run.now, word.clone());
        run.drain(run.now);
        prop_assert_eq!(run.log.len() - before, 1 + usize::from(is_pending));
        prop_assert_eq!(run.log.last().map(|left| &left.emission), Some(&Emission::One(word)));
        let length = run.log.len();
        run.handle(&Input::Value);
        prop_assert_eq!(run.log.len(), length);
        prop_assert_eq!(run.gate.poll_timeout(), None);
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(
        first in any_flow(),
        schedule in schedule(any_flow().prop_map(Input::Flow)),
        owner in owner(),
    ) {
        let once = Run::new(owner, first, &schedule).finish();
        prop_assert_eq!(once, Run::new(owner, first, &schedule).finish());
    }

    #[test]
    fn timers_ahead_of_their_time_change_nothing(
        first in any_flow(),
        schedule in schedule(prop_oneof![
            Just(Input::Flush),
            Just(Input::Cancel),
            any_flow().prop_map(Input::Flow),
        ]),
    ) {
        let hasty = Owner { is_hasty: true, ..PUNCTUAL };
        let log = Run::new(PUNCTUAL, first, &schedule).finish();
        prop_assert_eq!(log, Run::new(hasty, first, &schedule).finish());
    }

    #[test]
    fn nobody_can_tell_an_idle_gate_from_a_new_one(
        flow in any_flow(),
        schedule in calls(),
        owner in owner(),
    ) {
        let thrifty = Owner { is_thrifty: true, ..owner };
        let log = Run::new(owner, flow, &schedule).finish();
        prop_assert_eq!(log, Run::new(thrifty, flow, &schedule).finish());
    }
}
