//! The WebSocket endpoint's transport: well-formed and malformed bytes, connections that come and go.

use crate::support;
use crate::support::socket::Socket;
use crate::support::{eventually, served_hub, served_hub_with, until_counts, within};
use futures_util::SinkExt as _;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

#[tokio::test]
async fn what_breaks_the_websocket_protocol_is_closed_with_its_code() {
    let (hub, address) = served_hub_with(|config| config.hub.payload_bytes_max = 100_000).await;
    let mut witness = Socket::open(&address).await;
    witness.subscribe("a", json!({})).await;
    let mut unmasked = Vec::new();
    Frame::message("{}", OpCode::Data(Data::Text), true)
        .format(&mut unmasked)
        .unwrap();
    let cases: [(&str, Vec<u8>, u16); 5] = [
        ("unmasked", unmasked, 1002),
        (
            "binary",
            masked(OpCode::Data(Data::Binary), true, b"\x01"),
            1003,
        ),
        (
            "not UTF-8",
            masked(OpCode::Data(Data::Text), true, b"\xff\xfe"),
            1007,
        ),
        (
            "oversized",
            masked(OpCode::Data(Data::Text), true, &[b' '; 1_000_000]),
            1009,
        ),
        (
            "no beginning",
            masked(OpCode::Data(Data::Continue), true, b"{}"),
            1002,
        ),
    ];
    for (what, bytes, code) in cases {
        let mut socket = Socket::open(&address).await;
        socket.subscribe("a", json!({})).await;
        let stream = socket.inner.get_mut();
        // The server needn't read on once it knows.
        let _ = tokio::io::AsyncWriteExt::write_all(stream, &bytes).await;
        assert_eq!(socket.close_code().await, code, "{what}");
        until_counts(&hub, 1, 1).await;
        hub.publish("a", &what).await.unwrap();
        assert_eq!(witness.expect("pub").await["data"], what);
    }
}

fn masked(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    mask(Frame::message(payload.to_vec(), opcode, is_final))
}

fn mask(mut frame: Frame) -> Vec<u8> {
    frame.header_mut().mask = Some([1, 2, 3, 4]);
    let mut bytes = Vec::new();
    frame.format(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_message_may_come_in_fragments_and_single_bytes() {
    let (_hub, address) = served_hub().await;
    let mut socket = Socket::open(&address).await;
    socket.subscribe("a", json!({})).await;
    let text = br#"{"type":"publish","ref":1,"topic":"a","data":"\u00e9"}"#;
    let (first, rest) = text.split_at(20);
    let (second, third) = rest.split_at(10);
    let fragments = [
        masked(OpCode::Data(Data::Text), false, first),
        masked(OpCode::Data(Data::Continue), false, second),
        mask(Frame::ping("between")),
        masked(OpCode::Data(Data::Continue), true, third),
    ]
    .concat();
    let stream = socket.inner.get_mut();
    for byte in fragments {
        within(
            "a byte to leave",
            tokio::io::AsyncWriteExt::write_all(stream, &[byte]),
        )
        .await
        .unwrap();
    }
    assert_eq!(
        socket.message().await.unwrap(),
        Message::Pong("between".into())
    );
    socket.expect("published").await;
    assert_eq!(socket.expect("pub").await["data"], "é");
}

#[tokio::test]
async fn five_hundred_connections_that_die_at_once_leave_nothing() {
    let (hub, address) = served_hub().await;
    let mut sockets = Vec::new();
    for number in 0..500 {
        let mut socket = Socket::open(&address).await;
        socket
            .send(json!([
                {"type": "subscribe", "pattern": format!("job:{number}")},
                {"type": "subscribe", "pattern": "job:*", "flow": {"throttle_ms": 60_000}},
            ]))
            .await;
        sockets.push(socket);
    }
    until_counts(&hub, 500, 1000).await;
    hub.publish("job:1", &1).await.unwrap();
    for (index, socket) in sockets.into_iter().enumerate() {
        if index % 2 == 0 {
            // Resets the connection instead of closing it.
            socket.inner.get_ref().set_zero_linger().unwrap();
        }
    }
    until_counts(&hub, 0, 0).await;
    let counts = hub.counts().await.unwrap();
    assert_eq!((counts.hub.gates, counts.hub.topics), (0, 1));
}

#[tokio::test]
async fn who_leaves_within_the_handshake_is_forgotten() {
    let (hub, address) = served_hub().await;
    for _ in 0..20 {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
            .await
            .unwrap();
    }
    let mut socket = Socket::open(&address).await;
    socket.subscribe("a", json!({})).await;
    until_counts(&hub, 1, 1).await;
}

#[tokio::test]
async fn what_a_client_sends_right_after_its_handshake_is_not_lost() {
    let (_hub, address) = served_hub().await;
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let mut bytes = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes();
    bytes.extend(masked(
        OpCode::Data(Data::Text),
        true,
        br#"{"type":"ping"}"#,
    ));
    tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes)
        .await
        .unwrap();
    let mut answer = Vec::new();
    within("a pong", async {
        while !String::from_utf8_lossy(&answer).contains(r#"{"type":"pong"}"#) {
            let mut buffer = [0; 1024];
            let read = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer)
                .await
                .unwrap();
            assert_ne!(read, 0, "closed after {answer:?}");
            answer.extend_from_slice(&buffer[..read]);
        }
    })
    .await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
}

