//! The policies for slow connections: they hold for each subscription, within the limit of all connections together.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::flow::{Flow, Slow};
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_core::protocol::SubscribeRequest;
use tidegate_core::session::CloseReason;
use tidegate_tests::pattern;
use tidegate_tests::wire::{Wire, kinds, payloads};

/// What a publication of [`text`] counts, and about how many of them a connection has room for.
const BYTES: usize = 1_000;
const ROOM: usize = 20;

fn wire(waiting_bytes_max: usize) -> Wire {
    let mut config = ServerConfig::new(1);
    config.outbox_bytes_max = ROOM * BYTES;
    config.waiting_bytes_max = waiting_bytes_max;
    Wire::new(config)
}

fn text(number: u64) -> Value {
    json!([number, "x".repeat(BYTES - 120)])
}

fn numbers(frames: &[Value]) -> Vec<u64> {
    let payloads = payloads(frames);
    payloads
        .iter()
        .map(|payload| payload[0].as_u64().unwrap())
        .collect()
}

fn subscribed(wire: &mut Wire, to: &[(&str, Option<&str>)], flow: &Value) -> ConnectionId {
    let id = wire.open();
    for (pattern, slow) in to {
        let mut frame = json!({ "type": "subscribe", "pattern": pattern, "flow": flow });
        if let Some(slow) = slow {
            frame["slow"] = json!(slow);
        }
        wire.send(id, &frame);
    }
    wire.receive(id);
    wire.outputs();
    id
}

fn publish(wire: &mut Wire, topic: &str, numbers: core::ops::RangeInclusive<u64>) {
    for number in numbers {
        wire.publish(topic, text(number));
    }
}

#[test]
fn a_slow_subscription_that_conflates_gets_the_newest_and_is_told_nothing() {
    let mut wire = wire(usize::MAX);
    let id = subscribed(&mut wire, &[("a", Some("conflate"))], &json!({}));
    publish(&mut wire, "a", 1..=100);
    let frames = wire.receive(id);
    assert!(!kinds(&frames).contains(&"lagged".to_owned()));
    assert_eq!(numbers(&frames), [100]);
    assert_eq!(wire.closes(), []);
    let backlog = wire.server.backlog();
    assert_eq!((backlog.losses.conflated, backlog.losses.lagged), (99, 0));
    assert_eq!((backlog.bytes, backlog.connections), (0, 0));
}

#[test]
fn a_survey_tells_how_far_the_slowest_subscriber_of_a_topic_is_behind() {
    let mut wire = wire(usize::MAX);
    let lag = |wire: &Wire| wire.server.survey(9, &[])[0].lag;
    let slow = subscribed(&mut wire, &[("a", Some("drop"))], &json!({}));
    let quick = subscribed(&mut wire, &[("a", None)], &json!({}));
    for number in 1..=10 {
        publish(&mut wire, "a", number..=number);
        wire.outputs();
        assert_eq!(lag(&wire), number, "from the first one on");
    }
    wire.receive(quick);
    assert_eq!(lag(&wire), 10);
    publish(&mut wire, "a", 11..=100);
    wire.outputs();
    wire.receive(quick);
    let lost = lag(&wire);
    let left = numbers(&wire.receive(slow));
    assert_eq!(lost, left.len() as u64, "what was dropped is told already");
    assert_eq!(lag(&wire), 0);
}

#[test]
fn a_slow_subscription_that_drops_is_told_how_many_even_with_a_pace() {
    for flow in [json!({}), json!({ "throttle_ms": 1 })] {
        let mut wire = wire(usize::MAX);
        let id = subscribed(&mut wire, &[("a", Some("drop"))], &flow);
        for number in 1..=100 {
            publish(&mut wire, "a", number..=number);
            wire.pass(tidegate_tests::ms(1));
        }
        let frames = wire.receive(id);
        let missed: u64 = frames
            .iter()
            .filter_map(|frame| frame["missed"].as_u64())
            .sum();
        let numbers = numbers(&frames);
        assert!(missed > 70, "{flow}: {missed}");
        assert_eq!(missed as usize + numbers.len(), 100, "{flow}");
        assert_eq!(numbers.last(), Some(&100));
        assert_eq!(wire.server.backlog().losses.lagged, missed);
    }
}

