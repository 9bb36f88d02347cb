//! Event streams that a hub writes to their sockets itself: how it shows that it does, and what happens to readers that stall, and to
//! streams that arrive in other ways.

use crate::support;
use std::time::Duration;

use crate::support::events::Events;
use crate::support::http::{get, header};
use crate::support::{end, publish_range, serve_by_axum, serve_by_own_loop, until_counts, within};
use axum::http::HeaderValue;
use axum::http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use axum::response::Response;
use tidegate::Hub;
use tidegate::access::{ForwardedBy, Proxies};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn hub() -> Hub {
    Hub::new(support::config()).unwrap()
}

/// Sends a request, and reads until the server closes.
async fn say(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("an end", stream.read_to_string(&mut answer))
        .await
        .unwrap();
    answer
}

#[tokio::test]
async fn a_stream_is_the_last_answer_of_its_connection() {
    let hub = hub();
    let address = serve_by_own_loop(tidegate::axum::router(hub.clone())).await;
    let events = Events::open(&address, "topic=a").await;
    assert_eq!(header(&events.head, "connection"), Some("close"));
    assert_eq!(header(&events.head, "transfer-encoding"), Some("chunked"));
    assert!(header(&events.head, "date").is_some_and(|date| date.ends_with("GMT")));
    publish_range(&hub, "a", 1..=1).await;
    end(&hub, "a").await;
    assert_eq!(events.rest().await.len(), 3);
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn an_answer_before_it_on_the_same_connection_comes_whole() {
    let hub = hub();
    let address = serve_by_own_loop(tidegate::axum::router(hub.clone())).await;
    end(&hub, "a").await;
    let healthz = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let events = "GET /events?topic=a HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let answers = say(&address, &format!("{healthz}{healthz}{events}{healthz}")).await;
    assert_eq!(answers.matches("ok\n").count(), 2, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    assert!(answers.ends_with("\r\n0\r\n\r\n"), "{answers}");
}

#[tokio::test]
async fn an_old_client_is_answered_without_chunks() {
    let hub = hub();
    let address = serve_by_own_loop(tidegate::axum::router(hub.clone())).await;
    end(&hub, "a").await;
    let answer = say(&address, "GET /events?topic=a HTTP/1.0\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(header(head, "transfer-encoding"), None);
    assert!(body.starts_with("retry: 2000\n\n"), "{body}");
    assert!(body.contains("event: end\n"), "{body}");
}

#[tokio::test]
async fn a_question_for_the_head_alone_opens_nothing() {
    let hub = hub();
    let address = serve_by_own_loop(tidegate::axum::router(hub.clone())).await;
    let request = "HEAD /events?topic=a HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = say(&address, request).await;
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn what_an_application_adds_to_answers_is_added_to_streams() {
    let layer = axum::middleware::map_response(async |mut response: Response| {
        let anyone = HeaderValue::from_static("*");
        response
            .headers_mut()
            .insert(ACCESS_CONTROL_ALLOW_ORIGIN, anyone);
        response
    });
    let app = axum::Router::new().nest("/live", tidegate::axum::router(hub()));
    let address = serve_by_own_loop(app.layer(layer)).await;
    let events = Events::open_at(&address, "/live/events?topic=a", None).await;
    assert_eq!(
        header(&events.head, "access-control-allow-origin"),
        Some("*")
    );
    assert_eq!(header(&events.head, "connection"), Some("close"));
}

#[tokio::test]
async fn a_foreign_loop_writes_the_stream_itself() {
    let hub = hub();
    let address = serve_by_axum(tidegate::axum::router(hub.clone())).await;
    let mut events = Events::open(&address, "topic=a").await;
    assert_eq!(header(&events.head, "connection"), None);
    publish_range(&hub, "a", 1..=1).await;
    assert_eq!(events.data().await, 1);
}

#[tokio::test]
async fn who_reads_nothing_is_given_up() {
    let mut config = support::config();
    config.event_streams.stall_max = Duration::from_millis(100);
    let hub = Hub::new(config).unwrap();
    let address = serve_by_own_loop(tidegate::axum::router(hub.clone())).await;
    let events = Events::open(&address, "topic=a").await;
    let reader = Events::open(&address, "topic=b").await;
    let filling = "x".repeat(512 * 1024);
    for _ in 0..40 {
        hub.publish("a", &filling).await.unwrap();
    }
    until_counts(&hub, 1, 1).await;
    let metrics = get(&address, "/metrics").await.body;
    assert!(
        metrics.contains("tidegate_closed_total{reason=\"slow_consumer\"} 1"),
        "{metrics}"
    );
    drop((events, reader));
}

#[tokio::test]
async fn a_client_that_talks_on_is_cut() {
    let hub = hub();
    let address = serve_by_own_loop(tidegate::axum::router(hub.clone())).await;
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = b"GET /events?topic=a HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    until_counts(&hub, 1, 1).await;
    // It may be cut before it has sent everything.
    let _ = stream.write_all(&[b'x'; 256 * 1024]).await;
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn a_hub_that_stops_ends_its_streams_in_order() {
    let hub = hub();
    let address = serve_by_own_loop(tidegate::axum::router(hub.clone())).await;
    let mut events = Events::open(&address, "topic=a").await;
    publish_range(&hub, "a", 1..=1).await;
    assert_eq!(events.data().await, 1);
    hub.stop();
    assert!(events.rest().await.is_empty());
}

#[tokio::test]
async fn proxies_that_are_trusted_tell_whom_to_count() {
    let mut config = support::config();
    config.access.limits.per_address_max = 1;
    config.access.open_to_everyone = true;
    config.access.proxies = Proxies {
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        unix: false,
        header: ForwardedBy::XForwardedFor,
    };
    let hub = Hub::new(config).unwrap();
    let address = serve_by_own_loop(tidegate::axum::router(hub.clone())).await;
    let open = async |forwarded: &str| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = format!(
            "GET /events?topic=a HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: {forwarded}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        within("an answer", stream.read_exact(&mut start))
            .await
            .unwrap();
        (String::from_utf8(start.to_vec()).unwrap(), stream)
    };
    let (first, _held) = open("192.0.2.7").await;
    assert_eq!(first, "HTTP/1.1 200");
    assert_eq!(open("192.0.2.7").await.0, "HTTP/1.1 429");
    assert_eq!(open("203.0.113.9, 192.0.2.7").await.0, "HTTP/1.1 429");
    assert_eq!(open("192.0.2.8").await.0, "HTTP/1.1 200");
}