#[tokio::test]
async fn a_flood_of_requests_without_reading_is_cut_off() {
    let (hub, address) = served_hub_with(|config| config.outbox_bytes_max = 64 * 1024).await;
    let mut socket = Socket::open(&address).await;
    socket.subscribe("a", json!({})).await;
    let pings = json!(vec![json!({"type": "ping"}); 100]).to_string();
    let flood = tokio::spawn(async move {
        while socket
            .inner
            .send(Message::text(pings.clone()))
            .await
            .is_ok()
        {}
    });
    // Its answers must not pile up for ever.
    until_counts(&hub, 0, 0).await;
    within("the flood to end", flood).await.unwrap();
    eventually("the hub to live on", async || {
        hub.publish("a", &1).await.is_ok()
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_connection_that_is_not_tcp_works_alike() {
    let hub = support::hub_with(|_| {});
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let app = tidegate::axum::router(hub.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut socket = Socket::over(tokio::net::UnixStream::connect(&path).await.unwrap()).await;
    socket.subscribe("a", json!({})).await;
    let filling = "x".repeat(100_000);
    for number in 1..=100 {
        let publish = json!({
            "type": "publish", "ref": number, "topic": "a", "data": [number, filling],
        });
        socket.send(publish).await;
        socket.expect("published").await;
        assert_eq!(socket.expect("pub").await["data"][0], number);
    }
    // A client that leaves is forgotten, and one that misbehaves is closed for good.
    drop(socket);
    until_counts(&hub, 0, 0).await;
    let mut socket = Socket::over(tokio::net::UnixStream::connect(&path).await.unwrap()).await;
    socket.subscribe("a", json!({})).await;
    socket.inner.send(Message::binary("x")).await.unwrap();
    assert_eq!(socket.close_code().await, 1003);
    let stream = socket.inner.get_mut();
    let mut rest = Vec::new();
    within(
        "the end of the connection",
        tokio::io::AsyncReadExt::read_to_end(stream, &mut rest),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn a_draining_hub_still_serves_those_that_are_on_their_way_out() {
    let (hub, address) = served_hub().await;
    let mut socket = Socket::open(&address).await;
    socket.subscribe("a", json!({})).await;
    hub.drain();
    socket.expect("drain").await;
    hub.publish("a", &1).await.unwrap();
    assert_eq!(socket.expect("pub").await["data"], 1);
}

#[tokio::test]
async fn clients_of_a_draining_hub_are_told_and_closed_after_a_grace() {
    let (hub, address) = support::served_hub_with(|config| {
        config.session.drain_grace = std::time::Duration::from_millis(50);
    })
    .await;
    let mut socket = Socket::open(&address).await;
    socket.subscribe("a", json!({})).await;
    hub.drain();
    assert_eq!(
        socket.next().await,
        json!({"type": "drain", "within_ms": 2})
    );
    assert_eq!(socket.close_code().await, 1012);
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn clients_of_a_stopped_hub_are_told_to_connect_again() {
    let (hub, address) = served_hub().await;
    let mut socket = Socket::open(&address).await;
    socket.subscribe("a", json!({})).await;
    hub.publish("a", &1).await.unwrap();
    hub.stop();
    assert_eq!(socket.expect("pub").await["data"], 1);
    assert_eq!(socket.close_code().await, 1012);
}
