//! Reaches the limits of time. Each is awaited at the server, however long that takes.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::Reached;
use super::reach::{code, heard, narrow};
use crate::support::http;
use crate::support::program::Server;
use crate::support::socket::Socket;

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(&server.address).await.unwrap()
}

async fn forgotten(server: &Server) -> u64 {
    let told = http::get(&server.address, "/metrics").await.body;
    super::value(&told, "durables_forgotten_total")
}

pub(super) async fn durable_age(server: &Server) -> Reached {
    while forgotten(server).await == 0 {
        let mut socket = Socket::open(&server.address).await;
        socket
            .send(json!({ "type": "subscribe", "pattern": "a", "durable": "phone" }))
            .await;
        socket.expect("subscribed").await;
    }
    Reached::once("")
}

pub(super) async fn silence(server: &Server) -> Reached {
    let mut socket = Socket::open(&server.address).await;
    Reached::once(socket.close_code().await.to_string())
}

pub(super) async fn no_sign_of_life(server: &Server) -> Reached {
    let mut socket = Socket::open(&server.address).await;
    socket
        .send(json!({ "type": "subscribe", "pattern": "a" }))
        .await;
    Reached::once(socket.close_code().await.to_string())
}

pub(super) async fn handshake(server: &Server) -> Reached {
    Reached::once(heard(&mut connect(server).await).await)
}

pub(super) async fn head(server: &Server) -> Reached {
    let mut stream = connect(server).await;
    stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
    Reached::once(code(&heard(&mut stream).await))
}

pub(super) async fn body(server: &Server) -> Reached {
    let mut stream = connect(server).await;
    let begun = b"POST /publish HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(begun).await.unwrap();
    Reached::once(code(&heard(&mut stream).await))
}

pub(super) async fn idle(server: &Server) -> Reached {
    let mut stream = connect(server).await;
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let answer = heard(&mut stream).await;
    let (_, said) = answer.split_once("\r\n\r\nok\n").expect("an answer");
    Reached::once(said)
}

/// Publishes to an event stream that nobody reads until it is given up.
pub(super) async fn not_reading(server: &Server) -> Reached {
    let mut stream = narrow(&server.address).await;
    let request = b"GET /events?topic=a HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let body = json!({ "topic": "a", "data": "x".repeat(500_000) });
    let held = async || {
        let told = http::get(&server.address, "/metrics").await.body;
        super::value(&told, "event_streams")
    };
    while held().await == 0 {}
    while held().await == 1 {
        assert_eq!(http::publish(&server.address, &body).await.status, 200);
    }
    Reached::once("")
}
