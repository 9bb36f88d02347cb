//! A thousand clients that read nothing, beside a thousand that do.

use std::net::SocketAddr;

use crate::support::http::get;
use crate::support::socket::Socket;
use crate::support::{config, eventually, until_counts, within};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tidegate::Hub;
use tidegate::serve::{ServeConfig, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const CLIENTS: usize = 1_000;
const PUBLICATIONS: u64 = 60;

/// Large, so that a few publications fill the kernel's buffers of a connection that nobody reads.
const FILLING_BYTES: usize = 8 * 1024;

/// Less than would wait for all stalled connections without a limit.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Listens with a small buffer for each connection, or the kernel would hold more than is published.
fn small_listener() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(16 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(1024).unwrap()
}

/// Connects with a small buffer, so that the server soon notices that nothing is read.
async fn small_stream(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    socket.connect(address.parse().unwrap()).await.unwrap()
}

async fn small_socket(address: &str) -> Socket {
    Socket::over(small_stream(address).await).await
}

async fn metric(address: &str, name: &str) -> usize {
    let text = get(address, "/metrics").await.body;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value
        .unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .unwrap()
}

/// What is left to read: what was published, and how much of it was dropped.
async fn caught_up(socket: &mut Socket) -> (Vec<u64>, u64) {
    let mut numbers = Vec::new();
    let mut missed = 0;
    while numbers.last() != Some(&PUBLICATIONS) {
        let frame: Value = socket.next().await;
        if let Some(number) = frame["data"]["n"].as_u64() {
            numbers.push(number);
        }
        missed += frame["missed"].as_u64().unwrap_or_default();
    }
    (numbers, missed)
}

#[tokio::test]
async fn a_thousand_who_stall_take_nothing_from_a_thousand_who_read() {
    let mut config = config();
    config.server.outbox_bytes_max = 256 * 1024;
    config.server.waiting_bytes_max = WAITING_BYTES_MAX;
    // A client that stalls doesn't answer pings either, and must not be closed for that.
    config.server.session.heartbeat = std::time::Duration::from_secs(3600);
    let hub = Hub::new(config).unwrap();
    let app =
        tidegate::axum::router(hub.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let listener = small_listener();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut stalled = Vec::new();
    let mut readers = Vec::new();
    for _ in 0..CLIENTS / 50 {
        let some = join_all((0..50).map(|_| async {
            let mut socket = small_socket(&address).await;
            socket.subscribe("a", json!({})).await;
            socket
        }));
        stalled.extend(some.await);
        let some = join_all((0..50).map(|_| async {
            let mut socket = Socket::open(&address).await;
            socket.subscribe("a", json!({})).await;
            socket
        }));
        readers.extend(some.await);
    }
    let reading = join_all(readers.into_iter().map(|mut socket| {
        tokio::spawn(async move {
            for number in 1..=PUBLICATIONS {
                assert_eq!(socket.expect("pub").await["data"]["n"], number);
            }
        })
    }));
    let filling = "x".repeat(FILLING_BYTES);
    for number in 1..=PUBLICATIONS {
        let value = json!({ "n": number, "filling": filling });
        hub.publish("a", &value).await.unwrap();
        let waiting = metric(&address, "tidegate_waiting_bytes").await;
        assert!(
            waiting <= WAITING_BYTES_MAX + FILLING_BYTES,
            "{waiting} wait"
        );
    }
    for read in within("all who read to have everything", reading).await {
        read.unwrap();
    }
    let behind = metric(&address, "tidegate_connections_behind").await;
    assert!(
        behind > CLIENTS / 2 && behind <= CLIENTS,
        "{behind} are behind"
    );
    assert!(metric(&address, "tidegate_lagged_total").await > 0);
    let closed = metric(&address, "tidegate_closed_total{reason=\"slow_consumer\"}").await;
    assert_eq!(closed, 0);
    for socket in stalled.iter_mut().step_by(50) {
        let (numbers, missed) = within("one who stalled to catch up", caught_up(socket)).await;
        assert_eq!(
            numbers.len() as u64 + missed,
            PUBLICATIONS,
            "it is told what it missed"
        );
    }
    drop(stalled);
    eventually("nothing to wait", async || {
        metric(&address, "tidegate_waiting_bytes").await == 0
    })
    .await;
}

/// By how many publications the slowest subscriber of `a` lags, and how many connections lag, as operators see it.
async fn behind(address: &str) -> (u64, usize) {
    let debug = get(address, "/debug?topics=1").await.json();
    let lag = debug["latest_topics"][0]["lag"].as_u64().unwrap();
    (lag, metric(address, "tidegate_connections_behind").await)
}

async fn until_behind(address: &str, expected: (u64, usize)) {
    let what = format!("a lag of {} by {}", expected.0, expected.1);
    eventually(&what, async || behind(address).await == expected).await;
}

/// A server whose sockets accept little, and a publication that none of them accepts whole.
async fn narrow() -> (Hub, String, String) {
    let hub = Hub::new(config()).unwrap();
    let listener = small_listener();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::new(ServeConfig::default()).listen(listener);
    let app = tidegate::axum::router(hub.clone());
    tokio::spawn(server.run(app, std::future::pending()));
    (hub, address, "x".repeat(900_000))
}

#[tokio::test]
async fn a_websocket_that_takes_nothing_is_behind_from_the_first_publication_on() {
    let (hub, address, large) = narrow().await;
    for (pattern, flow) in [
        ("a", json!({})),
        ("*", json!({})),
        ("a", json!({ "throttle_ms": 1 })),
    ] {
        let mut socket = small_socket(&address).await;
        socket
            .send(json!({ "type": "subscribe", "pattern": pattern, "flow": flow, "latest": false }))
            .await;
        socket.expect("subscribed").await;
        hub.publish("a", &large).await.unwrap();
        until_behind(&address, (1, 1)).await;
        hub.publish("a", &2).await.unwrap();
        until_behind(&address, (2, 1)).await;
        while socket.expect("pub").await["data"] != 2 {}
        until_behind(&address, (0, 0)).await;
        drop(socket);
        until_counts(&hub, 0, 0).await;
    }
}

#[tokio::test]
async fn an_event_stream_that_takes_nothing_is_behind_from_the_first_publication_on() {
    let (hub, address, large) = narrow().await;
    let mut stream = small_stream(&address).await;
    let request = format!("GET /events?topic=a HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    until_counts(&hub, 1, 1).await;
    hub.publish("a", &large).await.unwrap();
    until_behind(&address, (1, 1)).await;
    hub.publish("a", &2).await.unwrap();
    until_behind(&address, (2, 1)).await;
    let mut text = Vec::new();
    while !text.ends_with(b"\"data\":2}\n\n\r\n") {
        let read = within("an event", stream.read_buf(&mut text)).await;
        assert_ne!(read.unwrap(), 0, "it ends");
    }
    until_behind(&address, (0, 0)).await;
}

#[tokio::test]
async fn a_stream_within_the_process_is_behind_by_what_its_reader_has_not_read() {
    let (hub, address, _) = narrow().await;
    let mut stream = hub.subscribe("a").await.unwrap();
    for number in 1..=3 {
        hub.publish("a", &number).await.unwrap();
    }
    until_behind(&address, (3, 0)).await;
    // More than is queued ahead.
    for number in 4..=100 {
        hub.publish("a", &number).await.unwrap();
    }
    until_behind(&address, (100, 1)).await;
    for _ in 1..=100 {
        within("a publication", stream.next()).await.unwrap();
    }
    until_behind(&address, (0, 0)).await;
}
