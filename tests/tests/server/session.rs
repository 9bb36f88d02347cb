//! The server's side of a connection: what a client may ask for, what it is told, and when it is closed.

use serde_json::{Value, json};
use tidegate_core::hub::ServerConfig;
use tidegate_core::limits::HELLO_FIELD_BYTES_MAX;
use tidegate_core::protocol::{ErrorCode, WireError};
use tidegate_core::session::CloseReason;
use tidegate_tests::wire::{Wire, kinds, payloads, subscribe};
use tidegate_tests::{ms, secs};

fn wire() -> Wire {
    Wire::new(ServerConfig::new(1))
}

fn publish(topic: &str, data: &Value) -> Value {
    json!({ "type": "publish", "ref": 1, "topic": topic, "data": data })
}

#[test]
fn a_hello_is_welcomed_with_the_heartbeat() {
    let mut wire = wire();
    let id = wire.open();
    let frames = wire.answer(id, &json!({ "type": "hello", "client": "test" }));
    assert_eq!(
        frames,
        [json!({ "type": "welcome", "heartbeat_ms": 25000 })]
    );
}

#[test]
fn without_a_hello_the_welcome_comes_before_the_first_answer() {
    let mut wire = wire();
    let id = wire.open();
    let frames = wire.answer(id, &subscribe("job:1"));
    assert_eq!(kinds(&frames), ["welcome", "subscribed"]);
}

#[test]
fn even_a_bad_first_frame_opens_the_session() {
    let mut wire = wire();
    let id = wire.open();
    let frames = wire.answer(id, &json!({ "type": "nonsense" }));
    assert_eq!(kinds(&frames), ["welcome", "error bad_frame"]);
    assert_eq!(wire.said(id, &subscribe("job:1")), ["subscribed"]);
}

#[test]
fn who_says_nothing_is_closed_in_time_and_told_why() {
    let mut wire = wire();
    let id = wire.open();
    wire.pass(ms(9_999));
    assert_eq!(wire.receive(id), Vec::<Value>::new());
    wire.pass(ms(1));
    let frames = wire.receive(id);
    assert_eq!(kinds(&frames), ["error timeout"]);
    assert_eq!(frames[0]["fatal"], json!(true));
    assert_eq!(wire.closes(), [(id, CloseReason::Timeout)]);
}

#[test]
fn who_is_silent_is_asked_and_then_closed() {
    let mut wire = wire();
    let id = wire.welcomed();
    wire.pass(ms(24_999));
    assert_eq!(wire.receive(id), Vec::<Value>::new());
    wire.pass(ms(1));
    assert_eq!(kinds(&wire.receive(id)), ["ping"]);
    wire.pass(ms(19_999));
    assert_eq!(wire.closes(), []);
    wire.pass(ms(1));
    assert_eq!(wire.closes(), [(id, CloseReason::Timeout)]);
}

#[test]
fn any_frame_is_a_sign_of_life() {
    let mut wire = wire();
    let id = wire.welcomed();
    for frame in [
        json!({ "type": "pong" }),
        json!({ "type": "ping" }),
        json!({ "type": "nonsense" }),
    ] {
        wire.pass(secs(24));
        assert!(!kinds(&wire.receive(id)).contains(&"ping".to_owned()));
        wire.send(id, &frame);
    }
    wire.pass(secs(25));
    wire.send(id, &json!({ "type": "pong" }));
    wire.pass(secs(24));
    assert_eq!(wire.closes(), []);
}

#[test]
fn a_late_timer_asks_once_and_closes_nobody() {
    let mut wire = wire();
    let id = wire.welcomed();
    wire.now = wire.now + secs(3600);
    wire.server.handle_timeout(wire.now);
    assert_eq!(kinds(&wire.receive(id)), ["ping"]);
    assert_eq!(wire.closes(), []);
}

#[test]
fn a_heartbeat_that_is_shorter_than_the_time_for_a_hello_is_kept() {
    let mut config = ServerConfig::new(1);
    config.session.heartbeat = secs(2);
    config.session.pong_timeout = secs(9);
    let mut wire = Wire::new(config);
    let id = wire.welcomed();
    wire.pass(secs(2));
    assert_eq!(kinds(&wire.receive(id)), ["ping"]);
    wire.send(id, &json!({ "type": "pong" }));
    wire.pass(secs(2));
    assert_eq!(kinds(&wire.receive(id)), ["ping"]);
}

#[test]
fn a_ping_is_answered() {
    let mut wire = wire();
    let id = wire.welcomed();
    assert_eq!(wire.said(id, &json!({ "type": "ping" })), ["pong"]);
}

#[test]
fn subscribing_twice_is_refused_and_leaves_the_first_as_it_is() {
    let mut wire = wire();
    let id = wire.welcomed();
    wire.send(id, &subscribe("job:1"));
    wire.receive(id);
    let frames = wire.answer(id, &subscribe("job:1"));
    assert_eq!(kinds(&frames), ["error already_subscribed"]);
    assert_eq!(frames[0]["pattern"], json!("job:1"));
    wire.publish("job:1", 1);
    assert_eq!(payloads(&wire.receive(id)), [json!(1)]);
}

