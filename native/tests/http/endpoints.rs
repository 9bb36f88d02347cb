//! The HTTP endpoints besides the streams: publish, health, the page, and who may use them.

use std::sync::Arc;

use crate::support;
use crate::support::events::Events;
use crate::support::fragile::{Fragile, WRONG_TOPIC};
use crate::support::http::{get, publish, request};
use crate::support::socket::Socket;
use crate::support::{hub_with, serve, served_hub, served_hub_with};
use serde_json::{Value, json};
use tidegate::Hub;

#[tokio::test]
async fn a_publish_is_answered_by_its_position() {
    let (hub, address) = served_hub().await;
    let first = publish(&address, &json!({"topic": "job:1", "data": {"a": [1]}})).await;
    assert_eq!(first.status, 200, "{first:?}");
    let first = first.json();
    assert_eq!(
        (&first["topic"], &first["offset"]),
        (&json!("job:1"), &json!(1))
    );
    let second = publish(&address, &json!({"topic": "job:1", "data": null}))
        .await
        .json();
    assert_eq!(second["epoch"], first["epoch"]);
    assert_eq!(second["offset"], 2);
    let latest = hub.latest("job:1").await.unwrap().unwrap();
    assert_eq!(latest.payload.as_str(), "null");
    assert_eq!(second["epoch"], latest.position.epoch);
}

#[tokio::test]
async fn an_idempotency_key_makes_a_repeat_harmless() {
    let (hub, address) = served_hub().await;
    let body = json!({"topic": "job:1", "data": 1, "id": "k"});
    let first = publish(&address, &body).await.json();
    assert_eq!(publish(&address, &body).await.json(), first);
    let other = json!({"topic": "job:2", "data": 2, "id": "k"});
    assert_eq!(publish(&address, &other).await.json()["offset"], 1);
    assert_eq!(
        hub.latest("job:1").await.unwrap().unwrap().position.offset,
        1
    );
    // A publish that took effect is still recognised after the topic has ended.
    publish(
        &address,
        &json!({"topic": "job:1", "data": 2, "end": "failed"}),
    )
    .await;
    assert_eq!(publish(&address, &body).await.json(), first);
}

#[tokio::test]
async fn an_ended_topic_is_a_conflict_until_it_is_started_anew() {
    let (_hub, address) = served_hub().await;
    let end = json!({"topic": "job:1", "data": 1, "end": "complete"});
    let ended = publish(&address, &end).await.json();
    let more = publish(&address, &json!({"topic": "job:1", "data": 2})).await;
    assert_eq!(more.error(), (409, "topic_ended".to_owned()));
    let anew = publish(
        &address,
        &json!({"topic": "job:1", "data": 2, "restart": true}),
    )
    .await;
    assert_eq!(anew.json()["offset"], 1);
    assert_ne!(anew.json()["epoch"], ended["epoch"]);
}

#[tokio::test]
async fn a_status_ends_nothing_where_the_request_says_so() {
    let (_hub, address) = served_hub().await;
    let mut failed = json!({"topic": "orders", "data": {"status": "failed"}, "end": "none"});
    for offset in 1..=2 {
        let published = publish(&address, &failed).await.json();
        assert_eq!(published["offset"], offset);
    }
    failed["end"] = serde_json::Value::Null;
    assert_eq!(publish(&address, &failed).await.json()["offset"], 3);
    let more = publish(&address, &failed).await;
    assert_eq!(more.error(), (409, "topic_ended".to_owned()));
}

#[tokio::test]
async fn what_the_backend_does_not_take_is_refused_alone_and_said_so() {
    let backend = Fragile::new(&Arc::default());
    let hub = Hub::with_backend(support::config(), Arc::new(backend)).unwrap();
    let address = serve(tidegate::axum::router(hub)).await;
    let wrong = json!({"topic": WRONG_TOPIC, "data": 1});
    let right = json!({"topic": "job:1", "data": 1});
    let (refused, stored) = tokio::join!(publish(&address, &wrong), publish(&address, &right));
    assert_eq!(refused.error(), (422, "refused".to_owned()));
    assert_eq!(stored.status, 200, "{stored:?}");
    let mut socket = Socket::open(&address).await;
    socket
        .send(json!({"type": "publish", "ref": 1, "topic": WRONG_TOPIC, "data": 1}))
        .await;
    let error = socket.expect("error").await;
    assert_eq!(
        (&error["code"], &error["ref"]),
        (&json!("refused"), &json!(1))
    );
}

