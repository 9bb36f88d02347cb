//! Clients whose messages take longer than clients may be silent.

use std::time::Duration;

use crate::support::served_hub_with;
use crate::support::socket::Socket;
use futures_util::SinkExt as _;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// How long a client may be silent before it gets a ping, and then again before it is closed.
const HEARTBEAT: Duration = Duration::from_millis(500);

const PAUSE: Duration = Duration::from_millis(100);

/// This number of pauses is longer than a client may be silent.
const PARTS: usize = 20;

#[tokio::test]
async fn who_is_sending_a_long_message_or_control_frames_is_not_taken_for_silent() {
    let (_hub, address) = served_hub_with(|config| {
        config.session.heartbeat = HEARTBEAT;
        config.session.pong_timeout = HEARTBEAT;
    })
    .await;
    let mut socket = Socket::open(&address).await;
    socket.send(json!({ "type": "ping" })).await;
    socket.expect("pong").await;

    let mut pauses = tokio::time::interval(PAUSE);
    let filling = "x".repeat(PARTS * 40_000);
    let publish = json!({ "type": "publish", "ref": 1, "topic": "a", "data": filling });
    let text = publish.to_string();
    for (number, part) in text
        .as_bytes()
        .chunks(text.len().div_ceil(PARTS))
        .enumerate()
    {
        pauses.tick().await;
        let kind = if number == 0 {
            Data::Text
        } else {
            Data::Continue
        };
        let is_last = number == PARTS - 1;
        let frame = Frame::message(part.to_vec(), OpCode::Data(kind), is_last);
        socket.inner.send(Message::Frame(frame)).await.unwrap();
    }
    socket.expect("published").await;

    for _ in 0..PARTS {
        pauses.tick().await;
        let pong = Message::Pong(Vec::new().into());
        socket.inner.send(pong).await.unwrap();
    }
    socket.send(json!({ "type": "ping" })).await;
    socket.expect("pong").await;
}