#[test]
fn what_is_not_subscribed_cannot_be_ended_or_paced() {
    let mut wire = wire();
    let id = wire.welcomed();
    for kind in ["unsubscribe", "flow"] {
        let frame = json!({ "type": kind, "pattern": "job:1", "flow": {} });
        let frames = wire.answer(id, &frame);
        assert_eq!(kinds(&frames), ["error not_subscribed"], "{kind}");
        assert_eq!(frames[0]["pattern"], json!("job:1"));
    }
}

#[test]
fn an_unsubscribe_is_confirmed_and_drops_what_waits() {
    let mut wire = wire();
    let id = wire.welcomed();
    wire.send(id, &subscribe("job:1"));
    wire.send(id, &subscribe("job:*"));
    wire.receive(id);
    wire.publish("job:1", 1);
    wire.send(id, &json!({ "type": "unsubscribe", "pattern": "job:1" }));
    wire.publish("job:1", 2);
    let frames = wire.receive(id);
    assert_eq!(kinds(&frames), ["pub", "unsubscribed", "pub"]);
    assert_eq!(frames[0]["via"], json!("job:*"));
}

#[test]
fn a_flow_frame_paces_a_live_subscription() {
    let mut wire = wire();
    let id = wire.welcomed();
    wire.send(id, &subscribe("job:1"));
    let flow = json!({ "type": "flow", "pattern": "job:1", "flow": { "debounce_ms": 100 } });
    wire.send(id, &flow);
    wire.receive(id);
    wire.publish("job:1", 1);
    wire.publish("job:1", 2);
    assert_eq!(payloads(&wire.receive(id)), Vec::<Value>::new());
    wire.pass(ms(100));
    assert_eq!(payloads(&wire.receive(id)), [json!(2)]);
}

#[test]
fn a_session_has_so_many_subscriptions_and_no_more_until_one_is_over() {
    let mut config = ServerConfig::new(1);
    config.session.subscriptions_max = 2;
    let mut wire = Wire::new(config);
    let id = wire.welcomed();
    for pattern in ["job:1", "job:2"] {
        assert_eq!(wire.said(id, &subscribe(pattern)), ["subscribed"]);
    }
    let frames = wire.answer(id, &subscribe("job:3"));
    assert_eq!(kinds(&frames), ["error too_many_subscriptions"]);
    assert_eq!(frames[0]["pattern"], json!("job:3"));
    wire.publish("job:1", json!({ "status": "COMPLETE" }));
    assert_eq!(kinds(&wire.receive(id)), ["pub", "end"]);
    assert_eq!(wire.said(id, &subscribe("job:3")), ["subscribed"]);
}

#[test]
fn a_hub_has_so_many_subscriptions_and_topics() {
    let mut config = ServerConfig::new(1);
    config.hub.subscriptions_max = 2;
    config.hub.topics_max = 2;
    let mut wire = Wire::new(config);
    let (one, other) = (wire.welcomed(), wire.welcomed());
    wire.send(one, &subscribe("job:1"));
    wire.send(one, &subscribe("job:*"));
    let frames = wire.answer(other, &subscribe("job:2"));
    assert_eq!(kinds(&frames), ["error too_many_subscriptions"]);

    assert_eq!(
        wire.said(other, &publish("job:2", &json!(1))),
        ["published"]
    );
    assert_eq!(
        wire.said(other, &publish("job:1", &json!(1))),
        ["published"]
    );
    let frames = wire.answer(other, &publish("job:3", &json!(1)));
    assert_eq!(kinds(&frames), ["error too_many_topics"]);
    assert_eq!(frames[0]["ref"], json!(1));
    wire.send(one, &json!({ "type": "unsubscribe", "pattern": "job:*" }));
    assert_eq!(wire.said(other, &subscribe("job:2")), ["subscribed", "pub"]);
}

#[test]
fn who_only_subscribes_takes_no_topics_from_those_who_publish() {
    let mut config = ServerConfig::new(1);
    config.hub.topics_max = 2;
    let mut wire = Wire::new(config);
    let (reader, publisher) = (wire.welcomed(), wire.welcomed());
    for number in 0..10 {
        let frames = wire.said(reader, &subscribe(&format!("job:{number}")));
        assert_eq!(frames, ["subscribed"]);
    }
    for number in [3, 12, 3] {
        let publish = publish(&format!("job:{number}"), &json!(number));
        assert!(wire.said(publisher, &publish).contains(&"published".into()));
    }
    let frames = wire.answer(publisher, &publish("job:4", &json!(4)));
    assert_eq!(kinds(&frames), ["error too_many_topics"]);
}

#[test]
fn a_connection_that_closes_gives_its_subscriptions_back() {
    let mut wire = wire();
    let id = wire.welcomed();
    wire.send(id, &subscribe("job:1"));
    wire.send(id, &subscribe("job:*"));
    assert_eq!(wire.server.counts().subscriptions, 2);
    wire.server.handle_closed(wire.now, id);
    assert_eq!(wire.server.counts().subscriptions, 0);
    assert_eq!(wire.server.connections(), 0);
    wire.publish("job:1", 1);
    assert_eq!(wire.receive(id), Vec::<Value>::new());
}

