//! The end of a topic: it is recognised, never held back, never lost, and delivered to late subscribers.

use std::num::NonZeroU32;

use serde_json::{Value, json};
use tidegate_core::hub::{ConnectionId, PublishError, ServerConfig};
use tidegate_core::lifecycle::{EndReason, StatedEnd};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_tests::json::Json;
use tidegate_tests::wire::{Wire, kinds, payloads};
use tidegate_tests::{ms, secs, topic};

pub(crate) fn wire() -> Wire {
    Wire::new(ServerConfig::new(1))
}

pub(crate) fn request(data: Value) -> PublishRequest<Json> {
    PublishRequest::new(topic("job:1"), data.into())
}

pub(crate) fn publish(
    wire: &mut Wire,
    request: PublishRequest<Json>,
) -> Result<Position, PublishError> {
    wire.server.handle_publish(wire.now, request)
}

fn end(wire: &mut Wire, reason: EndReason) -> Position {
    let terminal = PublishRequest {
        end: Some(reason.into()),
        ..request(json!("last"))
    };
    publish(wire, terminal).expect("the topic is open")
}

/// A connection that is subscribed as `frame` says, beside its type; what it started with is taken.
pub(crate) fn subscriber(wire: &mut Wire, frame: &Value) -> ConnectionId {
    let id = wire.open();
    subscribe(wire, id, frame);
    wire.receive(id);
    id
}

pub(crate) fn subscribe(wire: &mut Wire, id: ConnectionId, frame: &Value) {
    let mut frame = frame.clone();
    frame["type"] = json!("subscribe");
    wire.send(id, &frame);
}

#[test]
fn under_every_pace_what_is_pending_and_the_terminal_leave_at_once() {
    let max = NonZeroU32::new(50).unwrap();
    for flow in [
        json!({}),
        json!({ "throttle_ms": 60_000 }),
        json!({ "throttle_ms": 60_000, "leading": false }),
        json!({ "debounce_ms": 60_000 }),
        json!({ "debounce_ms": 60_000, "max_wait_ms": 90_000, "leading": true }),
        json!({ "throttle_ms": 60_000, "conflate": "collect", "max": max }),
        json!({ "throttle_ms": 60_000, "conflate": "merge" }),
        json!({ "debounce_ms": 60_000, "conflate": "sum" }),
    ] {
        let mut wire = wire();
        let id = subscriber(&mut wire, &json!({ "pattern": "job:1", "flow": flow }));
        for number in 1..=3 {
            wire.publish("job:1", number);
        }
        end(&mut wire, EndReason::Failed);
        let frames = wire.receive(id);
        let [.., pending, terminal, over] = frames.as_slice() else {
            panic!("{flow}: {frames:?}");
        };
        assert_ne!(pending["type"], json!("end"), "{flow}");
        assert_eq!(terminal["data"], json!("last"), "{flow}");
        assert_eq!(terminal["end"], json!("failed"), "{flow}");
        assert_eq!(
            *over,
            json!({ "type": "end", "pattern": "job:1", "reason": "failed" }),
            "{flow}"
        );
        wire.pass(secs(200));
        assert_eq!(payloads(&wire.receive(id)), Vec::<Value>::new(), "{flow}");
        assert_eq!(wire.server.counts().gates, 0, "{flow}");
    }
}

#[test]
fn with_no_edge_at_all_the_terminal_is_all_that_comes() {
    let mut wire = wire();
    let flow = json!({ "throttle_ms": 1000, "leading": false, "trailing": false });
    let id = subscriber(&mut wire, &json!({ "pattern": "job:1", "flow": flow }));
    wire.publish("job:1", 1);
    wire.pass(secs(5));
    wire.publish("job:1", 2);
    end(&mut wire, EndReason::Complete);
    assert_eq!(kinds(&wire.receive(id)), ["pub", "end"]);
}

