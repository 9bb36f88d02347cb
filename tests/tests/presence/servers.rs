//! Presences that several servers exchange.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::hub::ServerConfig;
use tidegate_core::presence::PresenceEnvelope;
use tidegate_tests::json::Json;
use tidegate_tests::wire::Wire;
use tidegate_tests::{ms, secs};

use crate::scene::{opened, present, track, watching};

/// Passes the servers' broadcasts on, as text.
fn exchange(wires: &mut [Wire]) {
    loop {
        let mut texts = Vec::new();
        for wire in wires.iter_mut() {
            while let Some(message) = wire.server.poll_presence() {
                let envelope = PresenceEnvelope::from(&message);
                texts.push(serde_json::to_string(&envelope).unwrap());
            }
        }
        if texts.is_empty() {
            return;
        }
        for text in texts {
            for wire in wires.iter_mut() {
                let envelope: PresenceEnvelope<Json> = serde_json::from_str(&text).unwrap();
                let now = wire.now;
                wire.server.handle_presence_heard(now, envelope.into());
            }
        }
    }
}

fn pass_all(wires: &mut [Wire], millis: u64) {
    for _ in 0..millis.div_ceil(10) {
        wires.iter_mut().for_each(|wire| wire.pass(ms(10)));
        exchange(wires);
    }
}

fn linked(servers: u64) -> Vec<Wire> {
    let mut wires: Vec<Wire> = (1..=servers)
        .map(|seed| Wire::new(ServerConfig::new(seed)))
        .collect();
    for wire in &mut wires {
        let now = wire.now;
        wire.server.handle_servers_linked(now);
    }
    exchange(&mut wires);
    wires
}

#[test]
fn servers_tell_each_other_and_one_that_shuts_down_takes_its_users_along() {
    let mut wires = linked(3);
    let watcher = watching(&mut wires[2], "room:1");
    let (ada, bob) = (opened(&mut wires[0]), opened(&mut wires[1]));
    wires[0].send(ada, &track(1, "room:1", "ada", &json!(1)));
    wires[1].send(bob, &track(1, "room:1", "bob", &json!(2)));
    pass_all(&mut wires, 200);
    let frames = wires[2].receive(watcher);
    assert!(frames.iter().all(|frame| frame["type"] == "presence_diff"));
    let both = [("ada".to_owned(), json!(1)), ("bob".to_owned(), json!(2))];
    assert!(wires.iter().all(|wire| present(wire, "room:1") == both));

    let now = wires[0].now;
    wires[0].server.handle_shutdown(now);
    exchange(&mut wires);
    pass_all(&mut wires, 50);
    assert_eq!(present(&wires[2], "room:1"), both[1..]);
    wires.remove(1);
    pass_all(&mut wires, 15_100);
    assert_eq!(present(&wires[1], "room:1"), [], "the killed one's in time");
}

fn any_clock() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..12_u64, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1)]
}

/// A message as another implementation might send it: well-formed, but senseless.
fn any_message() -> impl Strategy<Value = Value> {
    let join = (any_clock(), "[ab]", "[ab]")
        .prop_map(|(clock, to, key)| json!({ "clock": clock, "topic": to, "key": key, "data": 1 }));
    (
        prop::sample::select(vec!["hello", "part", "part", "part", "request", "bye"]),
        1..5_u64,
        prop::option::of(1..5_u64),
        prop::array::uniform3(any_clock()),
        prop::collection::vec(join, 0..4),
        prop::collection::vec(any_clock(), 0..4),
    )
        .prop_map(|(kind, node, of, [since, until, clock], joins, leaves)| {
            json!({
                "type": kind, "node": node, "of": of, "since": since, "until": until,
                "clock": clock, "joins": joins, "leaves": leaves,
            })
        })
}

proptest! {
    #[test]
    fn whatever_other_servers_say_nothing_breaks_and_in_silence_all_of_it_is_forgotten(
        messages in prop::collection::vec((any_message(), 0..20_000_u64), 1..60),
    ) {
        let mut wire = linked(1).remove(0);
        let watcher = watching(&mut wire, "a");
        for (message, millis) in messages {
            let envelope: PresenceEnvelope<Json> = serde_json::from_value(message).unwrap();
            wire.server.handle_presence_heard(wire.now, envelope.into());
            wire.pass(ms(millis));
            wire.send(watcher, &json!({ "type": "pong" }));
            wire.receive(watcher);
            while wire.server.poll_presence().is_some() {}
        }
        wire.pass(secs(16));
        prop_assert_eq!(present(&wire, "a"), []);
        prop_assert_eq!(present(&wire, "b"), []);
        wire.pass(secs(20 * 60));
        prop_assert_eq!(wire.server.presence_counts().nodes, 0);
    }
}
