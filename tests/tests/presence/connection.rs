//! Presences over bare connections: requests, answers, and departures.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_core::presence::Roster;
use tidegate_core::protocol::{ServerEnvelope, ServerFrame};
use tidegate_core::session::CloseReason;
use tidegate_tests::json::Json;
use tidegate_tests::wire::{Wire, kinds};
use tidegate_tests::{ms, secs};

use crate::scene::{opened, present, track, watch, watching};

fn server() -> Wire {
    Wire::new(ServerConfig::new(1))
}

#[test]
fn a_watcher_gets_the_state_and_then_what_changes() {
    let mut wire = server();
    let ada = opened(&mut wire);
    wire.send(ada, &track(1, "room:1", "ada", &json!({ "tab": 1 })));
    let watcher = opened(&mut wire);
    wire.send(watcher, &watch("room:1"));
    let frames = wire.receive(watcher);
    let node = frames[0]["present"][0]["node"].clone();
    assert!(node.is_u64());
    let state = json!({
        "type": "presence_state",
        "topic": "room:1",
        "present": [{ "key": "ada", "node": node, "clock": 1, "data": { "tab": 1 } }],
    });
    assert_eq!(frames, [state]);

    wire.pass(secs(1));
    wire.send(ada, &track(1, "room:1", "ada", &json!("away")));
    let diff = json!({
        "type": "presence_diff",
        "topic": "room:1",
        "joins": [{ "key": "ada", "node": node, "clock": 3, "data": "away" }],
        "leaves": [{ "key": "ada", "node": node, "clock": 1 }],
    });
    assert_eq!(wire.receive(watcher), [diff]);

    wire.pass(secs(1));
    wire.send(ada, &json!({ "type": "untrack", "ref": 1 }));
    let diff = json!({
        "type": "presence_diff",
        "topic": "room:1",
        "joins": [],
        "leaves": [{ "key": "ada", "node": node, "clock": 3 }],
    });
    assert_eq!(wire.receive(watcher), [diff]);
    assert_eq!(wire.receive(ada), Vec::<Value>::new(), "it does not watch");
}

#[test]
fn the_state_holds_what_others_will_be_told_only_later() {
    let mut wire = server();
    let first = watching(&mut wire, "room:1");
    let ada = opened(&mut wire);
    wire.send(ada, &track(1, "room:1", "ada", &json!(1)));
    wire.send(ada, &track(2, "room:1", "ada", &json!(2)));
    assert_eq!(wire.receive(first).len(), 1, "the second is gathered");
    wire.send(ada, &watch("room:1"));
    let frames = wire.receive(ada);
    assert_eq!(kinds(&frames), ["presence_state"]);
    assert_eq!(frames[0]["present"].as_array().unwrap().len(), 2);
    wire.pass(secs(1));
    assert_eq!(
        wire.receive(ada),
        Vec::<Value>::new(),
        "nothing is told twice"
    );
    assert_eq!(wire.receive(first).len(), 1);
}

#[test]
fn the_presences_of_a_connection_leave_with_it() {
    let mut wire = server();
    let watcher = watching(&mut wire, "room:1");
    let (tab, other) = (opened(&mut wire), opened(&mut wire));
    wire.send(tab, &track(1, "room:1", "ada", &json!(1)));
    wire.send(tab, &track(2, "room:1", "bob", &json!(2)));
    wire.send(other, &track(1, "room:1", "ada", &json!(3)));
    wire.pass(secs(1));
    wire.receive(watcher);
    wire.server.handle_closed(wire.now, tab);
    wire.pass(secs(1));
    let frames = wire.receive(watcher);
    assert_eq!(frames[0]["leaves"].as_array().unwrap().len(), 2);
    assert_eq!(present(&wire, "room:1"), [("ada".to_owned(), json!(3))]);
}

#[test]
fn who_gives_no_sign_of_life_leaves_after_forty_five_seconds() {
    let mut wire = server();
    let silent = opened(&mut wire);
    wire.send(silent, &track(1, "room:1", "ada", &json!(1)));
    wire.pass(ms(44_999));
    assert_eq!(present(&wire, "room:1").len(), 1);
    wire.pass(ms(1));
    assert_eq!(present(&wire, "room:1"), []);
}

