//! `GET /debug`: what it reports, and to whom.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::events::Events;
use crate::support::fragile::Fragile;
use crate::support::http::{get, request};
use crate::support::socket::Socket;
use crate::support::{config, serve_by_axum, until_counts, within};
use serde_json::{Value, json};
use tidegate::backend::{BackendError, Choice};
use tidegate::{BackendLink, Hub};
use tokio::net::TcpListener;

/// Serves a hub so that it knows where callers are; returns its address.
async fn served(hub: &Hub) -> String {
    let app =
        tidegate::axum::router(hub.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn told(address: &str) -> Value {
    let answer = get(address, "/debug").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn what_a_hub_in_memory_holds_is_counted() {
    let choice = Choice {
        backend: None,
        what: "memory".to_owned(),
        why: "it was asked for".to_owned(),
    };
    let hub = Hub::with_choice(config(), &choice).unwrap();
    let address = served(&hub).await;
    for number in 1..=3 {
        hub.publish(&format!("job:{number}"), &number)
            .await
            .unwrap();
    }
    let mut socket = Socket::open(&address).await;
    socket
        .send(json!({"type": "subscribe", "pattern": "job:*"}))
        .await;
    let events = Events::open(&address, "topic=job:1&topic=job:2").await;
    until_counts(&hub, 2, 3).await;
    let debug = told(&address).await;
    assert_eq!(
        debug,
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "backend": {
                "name": "memory", "why": "it was asked for", "link": "live", "stale": false, "last_error": null,
            },
            "connections": 2, "sse_connections": 1, "subscriptions": 3, "topics": 3, "gates": 0,
            "uplink": {"followed": 0, "behind": 0, "parked": 0, "publishes": 0},
        })
    );
    drop(events);
    until_counts(&hub, 1, 1).await;
    let debug = told(&address).await;
    assert_eq!(
        (&debug["connections"], &debug["sse_connections"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn topics_are_told_with_their_subscribers_as_many_as_are_asked_for() {
    let hub = Hub::new(config()).unwrap();
    let address = served(&hub).await;
    for topic in ["job:1", "job:2", "job:1"] {
        hub.publish(topic, &"x".repeat(1_000)).await.unwrap();
    }
    let _events = Events::open(&address, "topic=job:*&topic=job:1").await;
    until_counts(&hub, 1, 2).await;
    let told = get(&address, "/debug?topics=9").await.json();
    let topics = told["latest_topics"].as_array().unwrap();
    let of = |name: &str| topics.iter().find(|it| it["topic"] == name).unwrap();
    assert_eq!(topics.len(), 2);
    assert_eq!(
        (&of("job:1")["offset"], &of("job:2")["offset"]),
        (&json!(2), &json!(1))
    );
    let subscribers = (&of("job:1")["subscribers"], &of("job:2")["subscribers"]);
    assert_eq!(subscribers, (&json!(2), &json!(1)));
    assert_eq!(of("job:2")["value"].as_str().unwrap().len(), 160);
    assert_eq!(told["done"]["publishes"], 3);
    let one = get(&address, "/debug?topics=1").await.json();
    assert_eq!(one["latest_topics"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_backend_that_is_away_shows() {
    let is_away = Arc::new(AtomicBool::new(false));
    let hub = Hub::with_backend(config(), Arc::new(Fragile::new(&is_away))).unwrap();
    let address = served(&hub).await;
    let _events = hub.subscribe("job:1").await.unwrap();
    let mut health = hub.backend().unwrap();
    let debug = told(&address).await;
    assert_eq!(
        debug["backend"],
        json!({"name": "a fragile store", "why": null, "link": "live", "stale": false, "last_error": null})
    );
    assert_eq!(debug["uplink"]["followed"], 1);
    is_away.store(true, Ordering::SeqCst);
    let waiting = {
        let hub = hub.clone();
        tokio::spawn(async move { hub.publish("job:1", &1).await })
    };
    let stale = health.wait_for(|health| health.link == BackendLink::Stale);
    within("the loss", stale).await.unwrap();
    let debug = told(&address).await;
    let error = BackendError::Unreachable {
        backend: "a fragile store".to_owned(),
        reason: "it is away".to_owned(),
    };
    assert_eq!(
        debug["backend"],
        json!({
            "name": "a fragile store", "why": null, "link": "stale", "stale": true, "last_error": error.to_string(),
        })
    );
    assert_eq!(debug["uplink"]["publishes"], 1);
    let unready = get(&address, "/readyz").await;
    assert_eq!(unready.error(), (503, "unavailable".into()));
    assert_eq!(unready.header("retry-after"), Some("1"));
    assert_eq!(get(&address, "/healthz").await.status, 200);
    is_away.store(false, Ordering::SeqCst);
    within("the answer", waiting).await.unwrap().unwrap();
    assert_eq!(told(&address).await["backend"]["last_error"], Value::Null);
    assert_eq!(get(&address, "/readyz").await.status, 200);
}

#[tokio::test]
async fn whoever_may_be_far_away_is_told_nothing() {
    let hub = Hub::new(config()).unwrap();
    let address = served(&hub).await;
    for headers in [
        "X-Forwarded-For: 127.0.0.1\r\n",
        "Forwarded: for=192.0.2.7\r\n",
        "Origin: http://evil.example\r\n",
    ] {
        let answer = request(&address, "GET /debug", headers, "").await;
        assert_eq!(answer.error(), (403, "forbidden".to_owned()), "{headers}");
    }
    // An application that doesn't report where callers are.
    let address = serve_by_axum(tidegate::axum::router(hub)).await;
    let answer = get(&address, "/debug").await;
    assert_eq!(answer.error(), (403, "forbidden".to_owned()));
    assert!(
        answer.body.contains("into_make_service_with_connect_info"),
        "{answer:?}"
    );
}
