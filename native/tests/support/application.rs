//! The applications among the examples, as processes that tests use over HTTP and WebSocket.

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::http::{Answer, get, request};
use super::program::{Server, example};
use super::socket::Socket;

pub(crate) async fn start(name: &str) -> Server {
    start_with(name, &[]).await
}

pub(crate) async fn start_with(name: &str, environment: &[(&str, &str)]) -> Server {
    let mut program = example(name);
    program.arg("127.0.0.1:0").envs(environment.iter().copied());
    Server::start_with(program).await
}

pub(crate) async fn socket(server: &Server, path: &str, headers: &[(&str, &str)]) -> Socket {
    let stream = TcpStream::connect(&server.address).await.unwrap();
    Socket::at(path, stream, headers).await.unwrap()
}

/// Follows everything that is published from now on, from the beginning of each topic.
pub(crate) async fn follow(server: &Server, pattern: &str) -> Socket {
    let mut socket = socket(server, "/live/ws", &[]).await;
    socket
        .send(json!({"type": "subscribe", "pattern": pattern, "since": []}))
        .await;
    socket.expect("subscribed").await;
    socket
}

/// The data of a topic's publications up to its end.
pub(crate) async fn told(socket: &mut Socket, topic: &Value) -> Vec<Value> {
    let mut told = Vec::new();
    loop {
        let frame = socket.next().await;
        if frame["type"] == "pub" && frame["topic"] == *topic {
            told.push(frame["data"].clone());
            if frame.get("end").is_some() {
                return told;
            }
        }
    }
}

pub(crate) async fn post(server: &Server, path: &str, body: Value) -> Answer {
    post_as(server, path, "", body).await
}

pub(crate) async fn post_as(server: &Server, path: &str, token: &str, body: Value) -> Answer {
    let headers = format!("Content-Type: application/json\r\nAuthorization: Bearer {token}\r\n");
    let line = format!("POST {path}");
    request(&server.address, &line, &headers, body.to_string()).await
}

pub(crate) async fn serves_its_page(server: &Server, title: &str) {
    let page = get(&server.address, "/").await;
    assert!(page.body.contains(&format!("<h1>{title}</h1>")), "{page:?}");
    assert_eq!(get(&server.address, "/look.css").await.status, 200);
}
