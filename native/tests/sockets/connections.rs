//! The WebSocket endpoint, frame by frame.

use crate::support::socket::Socket;
use crate::support::{end, served_hub, served_hub_with, until_counts};
use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

#[tokio::test]
async fn a_hello_is_answered_by_a_welcome_and_may_be_left_out() {
    let (_hub, address) = served_hub().await;
    for first in [
        json!({"type": "hello", "token": "t", "client": "test"}),
        json!({"type": "ping"}),
        json!({"type": "subscribe", "pattern": "a"}),
    ] {
        let mut socket = Socket::open(&address).await;
        socket.send(first.clone()).await;
        let message = socket.message().await.unwrap();
        let frame: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        let welcome = frame.get(0).unwrap_or(&frame);
        assert_eq!(
            welcome,
            &json!({"type": "welcome", "heartbeat_ms": 25_000, "message_bytes_max": (1 << 20) + (16 << 10)}),
            "{first}"
        );
    }
}

#[tokio::test]
async fn a_subscription_lives_through_all_its_requests() {
    let (_hub, address) = served_hub().await;
    let mut socket = Socket::open(&address).await;
    let subscribed = socket.subscribe("job:1", json!({})).await;
    let epoch = subscribed["position"]["epoch"].clone();
    assert_eq!(
        subscribed,
        json!({
            "type": "subscribed", "pattern": "job:1", "recovered": false, "flow": {},
            "position": {"epoch": epoch, "offset": 0},
        })
    );
    socket
        .send(json!({"type": "publish", "ref": 7, "topic": "job:1", "data": {"n": 1}}))
        .await;
    let published = socket.next().await;
    // If shards share the topics, a topic that has not begun has no epoch.
    let epoch = published["epoch"].clone();
    let publication =
        json!({"type": "pub", "topic": "job:1", "epoch": epoch, "offset": 1, "data": {"n": 1}});
    assert_eq!(
        published,
        json!({"type": "published", "ref": 7, "epoch": epoch, "offset": 1})
    );
    assert_eq!(socket.next().await, publication);

    socket
        .send(json!({"type": "flow", "pattern": "job:1", "flow": {"throttle_ms": 3_600_000}}))
        .await;
    for number in 2..=4 {
        socket
            .send(json!({"type": "publish", "ref": number, "topic": "job:1", "data": number}))
            .await;
    }
    // The first opens the window, the others wait.
    let mut frames = Vec::new();
    for _ in 0..4 {
        frames.push(socket.next().await);
    }
    let values: Vec<&Value> = frames
        .iter()
        .filter(|frame| frame["type"] == "pub")
        .map(|frame| &frame["data"])
        .collect();
    assert_eq!(values, [2]);
    socket
        .send(json!({"type": "flow", "pattern": "job:1", "flow": {}}))
        .await;
    assert_eq!(socket.expect("pub").await["data"], 4);
    socket
        .send(json!({"type": "unsubscribe", "pattern": "job:1"}))
        .await;
    let unsubscribed = json!({"type": "unsubscribed", "pattern": "job:1"});
    assert_eq!(socket.next().await, unsubscribed);
    socket
        .send(json!({"type": "publish", "ref": 9, "topic": "job:1", "data": 5}))
        .await;
    assert_eq!(socket.next().await["type"], "published");
}

#[tokio::test]
async fn the_end_of_a_topic_is_the_end_of_its_subscription_only() {
    let (hub, address) = served_hub().await;
    let mut socket = Socket::open(&address).await;
    socket.subscribe("job:1", json!({})).await;
    let mut other = Socket::open(&address).await;
    other.subscribe("job:*", json!({})).await;
    end(&hub, "job:1").await;
    assert_eq!(socket.expect("pub").await["end"], "complete");
    let ended = json!({"type": "end", "pattern": "job:1", "reason": "complete"});
    assert_eq!(socket.next().await, ended);
    let publication = other.expect("pub").await;
    assert_eq!(
        (&publication["via"], &publication["end"]),
        (&json!("job:*"), &json!("complete"))
    );
    hub.publish("job:2", &2).await.unwrap();
    assert_eq!(other.expect("pub").await["data"], 2);
    // The connection stays open, and may subscribe to topics that have ended.
    socket.subscribe("job:1", json!({})).await;
    assert_eq!(socket.expect("pub").await["data"], "end");
    socket.expect("end").await;
    until_counts(&hub, 2, 1).await;
}

#[tokio::test]
async fn several_frames_may_come_and_go_in_one_message() {
    let (_hub, address) = served_hub().await;
    let mut socket = Socket::open(&address).await;
    let frames: Vec<Value> = (0..50)
        .map(|number| json!({"type": "publish", "ref": number, "topic": "a", "data": number}))
        .collect();
    socket.send(json!(frames)).await;
    for number in 0..50 {
        assert_eq!(socket.expect("published").await["ref"], number);
    }
    let since = json!([{"topic": "a", "epoch": 1, "offset": 0}]);
    socket
        .send(json!([
            {"type": "subscribe", "pattern": "a", "since": since},
            {"type": "subscribe", "pattern": "b", "latest": false},
            {"type": "ping"},
        ]))
        .await;
    // What is due together leaves together.
    let message = socket.message().await.unwrap();
    let frames: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
    let types: Vec<&Value> = frames
        .as_array()
        .expect("an array of frames")
        .iter()
        .map(|frame| &frame["type"])
        .collect();
    assert_eq!(types, ["subscribed", "reset", "pub", "subscribed", "pong"]);
}

