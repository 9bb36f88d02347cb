//! The rooms of users: who gets into them by an event stream, and how a notification socket shows that it lives.

use std::sync::Arc;

use crate::support::http::request;
use crate::support::socket::Socket;
use crate::support::{config, serve};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tidegate::Hub;
use tidegate::auth::JwtVerifier;
use tokio::net::TcpStream;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

/// A server that asks for tokens.
async fn asking() -> (Hub, String) {
    let mut config = config();
    config.access.authenticate = Some(Arc::new(JwtVerifier::hs256(SECRET).unwrap()));
    let hub = Hub::new(config).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    (hub, address)
}

fn bearer(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET);
    format!(
        "Bearer {}",
        encode(&Header::default(), claims, &key).unwrap()
    )
}

/// The token of user 7, who may follow jobs.
fn sevens() -> String {
    bearer(&json!({ "sub": 7, "exp": 4_000_000_000_u64, "subscribe": ["job:*"] }))
}

#[tokio::test]
async fn a_users_event_stream_may_have_their_room_beside_other_topics_and_nobody_elses() {
    let (hub, address) = asking().await;
    let head = format!("Authorization: {}\r\n", sevens());
    let events =
        async |query: &str| request(&address, &format!("GET /events?{query}"), &head, "").await;
    for others in ["topic=user:8", "topic=job:1&topic=user:8", "topic=user:*"] {
        assert_eq!(
            events(others).await.error(),
            (403, "forbidden".to_owned()),
            "{others}"
        );
    }
    // Both have ended, and so does the response that has what they said last.
    for topic in ["user:7", "job:1"] {
        hub.publish(topic, &topic).await.unwrap();
        crate::support::end(&hub, topic).await;
    }
    let told = events("topic=job:1&topic=user:7").await;
    assert_eq!(told.status, 200, "{told:?}");
    for topic in ["user:7", "job:1"] {
        assert!(
            told.body.contains(&format!("\"topic\":\"{topic}\"")),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn a_notification_socket_answers_pings_and_takes_nothing_but_what_is_its_users() {
    let (hub, address) = asking().await;
    let stream = TcpStream::connect(&address).await.unwrap();
    let bearer = sevens();
    let headers = [("authorization", bearer.as_str())];
    let mut bell = Socket::at("/user/notifications", stream, &headers)
        .await
        .unwrap();
    assert_eq!(bell.expect("subscribed").await["pattern"], "user:7");
    bell.send(json!({ "type": "ping" })).await;
    bell.expect("pong").await;
    // Not even what the token is good for elsewhere.
    let publish = json!({ "type": "publish", "ref": 1, "topic": "user:7", "data": 1 });
    for frame in [json!({ "type": "subscribe", "pattern": "job:1" }), publish] {
        bell.send(frame).await;
        assert_eq!(bell.expect("error").await["code"], "forbidden");
    }
    hub.publish("user:7", &"it rings").await.unwrap();
    assert_eq!(bell.expect("pub").await["data"], "it rings");
}
