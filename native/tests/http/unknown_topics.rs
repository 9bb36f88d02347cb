//! A client without the right to a topic doesn't learn whether it exists.

use std::sync::Arc;

use crate::support::http::request;
use crate::support::socket::Socket;
use crate::support::{config, end, serve};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tidegate::Hub;
use tidegate::auth::JwtVerifier;
use tokio::net::TcpStream;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

/// A topic with publications, one that has ended, one where somebody is present, and one that never existed.
const TOPICS: [&str; 4] = ["task:live", "task:over", "task:busy", "task:none"];

fn token(claims: &Value) -> String {
    encode(
        &Header::default(),
        claims,
        &EncodingKey::from_secret(SECRET),
    )
    .unwrap()
}

/// Every request that a frame can make about a topic.
fn frames(topic: &str) -> [Value; 7] {
    let since = json!([{ "topic": topic, "epoch": 1, "offset": 1 }]);
    [
        json!({ "type": "subscribe", "pattern": topic }),
        json!({ "type": "subscribe", "pattern": topic, "since": since }),
        json!({ "type": "subscribe", "pattern": topic, "durable": "phone" }),
        json!({ "type": "flow", "pattern": topic, "flow": {} }),
        json!({ "type": "publish", "ref": 1, "topic": topic, "data": 1 }),
        json!({ "type": "track", "ref": 2, "topic": topic, "key": "eve", "data": 1 }),
        json!({ "type": "watch", "ref": 3, "topic": topic }),
    ]
}

/// The answers about a topic to a client without rights to it, with its name removed.
async fn answers(address: &str, authorization: &str, topic: &str) -> Vec<String> {
    let stream = TcpStream::connect(address).await.unwrap();
    let headers = [("authorization", authorization)];
    let mut socket = Socket::with_headers(stream, &headers).await.unwrap();
    let mut told = Vec::new();
    for frame in frames(topic) {
        socket.send(frame).await;
        told.push(socket.expect("error").await.to_string());
    }
    let head = format!("Authorization: {authorization}\r\n");
    let body = json!({ "topic": topic, "data": 1 }).to_string();
    for (line, body) in [
        (format!("GET /events?topic={topic}"), String::new()),
        (
            format!("GET /events?topic={topic}&last_event_id=1:1"),
            String::new(),
        ),
        ("POST /publish".to_owned(), body),
    ] {
        let answer = request(address, &line, &head, body).await;
        told.push(format!("{} {}", answer.status, answer.body));
    }
    let without_name = told
        .into_iter()
        .map(|answer| answer.replace(topic, "TOPIC"));
    without_name.collect()
}

#[tokio::test]
async fn whoever_may_not_have_a_topic_is_told_the_same_whether_there_is_one_or_not() {
    let mut config = config();
    config.access.authenticate = Some(Arc::new(JwtVerifier::hs256(SECRET).unwrap()));
    let hub = Hub::new(config).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    hub.publish("task:live", &1).await.unwrap();
    end(&hub, "task:over").await;
    let room = hub.presence("task:busy").unwrap();
    let _present = room.track("ada", &json!({})).await.unwrap();
    let claims = json!({ "sub": "eve", "exp": 4_000_000_000_u64, "subscribe": ["job:*"], "publish": ["job:*"] });
    let authorization = format!("Bearer {}", token(&claims));
    let [first, others @ ..] = TOPICS;
    let told = answers(&address, &authorization, first).await;
    for other in others {
        let other_told = answers(&address, &authorization, other).await;
        assert_eq!(other_told, told, "{other}");
    }
    let forbidden = told.iter().filter(|answer| answer.contains("forbidden"));
    // Changing the flow of a subscription that doesn't exist is a different error.
    assert_eq!(forbidden.count(), told.len() - 1, "{told:#?}");
}
