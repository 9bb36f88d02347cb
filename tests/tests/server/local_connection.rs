//! Subscribers within the server's process: streams, and responses that end with their topics.

use serde_json::{Value, json};
use tidegate_core::durable::DurableName;
use tidegate_core::flow::Flow;
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_core::protocol::{Start, SubscribeRequest, TopicPosition};
use tidegate_core::publication::Position;
use tidegate_core::session::CloseReason;
use tidegate_tests::wire::{Wire, kinds, payloads};
use tidegate_tests::{ms, pattern, topic};

const BYTES_MAX: usize = 10_000;

fn subscribe(wire: &mut Wire, id: ConnectionId, to: &str) {
    let request = SubscribeRequest::new(pattern(to), Flow::IMMEDIATE);
    let subscribed = wire.server.handle_subscribe(wire.now, id, request);
    assert!(subscribed.expect("there is room").is_some());
}

#[test]
fn it_is_served_without_a_hello() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let id = wire.server.handle_open_local(BYTES_MAX);
    subscribe(&mut wire, id, "job:1");
    wire.publish("job:1", 1);
    let frames = wire.receive(id);
    assert_eq!(kinds(&frames), ["subscribed", "pub"]);
    assert_eq!(frames[0]["pattern"], json!("job:1"));
}

#[test]
fn it_is_closed_once_everything_that_it_asked_for_has_ended() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let id = wire.server.handle_open_local(BYTES_MAX);
    subscribe(&mut wire, id, "job:1");
    subscribe(&mut wire, id, "job:2");
    wire.publish("job:1", json!({ "status": "complete" }));
    assert_eq!(wire.closes(), []);
    wire.publish("job:2", json!({ "status": "failed" }));
    assert_eq!(wire.closes(), [(id, CloseReason::Ended)]);
    assert_eq!(
        kinds(&wire.receive(id)),
        ["subscribed", "subscribed", "pub", "end", "pub", "end"]
    );
}

#[test]
fn it_is_not_closed_when_only_the_first_topic_that_it_asks_for_has_ended() {
    let mut wire = Wire::new(ServerConfig::new(1));
    wire.publish("job:1", json!({ "status": "complete" }));
    let id = wire.server.handle_open_local(BYTES_MAX);
    subscribe(&mut wire, id, "job:1");
    subscribe(&mut wire, id, "job:2");
    assert_eq!(wire.closes(), []);
    wire.publish("job:2", json!({ "status": "failed" }));
    assert_eq!(wire.closes(), [(id, CloseReason::Ended)]);
}

#[test]
fn it_is_closed_once_when_all_topics_that_it_asks_for_have_ended() {
    let mut wire = Wire::new(ServerConfig::new(1));
    for to in ["job:1", "job:2"] {
        wire.publish(to, json!({ "status": "complete" }));
    }
    let id = wire.server.handle_open_local(BYTES_MAX);
    subscribe(&mut wire, id, "job:1");
    subscribe(&mut wire, id, "job:2");
    assert_eq!(wire.closes(), [(id, CloseReason::Ended)]);
}

fn join(wire: &mut Wire, id: ConnectionId, room: &str) {
    let joined = wire.server.handle_join(wire.now, id, &pattern(room));
    assert!(joined.expect("there is room").is_some());
}

#[test]
fn it_is_in_its_room_as_long_as_it_lasts_and_no_longer() {
    let mut wire = Wire::new(ServerConfig::new(1));
    wire.publish("user:7", "before");
    let id = wire.server.handle_open_local(BYTES_MAX);
    join(&mut wire, id, "user:7");
    subscribe(&mut wire, id, "job:1");
    wire.publish("user:7", "hello");
    wire.publish("job:1", json!({ "status": "complete" }));
    assert_eq!(wire.closes(), [(id, CloseReason::Ended)]);
    let frames = wire.receive(id);
    assert_eq!(
        kinds(&frames),
        ["subscribed", "subscribed", "pub", "pub", "end"]
    );
    assert_eq!(frames[2]["data"], json!("hello"));
    wire.server.handle_closed(wire.now, id);
    assert_eq!(wire.server.counts().subscriptions, 0);
}

