//! Reaches the limits of number and size, each as a well-meaning client would.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use futures_util::future::select_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use super::Reached;
use crate::access::token;
use crate::support::http::{self, Answer, request};
use crate::support::program::Server;
use crate::support::socket::Socket;
use crate::support::within;

/// The client for limits by address and by user.
const FROM: (&str, &str) = ("X-Forwarded-For", "192.0.2.7");

/// The socket for requests to a server in this folder besides its port.
pub(super) fn aside(folder: &Path) -> PathBuf {
    folder.join("aside.sock")
}

/// The metrics, read through that socket.
pub(super) async fn metrics(folder: &Path) -> String {
    let mut stream = UnixStream::connect(aside(folder)).await.unwrap();
    ask(&mut stream, "/metrics").await;
    heard(&mut stream).await
}

/// Sends a request, and nothing after it.
async fn ask(stream: &mut (impl AsyncWrite + Unpin), path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// What arrives until the server closes.
pub(super) async fn heard(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    // The answer counts, even if the rest of a request was never read.
    let _ = within("the connection to close", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The code of an error in an answer.
pub(super) fn code(answer: &str) -> String {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
    body["error"]["code"].as_str().unwrap().to_owned()
}

fn error_of(answer: &Answer) -> String {
    answer.error().1
}

fn bearer() -> String {
    let claims = json!({ "sub": "ada", "exp": 4_000_000_000_u64, "subscribe": ["**"] });
    format!("Bearer {}", token(&claims))
}

async fn open(server: &Server) -> Socket {
    let stream = TcpStream::connect(&server.address).await.unwrap();
    let bearer = bearer();
    let headers = [FROM, ("Authorization", bearer.as_str())];
    Socket::with_headers(stream, &headers).await.unwrap()
}

/// The code of the next frame, an error.
async fn error(socket: &mut Socket) -> String {
    let error = socket.expect("error").await;
    error["code"].as_str().unwrap().to_owned()
}

pub(super) async fn connections(server: &Server) -> Reached {
    let mut inside = open(server).await;
    inside.subscribe("a", json!({})).await;
    let headers = format!("{}: {}\r\nAuthorization: {}\r\n", FROM.0, FROM.1, bearer());
    let refused = request(&server.address, "GET /events?topic=a", &headers, "").await;
    Reached::once(error_of(&refused))
}

pub(super) async fn topics(server: &Server) -> Reached {
    let data = "x".repeat(600);
    for number in 1.. {
        let body = json!({ "topic": format!("job:{number}"), "data": data });
        let answer = http::publish(&server.address, &body).await;
        if answer.status != 200 {
            assert_ne!(number, 1, "{answer:?}");
            return Reached::once(error_of(&answer));
        }
    }
    unreachable!("there is a limit")
}

pub(super) async fn subscriptions_of_a_stream(server: &Server) -> Reached {
    let line = "GET /events?topic=a&topic=b";
    Reached::once(error_of(&request(&server.address, line, "", "").await))
}

pub(super) async fn subscriptions(server: &Server) -> Reached {
    let mut socket = open(server).await;
    socket.subscribe("a", json!({})).await;
    socket
        .send(json!({ "type": "subscribe", "pattern": "b" }))
        .await;
    Reached::once(error(&mut socket).await)
}

pub(super) async fn durables(server: &Server) -> Reached {
    let subscribe =
        |device: &str| json!({ "type": "subscribe", "pattern": "a", "durable": device });
    let (mut first, mut second) = (open(server).await, open(server).await);
    first.send(subscribe("phone")).await;
    first.expect("subscribed").await;
    second.send(subscribe("tablet")).await;
    Reached::once(error(&mut second).await)
}

pub(super) async fn payload(server: &Server) -> Reached {
    let body = json!({ "topic": "a", "data": "x".repeat(200) });
    Reached::once(error_of(&http::publish(&server.address, &body).await))
}

pub(super) async fn message(server: &Server) -> Reached {
    let mut socket = open(server).await;
    socket.send(json!({ "type": "x".repeat(400) })).await;
    Reached::once(socket.close_code().await.to_string())
}

/// Three incomplete requests to publish: there is room for two of them, whichever are read first.
pub(super) async fn bodies(server: &Server) -> Reached {
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        let body = "x".repeat(500);
        let begun = format!(
            "POST /publish HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 600\r\n\r\n{body}"
        );
        stream.write_all(begun.as_bytes()).await.unwrap();
        held.push(stream);
    }
    let answers = held.iter_mut().map(|stream| Box::pin(heard(stream)));
    let (refused, ..) = within("an answer", select_all(answers)).await;
    Reached::once(code(&refused))
}

/// Publishes to a client that doesn't read until something was dropped, and then lets it read the rest.
pub(super) async fn waiting_bytes(server: &Server) -> Reached {
    let mut slow = Socket::over(narrow(&server.address).await).await;
    let subscribe = json!({ "type": "subscribe", "pattern": "a", "slow": "drop" });
    slow.send(subscribe).await;
    slow.expect("subscribed").await;
    let body = json!({ "topic": "a", "data": "x".repeat(500_000) });
    let lagged = async || {
        let told = http::get(&server.address, "/metrics").await.body;
        super::value(&told, "lagged_total")
    };
    while lagged().await == 0 {
        assert_eq!(http::publish(&server.address, &body).await.status, 200);
    }
    let times = lagged().await;
    let mut frame = slow.next().await;
    while frame["type"] == "pub" {
        frame = slow.next().await;
    }
    assert_eq!(frame["missed"], times, "{frame}");
    Reached {
        times,
        ..Reached::once(frame["type"].as_str().unwrap())
    }
}

/// A connection with small buffers.
pub(super) async fn narrow(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    socket.connect(address.parse().unwrap()).await.unwrap()
}

pub(super) async fn publish_rate(server: &Server) -> Reached {
    let mut socket = open(server).await;
    let publish =
        |number: u32| json!({ "type": "publish", "ref": number, "topic": "a", "data": 1 });
    // One per second, and two at once.
    socket.send((1..=3).map(publish).collect()).await;
    for _ in 0..2 {
        socket.expect("published").await;
    }
    let over_socket = error(&mut socket).await;
    // The same over HTTP, where each request has a connection of its own.
    let body = json!({ "topic": "a", "data": 1 });
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(http::publish(&server.address, &body));
    }
    let answers = futures_util::future::join_all(answers).await;
    let refused = answers.iter().filter(|answer| answer.status != 200);
    let refused: Vec<String> = refused.map(error_of).collect();
    assert!(!refused.is_empty() && refused.iter().all(|code| *code == over_socket));
    Reached {
        times: 1 + refused.len() as u64,
        ..Reached::once(over_socket)
    }
}

pub(super) async fn floor(server: &Server) -> Reached {
    let subscribed = open(server).await.subscribe("a", json!({})).await;
    assert_eq!(subscribed["flow"]["throttle_ms"], 100, "{subscribed}");
    Reached::once(subscribed["type"].as_str().unwrap())
}

/// Keeps a silent connection from `from` open while another one sends a request, and reads the metrics through the
/// first.
async fn beyond_one(address: SocketAddr) -> Reached {
    let mut first = TcpStream::connect(address).await.unwrap();
    let refused = heard(&mut TcpStream::connect(address).await.unwrap()).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    ask(&mut first, "/metrics").await;
    Reached {
        metrics: Some(heard(&mut first).await),
        ..Reached::once(code(&refused))
    }
}

pub(super) async fn open_requests(server: &Server) -> Reached {
    beyond_one(server.address.parse().unwrap()).await
}

/// This machine's own address is not counted, but one by which others reach it is.
pub(super) async fn open_requests_of_an_address(server: &Server) -> Reached {
    let listening: SocketAddr = server.address.parse().unwrap();
    let outward = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        // Nothing is sent: this only finds out the local address.
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    let Ok(outward) = outward else {
        eprintln!(
            "this machine has no address that others reach it by: see the tests of the tally"
        );
        return Reached {
            times: 0,
            ..Reached::once("too_many_connections")
        };
    };
    let address = SocketAddr::new(outward.ip(), listening.port());
    let _first = TcpStream::connect(address).await.unwrap();
    let refused = heard(&mut TcpStream::connect(address).await.unwrap()).await;
    Reached::once(code(&refused))
}

async fn said(server: &Server, text: &str) -> String {
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    // A server need not read what it refuses.
    let _ = stream.write_all(text.as_bytes()).await;
    heard(&mut stream).await
}

/// The status of an answer.
fn status(answer: &str) -> String {
    http::status(answer).to_string()
}

pub(super) async fn head_bytes(server: &Server) -> Reached {
    let large = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(16 * 1024));
    Reached::once(status(&said(server, &large).await))
}

pub(super) async fn headers(server: &Server) -> Reached {
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(10));
    Reached::once(status(&said(server, &many).await))
}