#[test]
fn a_publish_is_answered_with_its_number_and_place() {
    let mut wire = wire();
    let id = wire.welcomed();
    let frames = wire.answer(id, &publish("job:1", &json!({})));
    assert_eq!(kinds(&frames), ["published"]);
    assert_eq!(
        (&frames[0]["ref"], &frames[0]["offset"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn refused_publishes_are_told_why_and_which() {
    let mut config = ServerConfig::new(1);
    config.hub.payload_bytes_max = 40;
    let mut wire = Wire::new(config);
    let id = wire.welcomed();
    let long = "x".repeat(200);
    let mut with_key = publish("job:1", &json!(1));
    with_key["id"] = json!(long);
    for frame in [publish("job:1", &json!(long)), with_key] {
        let frames = wire.answer(id, &frame);
        assert_eq!(kinds(&frames), ["error too_large"]);
        assert_eq!(frames[0]["ref"], json!(1));
    }
    wire.publish("job:1", json!({ "status": "failed" }));
    let frames = wire.answer(id, &publish("job:1", &json!(2)));
    assert_eq!(kinds(&frames), ["error topic_ended"]);
    assert_eq!(frames[0]["ref"], json!(1));
}

#[test]
fn a_hello_that_is_too_long_ends_the_session() {
    let mut wire = wire();
    let id = wire.open();
    let token = "x".repeat(8 * 1024 + 1);
    let frames = wire.answer(id, &json!({ "type": "hello", "token": token }));
    assert_eq!(kinds(&frames), ["welcome", "error too_large"]);
    assert_eq!(frames[1]["fatal"], json!(true));
    assert_eq!(wire.closes(), [(id, CloseReason::Protocol)]);
    assert_eq!(
        wire.answer(id, &subscribe("job:1")),
        Vec::<Value>::new(),
        "nothing is heard after it"
    );
}

#[test]
fn each_member_of_a_hello_may_be_as_long_as_the_limit() {
    for member in ["token", "client"] {
        let mut wire = wire();
        let id = wire.open();
        let mut hello = json!({ "type": "hello" });
        hello[member] = json!("x".repeat(HELLO_FIELD_BYTES_MAX));
        assert_eq!(wire.said(id, &hello), ["welcome"], "{member}");
    }
}

#[test]
fn a_bad_frame_is_told_and_kills_nobody() {
    let mut wire = wire();
    let (id, other) = (wire.welcomed(), wire.welcomed());
    for connection in [id, other] {
        wire.send(connection, &subscribe("job:1"));
        wire.receive(connection);
    }
    let bad = [
        (json!({ "type": "nonsense" }), "error bad_frame"),
        (json!([]), "error bad_frame"),
        (json!({ "type": "subscribe" }), "error bad_frame"),
        (subscribe("job::1"), "error bad_topic"),
        (publish("job:*", &json!(1)), "error bad_topic"),
        (
            json!({ "type": "flow", "pattern": "job:1", "flow": { "throttle_ms": 0 } }),
            "error bad_flow",
        ),
        (
            json!({ "type": "flow", "pattern": "job:1",
                "flow": { "throttle_ms": 1, "debounce_ms": 1 } }),
            "error bad_flow",
        ),
    ];
    for (frame, code) in bad {
        assert_eq!(wire.said(id, &frame), [code], "{frame}");
    }
    wire.publish("job:1", 1);
    for connection in [id, other] {
        assert_eq!(payloads(&wire.receive(connection)), [json!(1)]);
    }
    assert_eq!(wire.closes(), []);
}

#[test]
fn a_frame_that_breaks_the_transport_ends_only_its_own_session() {
    let mut wire = wire();
    let (id, other) = (wire.welcomed(), wire.welcomed());
    wire.send(other, &subscribe("job:1"));
    wire.receive(other);
    let error = WireError::new(ErrorCode::BadFrame, "a binary message").fatal();
    wire.server.handle_bad_frame(wire.now, id, error);
    assert_eq!(kinds(&wire.receive(id)), ["error bad_frame"]);
    assert_eq!(wire.closes(), [(id, CloseReason::Protocol)]);
    wire.server.handle_closed(wire.now, id);
    wire.publish("job:1", 1);
    assert_eq!(payloads(&wire.receive(other)), [json!(1)]);
}

#[test]
fn a_transport_is_told_once_that_something_waits_for_it() {
    let mut wire = wire();
    let id = wire.welcomed();
    wire.send(id, &subscribe("job:1"));
    wire.receive(id);
    wire.outputs();
    wire.publish("job:1", 1);
    wire.publish("job:1", 2);
    assert_eq!(wire.outputs().len(), 1);
    assert!(wire.receive_one(id).is_some());
    wire.publish("job:1", 3);
    assert_eq!(wire.outputs().len(), 0, "the transport is still behind");
    assert_eq!(payloads(&wire.receive(id)), [json!(2), json!(3)]);
    wire.publish("job:1", 4);
    assert_eq!(wire.outputs().len(), 1);
}