#[test]
fn a_full_queue_keeps_the_terminal_and_the_end() {
    let mut config = ServerConfig::new(1);
    config.outbox_bytes_max = 2_000;
    for flow in [json!({}), json!({ "throttle_ms": 1000 })] {
        let mut wire = Wire::new(config.clone());
        let id = subscriber(&mut wire, &json!({ "pattern": "job:1", "flow": flow }));
        subscribe(&mut wire, id, &json!({ "pattern": "noise" }));
        for number in 0..50 {
            wire.publish("job:1", number);
            wire.publish("noise", number);
        }
        end(&mut wire, EndReason::Cancelled);
        for number in 0..200 {
            wire.publish("noise", number);
        }
        assert!(wire.server.waiting_bytes(id) <= 2_000);
        let frames = wire.receive(id);
        let of_job: Vec<&Value> = frames
            .iter()
            .filter(|frame| frame["topic"] == json!("job:1") || frame["pattern"] == json!("job:1"))
            .collect();
        let [.., terminal, over] = of_job.as_slice() else {
            panic!("{frames:?}");
        };
        assert_eq!(terminal["end"], json!("cancelled"), "{flow}");
        assert_eq!(over["type"], json!("end"), "{flow}");
    }
}

#[test]
fn every_exact_subscription_ends_and_those_by_pattern_go_on() {
    let mut wire = wire();
    let exact: Vec<ConnectionId> = (0..3)
        .map(|_| subscriber(&mut wire, &json!({ "pattern": "job:1" })))
        .collect();
    let by_pattern = subscriber(&mut wire, &json!({ "pattern": "job:*" }));
    let other = subscriber(&mut wire, &json!({ "pattern": "job:2" }));
    end(&mut wire, EndReason::Complete);
    for id in exact {
        assert_eq!(kinds(&wire.receive(id)), ["pub", "end"]);
    }
    let frames = wire.receive(by_pattern);
    assert_eq!(kinds(&frames), ["pub"]);
    assert_eq!(frames[0]["end"], json!("complete"));
    assert_eq!(wire.receive(other), Vec::<Value>::new());
    assert_eq!(wire.server.counts().subscriptions, 2);
    wire.publish("job:2", 7);
    assert_eq!(payloads(&wire.receive(by_pattern)), [json!(7)]);
}

#[test]
fn who_comes_late_gets_the_terminal_and_the_end_at_once_however_it_starts() {
    let mut wire = wire();
    wire.publish("job:1", 1);
    let position = end(&mut wire, EndReason::Complete);
    let since = |offset: u64| {
        let known = json!({ "topic": "job:1", "epoch": position.epoch, "offset": offset });
        json!({ "pattern": "job:1", "since": [known] })
    };
    let all = ["welcome", "subscribed", "pub", "end"];
    for (frame, expected) in [
        (json!({ "pattern": "job:1" }), &all[..]),
        (json!({ "pattern": "job:1", "latest": false }), &all[..]),
        (
            json!({ "pattern": "job:1", "flow": { "debounce_ms": 60_000 } }),
            &all[..],
        ),
        (since(1), &all[..]),
        (
            since(0),
            &["welcome", "subscribed", "pub", "pub", "end"][..],
        ),
        (since(2), &["welcome", "subscribed", "end"][..]),
    ] {
        let id = wire.open();
        subscribe(&mut wire, id, &frame);
        let frames = wire.receive(id);
        assert_eq!(kinds(&frames), expected, "{frame}");
        assert_eq!(wire.server.counts().subscriptions, 0, "{frame}");
        let again = json!({ "type": "unsubscribe", "pattern": "job:1" });
        wire.send(id, &again);
        assert_eq!(kinds(&wire.receive(id)), ["error not_subscribed"]);
    }
}

#[test]
fn a_late_pattern_subscriber_gets_the_terminal_and_stays() {
    let mut wire = wire();
    end(&mut wire, EndReason::Failed);
    let id = wire.open();
    subscribe(&mut wire, id, &json!({ "pattern": "job:*" }));
    let frames = wire.receive(id);
    assert_eq!(kinds(&frames), ["welcome", "subscribed", "pub"]);
    assert_eq!(frames[2]["end"], json!("failed"));
}

#[test]
fn nothing_is_published_to_an_ended_topic() {
    let mut wire = wire();
    let id = subscriber(&mut wire, &json!({ "pattern": "job:*" }));
    end(&mut wire, EndReason::Failed);
    wire.receive(id);
    let refused = publish(&mut wire, request(json!(2)));
    assert_eq!(refused, Err(PublishError::Ended(EndReason::Failed)));
    assert_eq!(wire.receive(id), Vec::<Value>::new());
    let latest = wire.server.latest(&topic("job:1")).unwrap();
    assert_eq!(latest.payload.0, json!("last"));
}