#[test]
fn a_slow_subscription_that_would_rather_be_disconnected_misses_nothing_before() {
    for flow in [json!({}), json!({ "throttle_ms": 1 })] {
        let mut wire = wire(usize::MAX);
        let id = subscribed(&mut wire, &[("a", Some("disconnect")), ("b", None)], &flow);
        for number in 1..=(ROOM as u64 - 1) {
            publish(&mut wire, "a", number..=number);
            wire.pass(tidegate_tests::ms(1));
        }
        assert_eq!(wire.closes(), [], "{flow}");
        assert_eq!(numbers(&wire.receive(id)).len(), ROOM - 1, "all waited");
        for number in 1..=(2 * ROOM as u64) {
            publish(&mut wire, "a", number..=number);
            wire.pass(tidegate_tests::ms(1));
        }
        assert_eq!(wire.closes(), [(id, CloseReason::SlowConsumer)], "{flow}");
    }
}

#[test]
fn what_another_subscription_of_the_connection_loses_disconnects_nobody() {
    let mut wire = wire(usize::MAX);
    let to = [("a", Some("disconnect")), ("b", None)];
    let id = subscribed(&mut wire, &to, &json!({}));
    publish(&mut wire, "b", 1..=1_000);
    publish(&mut wire, "a", 1..=1);
    assert_eq!(wire.closes(), []);
    let frames = wire.receive(id);
    assert!(kinds(&frames).contains(&"lagged".to_owned()));
}

#[test]
fn a_policy_ends_with_its_subscription() {
    let mut wire = wire(usize::MAX);
    let id = subscribed(&mut wire, &[("a", Some("disconnect"))], &json!({}));
    wire.send(id, &json!({ "type": "unsubscribe", "pattern": "a" }));
    wire.send(id, &json!({ "type": "subscribe", "pattern": "a" }));
    wire.receive(id);
    wire.outputs();
    publish(&mut wire, "a", 1..=100);
    assert_eq!(wire.closes(), []);
    assert!(kinds(&wire.receive(id)).contains(&"lagged".to_owned()));
}

#[test]
fn a_policy_that_is_none_is_refused() {
    let mut wire = wire(usize::MAX);
    let id = wire.open();
    wire.send(
        id,
        &json!({ "type": "subscribe", "pattern": "a", "slow": "panic" }),
    );
    let kinds = kinds(&wire.receive(id));
    assert!(kinds.contains(&"error bad_frame".to_owned()), "{kinds:?}");
}

#[test]
fn a_stream_of_the_process_may_conflate_or_end_too() {
    for slow in [Slow::Conflate, Slow::Drop, Slow::Disconnect] {
        let mut wire = wire(usize::MAX);
        let id = wire.server.handle_open_local(ROOM * BYTES);
        wire.server.handle_slow(id, slow);
        let request = SubscribeRequest::new(pattern("a"), Flow::IMMEDIATE);
        let begun = wire.server.handle_subscribe(wire.now, id, request);
        assert!(begun.is_ok());
        wire.receive(id);
        wire.outputs();
        publish(&mut wire, "a", 1..=100);
        let closes = wire.closes();
        let frames = wire.receive(id);
        match slow {
            Slow::Conflate => assert_eq!(numbers(&frames), [100]),
            Slow::Drop => assert!(kinds(&frames).contains(&"lagged".to_owned())),
            Slow::Disconnect => assert_eq!(closes, [(id, CloseReason::SlowConsumer)]),
        }
    }
}

#[test]
fn where_too_much_waits_in_all_those_for_whom_most_waits_lose_first() {
    let mut wire = wire(30 * BYTES);
    let light = subscribed(&mut wire, &[("light", None)], &json!({}));
    let heavy: Vec<ConnectionId> = (0..3)
        .map(|_| subscribed(&mut wire, &[("heavy", None)], &json!({})))
        .collect();
    publish(&mut wire, "light", 1..=4);
    for number in 1..=15 {
        publish(&mut wire, "heavy", number..=number);
        assert_eq!(wire.closes(), []);
        assert!(wire.server.backlog().bytes <= 30 * BYTES);
    }
    assert_eq!(
        numbers(&wire.receive(light)),
        [1, 2, 3, 4],
        "it is not at fault"
    );
    let mut missed = 0;
    for id in heavy {
        let frames = wire.receive(id);
        let told: u64 = frames
            .iter()
            .filter_map(|frame| frame["missed"].as_u64())
            .sum();
        assert_eq!(told + numbers(&frames).len() as u64, 15, "told as usual");
        assert_eq!(numbers(&frames).last(), Some(&15));
        missed += told;
    }
    assert!(missed > 0);
    assert_eq!(wire.server.backlog().losses.lagged, missed);
}