#[test]
fn the_end_of_its_room_is_not_its_end() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let id = wire.server.handle_open_local(BYTES_MAX);
    join(&mut wire, id, "user:7");
    subscribe(&mut wire, id, "job:1");
    wire.publish("user:7", json!({ "status": "complete" }));
    assert_eq!(wire.closes(), []);
    wire.publish("job:1", 1);
    wire.publish("job:1", json!({ "status": "complete" }));
    assert_eq!(wire.closes(), [(id, CloseReason::Ended)]);
}

#[test]
fn in_a_room_it_ends_when_all_that_it_asks_for_has_ended_before() {
    let mut wire = Wire::new(ServerConfig::new(1));
    for to in ["job:1", "job:2"] {
        wire.publish(to, json!({ "status": "complete" }));
    }
    let id = wire.server.handle_open_local(BYTES_MAX);
    join(&mut wire, id, "user:7");
    subscribe(&mut wire, id, "job:1");
    subscribe(&mut wire, id, "job:2");
    assert_eq!(wire.closes(), [(id, CloseReason::Ended)]);
}

/// Its device may turn up at another server as soon as it has its answer.
#[test]
fn what_a_device_says_that_it_has_seen_is_stored_before_anything_else_happens() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let topic = topic("job:1");
    wire.publish("job:1", 1);
    wire.publish("job:1", 2);
    let mut stored = Vec::new();
    for seen in [None, Some(1), Some(2)] {
        let id = wire.server.handle_open_local(BYTES_MAX);
        let position = wire.server.latest(&topic).expect("published").position;
        let start = seen.map_or(Start::Latest, |offset| {
            let position = Position { offset, ..position };
            let topic = topic.clone();
            Start::Since(vec![TopicPosition { topic, position }])
        });
        let request = SubscribeRequest {
            start,
            durable: Some(DurableName::new("phone").expect("valid")),
            ..SubscribeRequest::new(pattern("job:1"), Flow::IMMEDIATE)
        };
        let subscribed = wire.server.handle_subscribe(wire.now, id, request);
        assert!(subscribed.expect("there is room").is_some());
        let counts = wire.server.durable_counts();
        stored.push((counts.stored, counts.unstored));
    }
    // It resumes one before the latest, which is what the second one has seen.
    assert_eq!(stored, [(0, 0), (0, 0), (1, 0)]);
}

#[test]
fn its_flow_can_be_changed() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let id = wire.server.handle_open_local(BYTES_MAX);
    let now = wire.now;
    let request = SubscribeRequest {
        start: Start::New,
        ..SubscribeRequest::new(pattern("job:1"), Flow::IMMEDIATE)
    };
    let subscribed = wire
        .server
        .handle_subscribe(now, id, request)
        .expect("there is room")
        .expect("it is local");
    wire.server
        .handle_flow(now, subscribed.id, Flow::debounce(ms(50)))
        .expect("the flow is in range");
    wire.publish("job:1", 1);
    assert_eq!(payloads(&wire.receive(id)), Vec::<Value>::new());
    wire.pass(ms(50));
    assert_eq!(payloads(&wire.receive(id)), [json!(1)]);
}

#[test]
fn who_closes_it_is_served_no_more_and_other_connections_are() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let (id, other) = (
        wire.server.handle_open_local(BYTES_MAX),
        wire.server.handle_open_local(BYTES_MAX),
    );
    for connection in [id, other] {
        subscribe(&mut wire, connection, "job:*");
    }
    wire.server.handle_closed(wire.now, id);
    wire.publish("job:1", 1);
    assert_eq!(wire.receive(id), Vec::<Value>::new());
    assert_eq!(payloads(&wire.receive(other)), [json!(1)]);
    let next = wire.server.handle_open_local(BYTES_MAX);
    assert_eq!(next.index(), id.index(), "the index is used again");
    assert_eq!(wire.receive(next), Vec::<Value>::new());
}