#[test]
fn a_topic_is_started_anew_only_on_request_and_in_another_epoch() {
    let mut wire = wire();
    let id = subscriber(&mut wire, &json!({ "pattern": "job:*" }));
    let before = end(&mut wire, EndReason::Failed);
    let restart = |number: u64| PublishRequest {
        restart: true,
        ..request(json!(number))
    };
    let first = publish(&mut wire, restart(1)).unwrap();
    assert_ne!(first.epoch, before.epoch);
    assert_eq!(first.offset, 1);
    let second = publish(&mut wire, restart(2)).unwrap();
    assert_eq!(
        second,
        Position { offset: 2, ..first },
        "a topic that is open goes on"
    );
    let frames = wire.receive(id);
    assert_eq!(payloads(&frames), [json!("last"), json!(1), json!(2)]);
    let late = wire.open();
    subscribe(&mut wire, late, &json!({ "pattern": "job:1" }));
    assert_eq!(payloads(&wire.receive(late)), [json!(2)]);
}

#[test]
fn a_refused_restart_leaves_the_end_as_it_was() {
    let mut config = ServerConfig::new(1);
    config.hub.retained_bytes_max = 30;
    let mut wire = Wire::new(config);
    wire.publish("other", json!("twenty bytes, rather"));
    end(&mut wire, EndReason::Failed);
    let restart = PublishRequest {
        restart: true,
        ..request(json!("more than there is room for"))
    };
    let refused = publish(&mut wire, restart);
    assert!(
        matches!(refused, Err(PublishError::Full { .. })),
        "{refused:?}"
    );
    let id = wire.open();
    subscribe(&mut wire, id, &json!({ "pattern": "job:1" }));
    assert_eq!(
        kinds(&wire.receive(id)),
        ["welcome", "subscribed", "pub", "end"]
    );
}

#[test]
fn a_repeated_terminal_is_answered_and_ends_nothing_again() {
    let mut wire = wire();
    let terminal = PublishRequest {
        end: Some(StatedEnd::Complete),
        id: Some("the end".into()),
        ..request(json!("last"))
    };
    let position = publish(&mut wire, terminal.clone()).unwrap();
    assert_eq!(publish(&mut wire, terminal.clone()), Ok(position));
    let restart = PublishRequest {
        restart: true,
        ..request(json!(1))
    };
    let restarted = publish(&mut wire, restart).unwrap();
    assert_eq!(publish(&mut wire, terminal), Ok(position));
    let latest = wire.server.latest(&topic("job:1")).unwrap();
    assert_eq!((latest.position, latest.end), (restarted, None));
}

#[test]
fn an_idempotency_key_counts_on_its_topic_and_for_the_last_128() {
    let mut wire = wire();
    let keyed = |to: &str, key: u64| PublishRequest {
        id: Some(key.to_string()),
        ..PublishRequest::new(topic(to), Json::from(key))
    };
    let mut publish_keyed = |to: &str, key: u64| {
        let position = publish(&mut wire, keyed(to, key));
        position.expect("the topics stay open").offset
    };
    for key in 1..=128 {
        assert_eq!(publish_keyed("job:1", key), key);
    }
    assert_eq!(publish_keyed("job:1", 1), 1);
    assert_eq!(publish_keyed("job:2", 1), 1, "another topic");
    assert_eq!(publish_keyed("job:1", 129), 129);
    assert_eq!(publish_keyed("job:1", 2), 2);
    assert_eq!(
        publish_keyed("job:1", 1),
        130,
        "the oldest key is forgotten"
    );
}

#[test]
fn a_terminal_passes_a_window_that_another_topic_of_the_pattern_opened() {
    let mut wire = wire();
    let flow = json!({ "throttle_ms": 1000 });
    let id = subscriber(&mut wire, &json!({ "pattern": "job:*", "flow": flow }));
    for to in ["job:1", "job:2"] {
        wire.publish(to, 1);
        wire.publish(to, 2);
    }
    assert_eq!(payloads(&wire.receive(id)), [json!(1), json!(1)]);
    wire.pass(ms(10));
    end(&mut wire, EndReason::Complete);
    assert_eq!(payloads(&wire.receive(id)), [json!(2), json!("last")]);
    wire.pass(secs(1));
    assert_eq!(payloads(&wire.receive(id)), [json!(2)], "that of the other");
}
