//! Transports that take frames too slowly, and never grow memory without bound.

use serde_json::{Value, json};
use tidegate_core::flow::Flow;
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_core::session::CloseReason;
use tidegate_tests::network::{Network, Quality};
use tidegate_tests::wire::{Wire, kinds, payloads};
use tidegate_tests::{ms, secs};

const BYTES_MAX: usize = 4_000;

fn config() -> ServerConfig {
    let mut config = ServerConfig::new(1);
    config.outbox_bytes_max = BYTES_MAX;
    config
}

fn subscriber(wire: &mut Wire, pattern: &str, flow: &Value) -> ConnectionId {
    let id = wire.open();
    let frame = json!({ "type": "subscribe", "pattern": pattern, "flow": flow });
    wire.send(id, &frame);
    id
}

#[test]
fn a_slow_reader_holds_up_nobody_and_its_queue_is_bounded() {
    let mut wire = Wire::new(config());
    let slow = subscriber(&mut wire, "job:1", &json!({}));
    let quick = subscriber(&mut wire, "job:1", &json!({}));
    wire.receive(slow);
    wire.receive(quick);
    let mut taken = Vec::new();
    for number in 0..1_000 {
        wire.publish("job:1", number);
        taken.extend(payloads(&wire.receive(quick)));
        assert!(wire.server.waiting_bytes(slow) <= BYTES_MAX);
    }
    assert_eq!(taken, (0..1_000).map(Value::from).collect::<Vec<_>>());
    let late = wire.receive(slow);
    let missed = late[0]["missed"].as_u64().expect("the loss is told first");
    let numbers: Vec<Value> = (missed..1_000).map(Value::from).collect();
    assert_eq!(payloads(&late), numbers, "the newest, without a gap");
    assert_eq!(wire.closes(), []);
}

#[test]
fn who_conflates_has_the_latest_waiting_and_is_told_of_no_loss() {
    let mut wire = Wire::new(config());
    let slow = subscriber(&mut wire, "job:1", &json!({ "throttle_ms": 1 }));
    wire.receive(slow);
    for number in 0..1_000 {
        wire.publish("job:1", number);
        wire.pass(ms(1));
    }
    assert_eq!(payloads(&wire.receive(slow)), [json!(999)]);
}

#[test]
fn over_a_slow_link_everything_published_was_delivered_or_told_as_missed() {
    let mut net = Network::with_config(config());
    let slow = net.connected_peer(Quality {
        per_frame: ms(10),
        ..Quality::delayed(ms(5))
    });
    let record = net.subscribe(slow, "job:1", Flow::IMMEDIATE);
    net.run_for(ms(100));
    for number in 0..2_000_u64 {
        net.publish("job:1", number).unwrap();
        net.run_for(ms(1));
    }
    net.run_for(secs(5));
    net.check_converged();
    let record = &net.records[record];
    let seen = record.publications().count();
    assert!(record.losses() > 1, "it lagged more than once");
    assert_eq!(seen as u64 + record.missed(), 2_000);
}

#[test]
fn a_queue_of_nothing_that_may_be_dropped_ends_the_connection_and_grows_no_more() {
    let mut wire = Wire::new(config());
    let slow = subscriber(&mut wire, "job:**", &json!({}));
    let other = subscriber(&mut wire, "job:0", &json!({}));
    for number in 0..40 {
        wire.publish(&format!("job:{number}"), "x".repeat(100).as_str());
    }
    assert_eq!(wire.closes(), [(slow, CloseReason::SlowConsumer)]);
    let waiting = wire.server.waiting_bytes(slow);
    for number in 100..200 {
        wire.publish(&format!("job:{number}"), number);
    }
    assert_eq!(wire.server.waiting_bytes(slow), waiting);
    assert_eq!(wire.closes(), []);
    assert_eq!(payloads(&wire.receive(other)).len(), 1);
}

#[test]
fn who_asks_and_asks_without_reading_is_closed() {
    let mut wire = Wire::new(config());
    let id = wire.open();
    for _ in 0..1_000 {
        wire.send(id, &json!({ "type": "ping" }));
        wire.send(id, &json!({ "type": "nonsense" }));
    }
    assert_eq!(wire.closes(), [(id, CloseReason::SlowConsumer)]);
    assert!(wire.server.waiting_bytes(id) <= 2 * BYTES_MAX + 200);
}

#[test]
fn who_is_closed_for_being_slow_comes_back_and_converges() {
    let mut net = Network::with_config(config());
    let slow = net.connected_peer(Quality {
        per_frame: ms(50),
        ..Quality::delayed(ms(5))
    });
    let record = net.subscribe(slow, "job:*", Flow::IMMEDIATE);
    net.run_for(ms(200));
    for number in 0..60_u64 {
        net.publish(&format!("job:{}", number % 30), number)
            .unwrap();
        net.publish(&format!("job:{number}"), "x".repeat(100).as_str())
            .unwrap();
        net.run_for(ms(2));
    }
    net.run_for(secs(120));
    let closed = net.closes.iter().map(|(_, reason)| *reason);
    assert!(
        closed
            .collect::<Vec<_>>()
            .contains(&CloseReason::SlowConsumer)
    );
    net.check_converged();
    assert!(!net.records[record].is_over());
}

#[test]
fn what_a_pattern_starts_with_may_be_more_than_the_limit() {
    let mut wire = Wire::new(config());
    for number in 0..100 {
        wire.publish(&format!("job:{number:03}"), number);
    }
    let id = subscriber(&mut wire, "job:*", &json!({}));
    assert!(wire.server.waiting_bytes(id) > 2 * BYTES_MAX);
    assert_eq!(wire.closes(), []);
    let frames = wire.receive(id);
    assert_eq!(
        payloads(&frames),
        (0..100).map(Value::from).collect::<Vec<_>>()
    );
    for number in 0..100 {
        wire.publish(&format!("other:{number}"), number);
        wire.publish(&format!("job:{number:03}"), "x".repeat(50).as_str());
    }
    assert_eq!(
        wire.closes(),
        [(id, CloseReason::SlowConsumer)],
        "the limit holds again"
    );
}

#[test]
fn who_has_not_read_one_start_is_not_given_another_beyond_the_limit() {
    let mut wire = Wire::new(config());
    for number in 0..100 {
        wire.publish(&format!("job:{number}"), number);
    }
    let id = subscriber(&mut wire, "job:*", &json!({}));
    for pattern in ["job:**", "*:*", "**"] {
        wire.send(id, &json!({ "type": "subscribe", "pattern": pattern }));
    }
    assert_eq!(wire.closes(), [(id, CloseReason::SlowConsumer)]);
}

#[test]
fn a_pattern_recovers_so_much_and_of_the_rest_the_latest() {
    let mut config = ServerConfig::new(1);
    config.hub.topics_max = 1_000;
    let mut wire = Wire::new(config);
    for topic in 0..100 {
        for number in 0..200 {
            wire.publish(&format!("job:{topic:03}"), number);
        }
    }
    let id = wire.open();
    wire.send(
        id,
        &json!({ "type": "subscribe", "pattern": "job:*", "since": [] }),
    );
    let frames = wire.receive(id);
    assert_eq!(frames[1]["recovered"], json!(false));
    let resets = kinds(&frames)
        .iter()
        .filter(|kind| *kind == "reset")
        .count();
    assert_eq!(resets, 50);
    assert_eq!(payloads(&frames).len(), 50 * 200 + 50);
}
