//! The log at an OpenTelemetry collector: it arrives there, and the server doesn't depend on it.

#![cfg(all(unix, feature = "opentelemetry"))]

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;

use crate::support::place::Place;
use crate::support::program::{Server, program};
use crate::support::within;

type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// Accepts what any collector would. Returns its address, and what it received.
async fn collector() -> (String, Received) {
    let received = Received::default();
    let take = async |State(received): State<Received>, headers: HeaderMap, body: Bytes| {
        received.lock().unwrap().push((headers, body));
    };
    let router = axum::Router::new().route("/v1/logs", post(take));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = router.with_state(Arc::clone(&received));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, received)
}

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|part| part == text.as_bytes())
}

fn serve(collector: &str) -> tokio::process::Command {
    let serve = ["serve", "--backend", "memory", "--listen", "127.0.0.1:0"];
    program(&[&serve[..], &["--otlp-endpoint", collector]].concat())
}

#[tokio::test]
async fn a_collector_has_the_whole_log_once_the_server_has_ended() {
    let (address, received) = collector().await;
    let mut server = Server::start_with(serve(&address)).await;
    server.terminate();
    assert!(server.ended().await.success());
    let received = received.lock().unwrap();
    let log: Vec<u8> = received
        .iter()
        .flat_map(|(_, body)| body.to_vec())
        .collect();
    for text in [
        "service.name",
        "tidegate",
        "backend: memory",
        "asking clients to connect elsewhere",
    ] {
        assert!(contains(&log, text), "{text}");
    }
    for (headers, _) in received.iter() {
        assert_eq!(headers["content-type"], "application/x-protobuf");
    }
}

#[tokio::test]
async fn where_no_collector_answers_the_log_says_so_once_and_the_server_serves() {
    let nobody = Place::new();
    let address = nobody.url();
    let mut child = serve(&address).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = within("the server's address", stdout.next_line()).await;
    assert!(told.unwrap().is_some());
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let lost = format!("does not reach the collector at {address}");
    loop {
        let line = within("a word of the collector", log.next_line()).await;
        if line.unwrap().expect("it goes on").contains(&lost) {
            break;
        }
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::TERM).unwrap();
    assert!(within("its end", child.wait()).await.unwrap().success());
    let mut again = 0;
    while let Some(line) = log.next_line().await.unwrap() {
        assert!(!line.contains('\u{1b}'), "no terminal shows it: {line:?}");
        again += usize::from(line.contains(&lost));
    }
    assert_eq!(again, 0);
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    let child = serve("ftp://somewhere").spawn().unwrap();
    let outcome = crate::support::program::finish(child).await;
    assert_eq!(outcome.code, 2);
    assert!(
        outcome.stderr.contains("ftp://somewhere"),
        "{}",
        outcome.stderr
    );
}