#[tokio::test]
async fn what_is_nested_too_deeply_is_refused() {
    let (_hub, address) = served_hub().await;
    for (depth, due) in [(100, 200), (101, 400), (200_000, 400)] {
        let data = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body = format!(r#"{{"topic":"job:1","data":{data}}}"#);
        let answer = request(&address, "POST /publish", "", body).await;
        assert_eq!(answer.status, due, "{depth} deep: {answer:?}");
        if due == 400 {
            assert_eq!(answer.error().1, "bad_frame");
        }
    }
}

#[tokio::test]
async fn what_can_not_be_published_is_refused_with_the_reason() {
    let (hub, address) = served_hub_with(|config| {
        config.hub.topics_max = 1;
        config.hub.payload_bytes_max = 100;
    })
    .await;
    publish(&address, &json!({"topic": "a", "data": 1})).await;
    let long = "x".repeat(129);
    let cases = [
        (json!({"topic": "a b", "data": 1}), 400, "bad_topic", "byte"),
        (json!({"topic": "a:*", "data": 1}), 400, "bad_topic", "a:*"),
        (json!({"topic": "a"}), 400, "bad_frame", "data"),
        (json!({"data": 1}), 400, "bad_frame", "topic"),
        (
            json!({"topic": "a", "data": 1, "dat": 2}),
            400,
            "bad_frame",
            "dat",
        ),
        (
            json!({"topic": "a", "data": 1, "end": "maybe"}),
            400,
            "bad_frame",
            "complete",
        ),
        (
            json!({"topic": "a", "data": 1, "id": 7}),
            400,
            "bad_frame",
            "string",
        ),
        (json!(7), 400, "bad_frame", "topic"),
        (
            json!({"topic": "a", "data": 1, "id": long}),
            413,
            "too_large",
            "128",
        ),
        (json!({"topic": "a", "data": long}), 413, "too_large", "100"),
        (
            json!({"topic": "b", "data": 1}),
            429,
            "too_many_topics",
            "1 topics",
        ),
    ];
    for (body, status, code, word) in cases {
        let answer = publish(&address, &body).await;
        assert_eq!(answer.error(), (status, code.to_owned()), "{body}");
        assert!(answer.body.contains(word), "{body}: {answer:?}");
    }
    for body in ["", "{", "{\"topic\": \"a\", \"data\": 1} {}", "\u{0}"] {
        let answer = request(&address, "POST /publish", "", body).await;
        assert_eq!(answer.error(), (400, "bad_frame".to_owned()), "{body:?}");
    }
    let latest = hub.latest("a").await.unwrap().unwrap();
    assert_eq!(latest.position.offset, 1);
}

#[tokio::test]
async fn a_body_beyond_all_bounds_is_refused_unread() {
    let (_hub, address) = served_hub().await;
    let body = json!({"topic": "a", "data": "x".repeat(8 * 1024 * 1024)});
    let answer = publish(&address, &body).await;
    assert_eq!(answer.error(), (413, "too_large".to_owned()));
    assert_eq!(
        publish(&address, &json!({"topic": "a", "data": 1}))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_hub_that_allows_more_gets_more() {
    let (_hub, address) = served_hub_with(|config| {
        config.hub.payload_bytes_max = 5 * 1024 * 1024;
    })
    .await;
    let body = json!({"topic": "a", "data": "x".repeat(4 * 1024 * 1024)});
    assert_eq!(publish(&address, &body).await.status, 200);
}

#[tokio::test]
async fn health_follows_the_hub() {
    let (hub, address) = served_hub().await;
    let healthy = get(&address, "/healthz").await;
    assert_eq!((healthy.status, healthy.body.as_str()), (200, "ok\n"));
    hub.stop();
    support::eventually("the hub to stop", async || hub.counts().await.is_err()).await;
    let stopped = get(&address, "/healthz").await;
    assert_eq!(stopped.error(), (503, "draining".to_owned()));
    let refused = publish(&address, &json!({"topic": "a", "data": 1})).await;
    assert_eq!(refused.error(), (503, "draining".to_owned()));
    let refused = get(&address, "/events?topic=a").await;
    assert_eq!(refused.error(), (503, "draining".to_owned()));
}

#[tokio::test]
async fn pages_of_other_origins_are_kept_out() {
    let (_hub, address) = served_hub().await;
    let body = json!({"topic": "a", "data": 1}).to_string();
    for (line, body) in [
        ("POST /publish", body.as_str()),
        ("GET /events?topic=a", ""),
        ("GET /ws", ""),
    ] {
        for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
            let headers = format!("Origin: {origin}\r\n");
            let answer = request(&address, line, &headers, body).await;
            assert_eq!(
                answer.error(),
                (403, "forbidden".to_owned()),
                "{line} from {origin}"
            );
        }
    }
    let own = format!("Origin: http://{address}\r\n");
    let answer = request(&address, "GET /events", &own, "").await;
    assert_eq!(answer.error(), (400, "bad_topic".to_owned()));
    let health = request(
        &address,
        "GET /healthz",
        "Origin: http://evil.example\r\n",
        "",
    )
    .await;
    assert_eq!(health.status, 200);
}

#[tokio::test]
async fn the_wrong_method_and_the_wrong_place_are_told_apart() {
    let (_hub, address) = served_hub().await;
    assert_eq!(get(&address, "/publish").await.status, 405);
    assert_eq!(get(&address, "/no-such-thing").await.status, 404);
    let plain = get(&address, "/ws").await;
    assert_eq!(plain.error(), (426, "bad_frame".to_owned()));
    let asked = "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n";
    let head = request(&address, "HEAD /ws", asked, "").await;
    assert_eq!(head.status, 426, "only GET upgrades");
    for answer in [plain, head] {
        assert_eq!(answer.header("upgrade"), Some("websocket"));
        assert_eq!(answer.header("connection"), Some("upgrade, close"));
        assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    }
    let upgrade = "Upgrade: websocket\r\nConnection: upgrade\r\n";
    for (headers, status) in [
        (
            "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: eA==\r\n",
            426,
        ),
        ("Sec-WebSocket-Version: 13\r\n", 400),
        (
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Protocol: chat\r\n",
            400,
        ),
    ] {
        let headers = format!("{upgrade}{headers}");
        let answer = request(&address, "GET /ws", &headers, "").await;
        assert_eq!(
            answer.error(),
            (status, "bad_frame".to_owned()),
            "{headers}"
        );
    }
}

#[tokio::test]
async fn a_query_whose_escapes_are_none_is_refused_rather_than_read_as_another_topic() {
    let (_hub, address) = served_hub().await;
    for topic in ["job%3A%FF", "job%ZZ", "job%3", "job%", "job%3a%C3"] {
        let refused = get(&address, &format!("/events?topic={topic}")).await;
        assert_eq!(refused.error(), (400, "bad_frame".to_owned()), "{topic}");
    }
    let known = get(&address, "/events?topic=job%3A%c3%A9&topic=%").await;
    assert_eq!(known.status, 400);
    let body = json!({"topic": "job:é", "data": 1, "end": "complete"});
    assert_eq!(publish(&address, &body).await.status, 200);
    let stream = get(&address, "/events?topic=job%3A%c3%A9").await;
    assert!(stream.body.contains("job:é"), "{stream:?}");
}

#[tokio::test]
async fn the_page_is_served_and_locked_down() {
    let (_hub, address) = served_hub().await;
    let page = get(&address, "/").await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    assert!(page.body.contains("Tidegate"), "{page:?}");
    for outside in ["/../Cargo.toml", "/%2e%2e/Cargo.toml", "//etc/passwd"] {
        let answer = get(&address, outside).await;
        assert_eq!(answer.status, 404, "{outside}");
    }
}

#[tokio::test]
async fn a_hub_can_be_mounted_below_a_path() {
    let hub = hub_with(|_| {});
    let app = axum::Router::new()
        .route("/", axum::routing::get(async || "the application's own"))
        .nest("/live", tidegate::axum::router(hub.clone()));
    let address = serve(app).await;
    assert_eq!(get(&address, "/").await.body, "the application's own");
    assert_eq!(get(&address, "/live/healthz").await.status, 200);
    assert_eq!(get(&address, "/healthz").await.status, 404);
    let page = get(&address, "/live").await;
    assert_eq!(page.header("location"), Some("live/index.html"));
    assert!(
        get(&address, "/live/index.html")
            .await
            .body
            .contains("Tidegate")
    );
    let body = json!({"topic": "a", "data": 1}).to_string();
    let answer = request(&address, "POST /live/publish", "", &body).await;
    assert_eq!(answer.status, 200);
    let mut events = Events::open_at(&address, "/live/events?topic=a", None).await;
    assert_eq!(events.data().await, 1);
    let client = tidegate::Client::connect(&format!("http://{address}/live"))
        .await
        .unwrap();
    client.publish("a", &2).await.unwrap();
    assert_eq!(events.data().await, 2);
}

#[tokio::test]
async fn a_refused_connection_leaves_others_alone() {
    let (_hub, address) = served_hub().await;
    let mut socket = Socket::open(&address).await;
    socket.subscribe("a", json!({})).await;
    let headers = "Origin: http://evil.example\r\n";
    request(&address, "GET /ws", headers, "").await;
    publish(&address, &json!({"topic": "a", "data": 1})).await;
    assert_eq!(socket.expect("pub").await["data"], Value::from(1));
}