#[tokio::test]
async fn every_subscriber_gets_the_same_bytes() {
    let (hub, address) = served_hub().await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        let mut socket = Socket::open(&address).await;
        socket.subscribe("a", json!({})).await;
        sockets.push(socket);
    }
    let data = json!({"z": 1.50, "a": "é\u{1F600}", "deep": {"x": [1, null]}});
    let position = hub.publish("a", &data).await.unwrap();
    let expected = format!(
        r#"{{"type":"pub","topic":"a","epoch":{},"offset":1,"data":{data}}}"#,
        position.epoch
    );
    for socket in &mut sockets {
        assert_eq!(
            socket.message().await.unwrap(),
            Message::text(expected.clone())
        );
    }
}

#[tokio::test]
async fn a_payload_arrives_as_its_publisher_wrote_it() {
    let (_hub, address) = served_hub().await;
    let mut socket = Socket::open(&address).await;
    socket.subscribe("a", json!({})).await;
    let data = r#"{"big":123456789012345678901234567890,  "twice":1,"twice":2,"u":"\u00e9"}"#;
    socket
        .send_text(format!(
            r#"{{"type":"publish","ref":1,"topic":"a","data":{data}}}"#
        ))
        .await;
    let mut message = socket.message().await.unwrap();
    if !message.to_text().unwrap().contains("\"pub\"") {
        // The answer came in a separate message.
        message = socket.message().await.unwrap();
    }
    assert!(message.to_text().unwrap().contains(data), "{message:?}");
}

#[tokio::test]
async fn pings_of_both_layers_are_answered() {
    let (_hub, address) = served_hub().await;
    let mut socket = Socket::open(&address).await;
    socket.subscribe("a", json!({})).await;
    socket.send(json!({"type": "ping"})).await;
    assert_eq!(socket.next().await, json!({"type": "pong"}));
    socket
        .inner
        .send(Message::Ping("payload".into()))
        .await
        .unwrap();
    assert_eq!(
        socket.message().await.unwrap(),
        Message::Pong("payload".into())
    );
    let close = CloseFrame {
        code: 1000.into(),
        reason: "".into(),
    };
    socket
        .inner
        .send(Message::Close(Some(close)))
        .await
        .unwrap();
    assert_eq!(socket.close_code().await, 1000);
}

#[tokio::test]
async fn who_never_says_hello_is_left() {
    let (hub, address) = served_hub_with(|config| {
        config.session.hello_timeout = std::time::Duration::from_millis(50);
    })
    .await;
    let mut mute = Socket::open(&address).await;
    assert_eq!(mute.next().await["code"], "timeout");
    assert_eq!(mute.close_code().await, 4408);
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn a_silent_client_is_asked_and_then_left() {
    let (hub, address) = served_hub_with(|config| {
        config.session.heartbeat = std::time::Duration::from_millis(50);
        config.session.pong_timeout = std::time::Duration::from_millis(50);
    })
    .await;
    let mut silent = Socket::open(&address).await;
    silent.send(json!({"type": "hello"})).await;
    let welcome = silent.message().await.unwrap();
    assert!(welcome.to_text().unwrap().contains(r#""heartbeat_ms":50"#));
    assert_eq!(
        silent.message().await.unwrap(),
        Message::text(r#"{"type":"ping"}"#)
    );
    assert_eq!(silent.close_code().await, 4408);
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn what_is_no_frame_is_answered_and_the_session_goes_on() {
    let (_hub, address) = served_hub_with(|config| config.session.subscriptions_max = 1).await;
    let mut socket = Socket::open(&address).await;
    socket.subscribe("a", json!({})).await;
    for (text, code) in [
        ("", "bad_frame"),
        ("{", "bad_frame"),
        ("[1]", "bad_frame"),
        ("{\"type\":\"sing\"}", "bad_frame"),
        ("{\"type\":\"subscribe\"}", "bad_frame"),
        (
            "{\"type\":\"publish\",\"ref\":1,\"topic\":\"a\"}",
            "bad_frame",
        ),
        ("{\"type\":\"subscribe\",\"pattern\":\"a b\"}", "bad_topic"),
        (
            "{\"type\":\"publish\",\"ref\":1,\"topic\":\"a:*\",\"data\":1}",
            "bad_topic",
        ),
        (
            "{\"type\":\"flow\",\"pattern\":\"a\",\"flow\":{\"throttle_ms\":0}}",
            "bad_flow",
        ),
        (
            "{\"type\":\"flow\",\"pattern\":\"b\",\"flow\":{}}",
            "not_subscribed",
        ),
        (
            "{\"type\":\"unsubscribe\",\"pattern\":\"b\"}",
            "not_subscribed",
        ),
        (
            "{\"type\":\"subscribe\",\"pattern\":\"a\"}",
            "already_subscribed",
        ),
        (
            "{\"type\":\"subscribe\",\"pattern\":\"b\"}",
            "too_many_subscriptions",
        ),
    ] {
        socket.send_text(text).await;
        let error = socket.expect("error").await;
        assert_eq!(error["code"], code, "{text}: {error}");
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert_ne!(error["fatal"], true, "{text}");
    }
    socket
        .send(json!({"type": "publish", "ref": 1, "topic": "a", "data": 1}))
        .await;
    socket.expect("published").await;
    assert_eq!(socket.expect("pub").await["data"], 1);
}