#[test]
fn where_nothing_may_be_dropped_those_for_whom_most_waits_are_closed() {
    let mut wire = wire(30 * BYTES);
    let light = subscribed(&mut wire, &[("light:*", None)], &json!({}));
    let heavy = subscribed(&mut wire, &[("heavy:*", None)], &json!({}));
    // The newest of each topic must stay.
    for topic in 0..12 {
        wire.publish(&format!("light:{topic}"), text(1));
    }
    for topic in 0..24 {
        wire.publish(&format!("heavy:{topic}"), text(1));
    }
    assert_eq!(wire.closes(), [(heavy, CloseReason::SlowConsumer)]);
    assert_eq!(wire.receive(light).len(), 12);
    wire.server.handle_closed(wire.now, heavy);
    assert_eq!(wire.server.backlog().bytes, 0);
}

#[test]
fn who_keeps_up_is_not_touched_by_hundreds_who_stall() {
    let mut wire = wire(600 * BYTES);
    let good: Vec<ConnectionId> = (0..30)
        .map(|_| subscribed(&mut wire, &[("a", None)], &json!({})))
        .collect();
    let stalled: Vec<ConnectionId> = (0..300)
        .map(|_| subscribed(&mut wire, &[("a", None)], &json!({})))
        .collect();
    for number in 1..=40 {
        publish(&mut wire, "a", number..=number);
        wire.outputs();
        for id in &good {
            assert_eq!(numbers(&wire.receive(*id)), [number]);
        }
        assert!(wire.server.backlog().bytes <= 600 * BYTES);
    }
    for id in stalled {
        let frames = wire.receive(id);
        let told: u64 = frames
            .iter()
            .filter_map(|frame| frame["missed"].as_u64())
            .sum();
        assert_eq!(told + numbers(&frames).len() as u64, 40);
        assert_eq!(numbers(&frames).last(), Some(&40));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    Read(usize, usize),
    Close(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_usize).prop_map(Step::Publish),
        3 => (0..6_usize, 1..30_usize).prop_map(|(who, count)| Step::Read(who, count)),
        1 => (0..6_usize).prop_map(Step::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_waits_in_all_is_counted_and_bounded(steps in prop::collection::vec(any_step(), 1..150)) {
        let limit = 40 * BYTES;
        let mut wire = wire(limit);
        let policies = [None, Some("conflate"), Some("drop"), Some("disconnect")];
        let mut open: Vec<Option<ConnectionId>> = (0..6)
            .map(|who| Some(subscribed(&mut wire, &[("t:*", policies[who % 4])], &json!({}))))
            .collect();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Publish(topic) => wire.publish(&format!("t:{topic}"), text(number as u64)),
                Step::Read(who, count) => {
                    if let Some(id) = open[who] {
                        for _ in 0..count {
                            if wire.receive_one(id).is_none() {
                                break;
                            }
                        }
                    }
                }
                Step::Close(who) => {
                    if let Some(id) = open[who].take() {
                        wire.server.handle_closed(wire.now, id);
                    }
                }
            }
            for (id, reason) in wire.closes() {
                prop_assert_eq!(reason, CloseReason::SlowConsumer);
                wire.server.handle_closed(wire.now, id);
                for known in &mut open {
                    if *known == Some(id) {
                        *known = None;
                    }
                }
            }
            let backlog = wire.server.backlog();
            prop_assert!(backlog.bytes <= limit + 2 * BYTES, "{} of {limit}", backlog.bytes);
            let counted: usize = open.iter().flatten().map(|id| wire.server.waiting_bytes(*id)).sum();
            prop_assert!(backlog.bytes <= counted, "{} of {counted}", backlog.bytes);
            prop_assert!(counted - backlog.bytes <= 6 * 2 * BYTES, "at most what stands alone is not counted");
        }
        for id in open.into_iter().flatten() {
            wire.receive(id);
        }
        prop_assert_eq!(wire.server.backlog().bytes, 0);
    }
}
