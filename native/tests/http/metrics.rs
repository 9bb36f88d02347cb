//! `GET /metrics`: what Prometheus reads, and who else may.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::support::http::{get, request};
use crate::support::socket::Socket;
use crate::support::{config, eventually, serve_by_axum, until_counts};
use futures_util::SinkExt as _;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use tidegate::auth::JwtVerifier;
use tidegate::{Config, Hub};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

async fn told(address: &str) -> String {
    let answer = get(address, "/metrics").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(answer.body.ends_with("# EOF\n"), "{answer:?}");
    answer.body
}

fn value(text: &str, name: &str) -> u64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .unwrap()
}

/// A hub whose callers are known to be on this machine.
async fn served() -> (Hub, String) {
    served_as(config()).await
}

async fn served_as(config: Config) -> (Hub, String) {
    let hub = Hub::new(config).unwrap();
    let app =
        tidegate::axum::router(hub.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (hub, address)
}

#[tokio::test]
async fn what_a_hub_holds_and_has_done_is_told_by_name() {
    let mut config = config();
    config.access.limits.total_max = 2;
    config.server.session.drain_grace = std::time::Duration::from_millis(50);
    let hub = Hub::new(config).unwrap();
    let app =
        tidegate::axum::router(hub.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut watching = Socket::open(&address).await;
    watching.subscribe("job:*", json!({})).await;
    let mut publishing = Socket::open(&address).await;
    publishing
        .send(json!({ "type": "publish", "ref": 1, "topic": "job:1", "data": 1 }))
        .await;
    publishing.expect("published").await;
    publishing.send(json!({ "type": "nonsense" })).await;
    publishing.expect("error").await;
    watching.expect("pub").await;
    let refused = get(&address, "/events?topic=a").await;
    assert_eq!(refused.error(), (503, "too_many_connections".to_owned()));
    hub.publish("job:2", &2).await.unwrap();
    watching.expect("pub").await;
    until_counts(&hub, 2, 1).await;
    let text = told(&address).await;
    for (name, expected) in [
        ("tidegate_connections", 2),
        ("tidegate_subscriptions", 1),
        ("tidegate_topics", 2),
        ("tidegate_event_streams", 0),
        ("tidegate_accepted_total", 2),
        ("tidegate_publishes_total", 2),
        ("tidegate_bad_frames_total", 1),
        ("tidegate_refused_total{reason=\"total\"}", 1),
        ("tidegate_refused_total{reason=\"token\"}", 0),
        ("tidegate_closed_total{reason=\"slow_consumer\"}", 0),
        ("tidegate_errors_total{code=\"bad_frame\"}", 1),
        ("tidegate_connections_behind", 0),
        ("tidegate_waiting_bytes", 0),
        ("tidegate_lagged_total", 0),
        ("tidegate_recovered_total", 0),
    ] {
        assert_eq!(value(&text, name), expected, "{name}");
    }
    assert!(value(&text, "tidegate_tasks") > 0, "{text}");
    let timed = value(&text, "tidegate_delivery_latency_seconds_count");
    assert!((1..=2).contains(&timed), "{text}");
    assert_eq!(
        value(
            &text,
            "tidegate_delivery_latency_seconds_bucket{le=\"+Inf\"}"
        ),
        timed
    );
    // Two welcomes, a subscription, two publications, two answers.
    assert_eq!(value(&text, "tidegate_frames_sent_total"), 7);
    hub.drain();
    assert_eq!(watching.close_code().await, 1012);
    assert_eq!(publishing.close_code().await, 1012);
    let text = told(&address).await;
    assert_eq!(value(&text, "tidegate_closed_total{reason=\"drained\"}"), 2);
}

#[tokio::test]
async fn what_was_missed_is_told_apart_from_what_is_lost() {
    let (hub, address) = served().await;
    for number in 1..=3 {
        hub.publish("a", &number).await.unwrap();
    }
    let epoch = hub.latest("a").await.unwrap().unwrap().position.epoch;
    for (epoch, first) in [(epoch, 2), (epoch + 1, 3)] {
        let mut socket = Socket::open(&address).await;
        let since = json!([{ "topic": "a", "epoch": epoch, "offset": 1 }]);
        socket
            .send(json!({ "type": "subscribe", "pattern": "a", "since": since }))
            .await;
        socket.expect("subscribed").await;
        if first == 3 {
            socket.expect("reset").await;
        }
        assert_eq!(socket.expect("pub").await["data"], first);
    }
    let text = told(&address).await;
    assert_eq!(value(&text, "tidegate_recovered_total"), 2);
    assert_eq!(value(&text, "tidegate_resets_total"), 1);
}

#[tokio::test]
async fn durable_subscriptions_are_told_until_they_are_stored_refused_and_forgotten() {
    let mut config = config();
    config.server.cursors.total_max = 1;
    let (_hub, address) = served_as(config).await;
    let told = async |name: &str| value(&told(&address).await, &format!("tidegate_durables{name}"));
    let subscribe = |name: &str| json!({ "type": "subscribe", "pattern": "a", "durable": name });
    let mut socket = Socket::open(&address).await;
    socket.send(subscribe("phone")).await;
    socket.expect("subscribed").await;
    assert_eq!((told("").await, told("_unstored").await), (1, 0));
    let position = json!({ "topic": "a", "epoch": 1, "offset": 1 });
    socket
        .send(json!({ "type": "ack", "pattern": "a", "positions": [position] }))
        .await;
    eventually("it is stored", async || told("_stored_total").await == 1).await;
    assert_eq!((told("").await, told("_unstored").await), (1, 0));
    let mut another = Socket::open(&address).await;
    another.send(subscribe("tablet")).await;
    assert_eq!(
        another.expect("error").await["code"],
        "too_many_subscriptions"
    );
    assert_eq!(told("_refused_total").await, 1);
    assert_eq!(told("_forgotten_total").await, 0);
    drop(socket);
    eventually("it is left", async || told("").await == 0).await;
}

#[tokio::test]
async fn who_breaks_the_websocket_protocol_is_counted() {
    let (_hub, address) = served().await;
    for (message, code) in [
        (Message::binary(vec![1]), 1003),
        (Message::text("x".repeat(2 << 20)), 1009),
    ] {
        let mut socket = Socket::open(&address).await;
        // A server need not read what it refuses.
        let _ = socket.inner.send(message).await;
        assert_eq!(socket.close_code().await, code);
    }
    let text = told(&address).await;
    for reason in ["protocol", "too_large"] {
        let name = format!("tidegate_closed_total{{reason=\"{reason}\"}}");
        assert_eq!(value(&text, &name), 1, "{name}");
    }
}

#[tokio::test]
async fn what_callers_over_http_are_told_instead_is_counted_by_its_code() {
    let (_hub, address) = served().await;
    for path in [
        "/events?topic=a:",
        "/events?topic=",
        "/events?topic=a&throttle=soon",
    ] {
        assert_eq!(get(&address, path).await.status, 400, "{path}");
    }
    let text = told(&address).await;
    for (code, count) in [("bad_topic", 2), ("bad_flow", 1)] {
        let name = format!("tidegate_errors_total{{code=\"{code}\"}}");
        assert_eq!(value(&text, &name), count, "{name}");
    }
}

#[tokio::test]
async fn an_operator_far_away_shows_a_token_for_everything() {
    let mut config = config();
    config.access.authenticate = Some(Arc::new(JwtVerifier::hs256(SECRET).unwrap()));
    let hub = Hub::new(config).unwrap();
    // This server doesn't know where the caller is, so it counts as far away.
    let address = serve_by_axum(tidegate::axum::router(hub)).await;
    let asked = async |path: &str, subscribe: &str| {
        let claims = json!({ "exp": 4_000_000_000_u64, "subscribe": [subscribe] });
        let key = EncodingKey::from_secret(SECRET);
        let token = encode(&Header::default(), &claims, &key).unwrap();
        let header = format!("Authorization: Bearer {token}\r\n");
        request(&address, &format!("GET {path}"), &header, "")
            .await
            .status
    };
    for path in ["/metrics", "/debug"] {
        assert_eq!(asked(path, "**").await, 200, "{path}");
        assert_eq!(asked(path, "job:**").await, 403, "{path}");
        assert_eq!(get(&address, path).await.status, 403, "{path}");
        let forged = "Authorization: Bearer forged\r\n";
        let answer = request(&address, &format!("GET {path}"), forged, "").await;
        assert_eq!(answer.status, 401, "{path}");
    }
}