#[test]
fn whoever_stops_to_watch_is_told_no_more() {
    let mut wire = server();
    let watcher = watching(&mut wire, "room:1");
    wire.send(watcher, &json!({ "type": "unwatch", "topic": "room:1" }));
    wire.send(watcher, &track(1, "room:1", "ada", &json!(1)));
    wire.send(watcher, &json!({ "type": "unwatch", "topic": "room:2" }));
    wire.send(watcher, &json!({ "type": "untrack", "ref": 7 }));
    wire.pass(secs(1));
    assert_eq!(wire.receive(watcher), Vec::<Value>::new());
    wire.send(watcher, &watch("room:1"));
    assert_eq!(kinds(&wire.receive(watcher)), ["presence_state"]);
}

#[test]
fn what_is_refused_names_the_number_of_the_request() {
    let mut config = ServerConfig::new(1);
    config.presence.limits.session_tracks_max = 2;
    config.presence.limits.topic_metas_max = 3;
    config.presence.limits.meta_bytes_max = 20;
    config.session.subscriptions_max = 1;
    let mut wire = Wire::new(config);
    let (a, b) = (opened(&mut wire), opened(&mut wire));
    let mut asked = |id, frame: Value, expected: &str| {
        wire.send(id, &frame);
        let frames = wire.receive(id);
        let answer = frames.iter().find(|frame| frame["type"] == "error");
        let answer =
            answer.map(|error| format!("{} {}", error["code"].as_str().unwrap(), error["ref"]));
        assert_eq!(answer.unwrap_or_default(), expected, "{frame}");
    };
    let long = json!("a meta of more than twenty bytes");
    asked(a, track(1, "room:1", "ada", &long), "too_large 1");
    asked(a, track(2, "room:1", "ada", &json!(1)), "");
    asked(a, track(3, "room:1", "ada", &json!(1)), "");
    asked(
        a,
        track(4, "room:2", "ada", &json!(1)),
        "too_many_presences 4",
    );
    asked(a, track(3, "room:1", "ada", &json!(2)), "");
    asked(b, track(1, "room:1", "bob", &json!(1)), "");
    asked(
        b,
        track(2, "room:1", "bob", &json!(1)),
        "too_many_presences 2",
    );
    asked(b, track(1, "room:1", "bob", &json!(2)), "");
    asked(b, track(3, "room:2", "", &json!(1)), "bad_frame null");
    asked(b, watch("room:1"), "");
    asked(b, watch("room:1"), "already_subscribed 99");
    asked(b, watch("room:2"), "too_many_subscriptions 99");
    assert_eq!(present(&wire, "room:1").len(), 3);
}

#[test]
fn who_asks_a_draining_server_is_sent_away() {
    let mut wire = server();
    let id = opened(&mut wire);
    wire.send(id, &track(1, "room:1", "ada", &json!(1)));
    wire.server.handle_drain(wire.now);
    wire.send(id, &track(2, "room:1", "ada", &json!(1)));
    wire.send(id, &watch("room:1"));
    assert_eq!(
        kinds(&wire.receive(id)),
        ["drain", "error draining", "error draining"]
    );
    wire.pass(secs(10));
    assert_eq!(present(&wire, "room:1"), [], "its connections are closed");
}

#[test]
fn a_slow_watcher_is_given_the_state_anew_once_it_has_caught_up() {
    let mut config = ServerConfig::new(1);
    config.outbox_bytes_max = 4_000;
    let mut wire = Wire::new(config);
    let (slow, ada) = (watching(&mut wire, "room:1"), opened(&mut wire));
    for round in 0..1_000 {
        wire.send(ada, &track(round % 7, "room:1", "ada", &json!(round)));
        wire.send(ada, &json!({ "type": "pong" }));
        wire.send(slow, &json!({ "type": "pong" }));
        wire.pass(ms(60));
        assert!(wire.server.waiting_bytes(slow) < 5_000);
    }
    assert_eq!(wire.closes(), [], "it is no reason to close its connection");
    let frames = wire.receive(slow);
    let last = frames.last().unwrap();
    assert_eq!(last["type"], "presence_state");
    let mut roster = Some(Roster::new());
    frames.iter().for_each(|frame| apply(&mut roster, frame));
    assert_eq!(held(roster), present(&wire, "room:1"));
    wire.send(ada, &track(7, "room:1", "ada", &json!("new")));
    assert_eq!(kinds(&wire.receive(slow)), ["presence_diff"], "it goes on");
}

