//! The serving loop and clients that are slow, numerous or malicious: cut connections are counted, and cost others
//! nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{eventually, http, within};
use axum::body::Bytes;
use axum::routing::{get, post};
use axum::{Extension, Router};
use tidegate::serve::{ServeConfig, Server, Tally};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A limit that is to be reached: short enough to wait for.
const SHORT: Duration = Duration::from_millis(100);

/// A limit that is not to be reached: longer than any test.
const LONG: Duration = Duration::from_secs(3_600);

/// A server with these limits, and its tally.
struct Served {
    address: String,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<()>,
}

async fn cuts(tally: Extension<Arc<Tally>>) -> String {
    let cuts: Vec<String> = tally
        .cuts()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!("{reason}={count}"))
        .collect();
    cuts.join(" ")
}

async fn hang() {
    std::future::pending().await
}

async fn length(body: Bytes) -> String {
    body.len().to_string()
}

impl Served {
    async fn start(change: impl FnOnce(&mut ServeConfig)) -> Self {
        let mut config = ServeConfig {
            head_timeout: LONG,
            idle_timeout: LONG,
            body_timeout: LONG,
            write_timeout: LONG,
            ..ServeConfig::default()
        };
        change(&mut config);
        let app = Router::new()
            .route("/cuts", get(cuts))
            .route("/hang", get(hang))
            .route("/length", post(length))
            .route("/large", get(|| async { vec![0_u8; 64 << 20] }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let server = Server::new(config).listen(listener);
        let running = tokio::spawn(server.run(app, async {
            let _ = stopped.await;
        }));
        Self {
            address,
            stop,
            running,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    /// The cut connections, as long as requests are served.
    async fn cuts(&self) -> String {
        let answer = http::get(&self.address, "/cuts").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    async fn until_cut(&self, expected: &str) {
        eventually(expected, async || self.cuts().await == expected).await;
    }
}

/// Sends, and reads until the server closes.
async fn say(stream: &mut TcpStream, text: &[u8]) -> String {
    // A server need not read what it refuses.
    let _ = stream.write_all(text).await;
    heard(stream).await
}

async fn heard(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // The answer counts, even if the rest of a request was never read.
    let _ = within("the connection to close", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_head_that_dribbles_is_answered_408_and_others_are_served() {
    let served = Served::start(|config| config.head_timeout = SHORT).await;
    let (mut read, mut write) = served.connect().await.into_split();
    let dribble = tokio::spawn(async move {
        let mut pauses = tokio::time::interval(Duration::from_millis(3));
        for byte in b"GET / HTTP/1.1\r\nx: ".iter().chain([b'x'].iter().cycle()) {
            if write.write_all(&[*byte]).await.is_err() {
                return;
            }
            pauses.tick().await;
        }
    });
    let mut answer = Vec::new();
    let _ = within("an end", read.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    assert!(answer.contains("\"code\":\"timeout\""), "{answer:?}");
    dribble.abort();
    served.until_cut("head_timeout=1").await;
}

/// What a client receives that keeps sending after the answer has arrived, and only then reads.
async fn told_though_sending(stream: &mut TcpStream) -> String {
    within("an answer", stream.readable()).await.unwrap();
    for _ in 0..20 {
        stream.write_all(b"x: y\r\n").await.unwrap();
        tokio::task::yield_now().await;
    }
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let read = within("an end", stream.read_to_end(&mut answer)).await;
    read.expect("an end in order");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn who_is_late_or_beyond_the_limit_and_sends_on_is_told_and_not_reset() {
    let served = Served::start(|config| {
        config.head_timeout = SHORT;
        config.connections_max = 1;
    })
    .await;
    let mut late = served.connect().await;
    late.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let beyond = told_though_sending(&mut served.connect().await).await;
    assert!(beyond.starts_with("HTTP/1.1 503 "), "{beyond:?}");
    let late = told_though_sending(&mut late).await;
    assert!(late.starts_with("HTTP/1.1 408 "), "{late:?}");
}

#[tokio::test]
async fn a_storm_of_connections_that_say_nothing_is_cut_and_counted_while_others_are_served() {
    let served = Served::start(|config| config.head_timeout = SHORT).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(served.connect().await);
    }
    served.cuts().await;
    for stream in &mut silent {
        assert_eq!(heard(stream).await, "");
    }
    served.until_cut("silent=100").await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_and_those_within_it_stay() {
    let served = Served::start(|config| {
        config.connections_max = 3;
        config.idle_timeout = SHORT;
    })
    .await;
    let mut inside = Vec::new();
    for _ in 0..3 {
        inside.push(served.connect().await);
    }
    let refused = heard(&mut served.connect().await).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused:?}");
    assert!(refused.contains("too_many_connections"), "{refused:?}");
    let request = b"GET /cuts HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = say(&mut inside.remove(0), request).await;
    assert!(answer.ends_with("total=1"), "{answer:?}");
    drop(inside);
    eventually("room", async || {
        let mut again = served.connect().await;
        say(&mut again, request).await.starts_with("HTTP/1.1 200")
    })
    .await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_431() {
    let served = Served::start(|_| {}).await;
    let large = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(32 * 1024));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(100));
    let endless = format!("GET /{}", "x".repeat(64 * 1024));
    for text in [large, many, endless] {
        let answer = say(&mut served.connect().await, text.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer:?}");
    }
    served.until_cut("head_too_large=3").await;
}

#[tokio::test]
async fn what_is_no_request_is_answered_400_and_counted() {
    let served = Served::start(|_| {}).await;
    let requests: [&[u8]; 6] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"POST /length HTTP/1.1\r\ncontent-length: many\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
    ];
    for request in requests {
        let answer = say(&mut served.connect().await, request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
    }
    served.until_cut("malformed=6").await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let served = Served::start(|config| config.body_timeout = SHORT).await;
    let begun = b"POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nbegun";
    let answer = say(&mut served.connect().await, begun).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer:?}");
    served.until_cut("body_timeout=1").await;
    let whole = http::request(&served.address, "POST /length", "", "whole").await;
    assert_eq!((whole.status, whole.body.as_str()), (200, "5"));
}

#[tokio::test]
async fn who_does_not_take_an_answer_is_cut() {
    let served = Served::start(|config| config.write_timeout = SHORT).await;
    let mut stream = served.connect().await;
    stream
        .write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    served.until_cut("write_timeout=1").await;
}

#[tokio::test]
async fn a_connection_without_further_requests_closes_without_a_word_and_is_counted() {
    let served = Served::start(|config| config.idle_timeout = SHORT).await;
    let request = b"GET /cuts HTTP/1.1\r\nhost: x\r\n\r\n";
    let answer = say(&mut served.connect().await, request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
    served.until_cut("idle=1").await;
}

#[tokio::test]
async fn a_request_under_way_takes_as_long_as_it_takes() {
    let served = Served::start(|config| {
        config.head_timeout = SHORT;
        config.idle_timeout = SHORT;
    })
    .await;
    let mut hanging = served.connect().await;
    let mut silent = served.connect().await;
    let request = b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n";
    hanging.write_all(request).await.unwrap();
    // Meanwhile, the time of another connection runs out.
    heard(&mut silent).await;
    let mut byte = [0];
    assert!(hanging.try_read(&mut byte).is_err(), "it is still open");
}

#[tokio::test]
async fn a_server_that_stops_listens_no_more_and_ends_in_time() {
    let served = Served::start(|config| config.stop_grace = SHORT).await;
    let mut hanging = served.connect().await;
    let mut idle = served.connect().await;
    idle.write_all(b"GET /cuts HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    hanging
        .write_all(b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(served.cuts().await, "");
    served.stop.send(()).unwrap();
    within("the server to end", served.running).await.unwrap();
    let address: SocketAddr = served.address.parse().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    assert!(heard(&mut idle).await.starts_with("HTTP/1.1 200"));
    assert_eq!(heard(&mut hanging).await, "");
}