/// The presences that a watcher knows.
fn held(roster: Option<Roster<Json>>) -> Vec<(String, Value)> {
    let present = roster
        .into_iter()
        .flat_map(|roster| roster.present().collect::<Vec<_>>());
    present
        .map(|present| (present.key.to_string(), present.meta.0))
        .collect()
}

fn apply(roster: &mut Option<Roster<Json>>, frame: &Value) {
    let envelope: ServerEnvelope<Json> = serde_json::from_value(frame.clone()).unwrap();
    match ServerFrame::try_from(envelope).unwrap() {
        ServerFrame::PresenceState(state) => {
            roster.get_or_insert_default().handle_state(&state.present);
        }
        ServerFrame::PresenceDiff(diff) => {
            roster
                .as_mut()
                .expect("the state comes before diffs")
                .handle_diff(&diff);
        }
        _ => {}
    }
}

#[derive(Clone, Debug)]
enum Step {
    Track(usize, u64, usize),
    Untrack(usize, u64),
    Watch(usize),
    Unwatch(usize),
    Close(usize),
    Receive(usize),
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let tracked = (0..4_usize, 0..3_u64, 0..3_usize);
    prop_oneof![
        8 => tracked.prop_map(|(id, number, key)| Step::Track(id, number, key)),
        3 => (0..4_usize, 0..3_u64).prop_map(|(id, number)| Step::Untrack(id, number)),
        3 => (0..4_usize).prop_map(Step::Watch),
        1 => (0..4_usize).prop_map(Step::Unwatch),
        1 => (0..4_usize).prop_map(Step::Close),
        4 => (0..4_usize).prop_map(Step::Receive),
        4 => (0..100_u64).prop_map(Step::Pass),
    ]
}

fn close(
    wire: &mut Wire,
    at: usize,
    ids: &mut [ConnectionId],
    rosters: &mut BTreeMap<usize, Option<Roster<Json>>>,
) {
    wire.server.handle_closed(wire.now, ids[at]);
    rosters.remove(&at);
    ids[at] = opened(wire);
}

proptest! {
    #[test]
    fn whoever_reads_all_frames_holds_what_the_server_holds(
        outbox_bytes_max in prop_oneof![Just(500_usize), Just(1_000_000)],
        steps in prop::collection::vec(any_step(), 1..100),
    ) {
        let mut config = ServerConfig::new(1);
        config.outbox_bytes_max = outbox_bytes_max;
        let mut wire = Wire::new(config);
        let mut ids: Vec<_> = (0..4).map(|_| opened(&mut wire)).collect();
        let mut rosters: BTreeMap<usize, Option<Roster<Json>>> = BTreeMap::new();
        let last = (0..4).flat_map(|at| [Step::Receive(at), Step::Watch(at)]);
        let steps = steps.into_iter().chain(last).chain([Step::Pass(1_000)]);
        for (round, step) in steps.enumerate() {
            match step {
                Step::Track(at, number, key) => {
                    let key = ["ada", "bob", "eve"][key];
                    wire.send(ids[at], &track(number, "room:1", key, &json!(round)));
                }
                Step::Untrack(at, number) => {
                    wire.send(ids[at], &json!({ "type": "untrack", "ref": number }));
                }
                Step::Watch(at) => wire.send(ids[at], &watch("room:1")),
                Step::Unwatch(at) => {
                    wire.receive(ids[at]);
                    rosters.remove(&at);
                    wire.send(ids[at], &json!({ "type": "unwatch", "topic": "room:1" }));
                }
                Step::Close(at) => close(&mut wire, at, &mut ids, &mut rosters),
                Step::Receive(at) => {
                    for frame in wire.receive(ids[at]) {
                        apply(rosters.entry(at).or_default(), &frame);
                    }
                }
                Step::Pass(millis) => wire.pass(ms(millis)),
            }
            let mut closes = wire.closes();
            while let Some((id, reason)) = closes.pop() {
                prop_assert_eq!(reason, CloseReason::SlowConsumer);
                let at = ids.iter().position(|known| *known == id).unwrap();
                close(&mut wire, at, &mut ids, &mut rosters);
                wire.send(ids[at], &watch("room:1"));
                // It has left, which may be too much for another one.
                closes.extend(wire.closes());
            }
        }
        for (at, id) in ids.into_iter().enumerate() {
            for frame in wire.receive(id) {
                apply(rosters.entry(at).or_default(), &frame);
            }
            let roster = rosters.remove(&at).flatten();
            prop_assert_eq!(held(roster), present(&wire, "room:1"), "connection {}", at);
        }
    }
}
