//! The rooms of users: which event streams are in them, and how a notification socket is kept alive.

use std::sync::Arc;

use crate::support::events::Events;
use crate::support::http::request;
use crate::support::socket::Socket;
use crate::support::{config, serve, serve_by_axum, until_counts};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tidegate::auth::JwtVerifier;
#[cfg(feature = "sqlite")]
use tidegate::backend::{Keep, Sqlite};
use tidegate::{Config, Hub};
use tokio::net::TcpStream;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

fn asking_config() -> Config {
    let mut config = config();
    config.access.authenticate = Some(Arc::new(JwtVerifier::hs256(SECRET).unwrap()));
    config
}

/// A server that requires tokens.
async fn asking() -> (Hub, String) {
    let hub = Hub::new(asking_config()).unwrap();
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
    // Both have ended, and so does the response, which contains their last events.
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

/// Events of the room have a name of their own, and no id, so that the id from which a browser would resume stays the
/// same.
async fn is_in_its_users_room(hub: &Hub, address: &str) {
    let head = format!("Authorization: {}\r\n", sevens());
    let ticket = request(address, "POST /ticket", &head, "").await.json();
    let query = format!("topic=job:1&ticket={}", ticket["ticket"].as_str().unwrap());
    let mut events = Events::open(address, &query).await;
    until_counts(hub, 1, 2).await;
    hub.publish("job:1", &1).await.unwrap();
    hub.publish("user:8", &"for somebody else").await.unwrap();
    hub.publish("user:7", &"it rings").await.unwrap();
    let (of_job, of_room) = match (events.next().await, events.next().await) {
        (Some(one), Some(other)) if one.name == "user" => (other, one),
        (Some(one), Some(other)) => (one, other),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (of_job.name.as_str(), &of_job.data["data"]),
        ("message", &json!(1))
    );
    let last = of_job.id.clone().expect("a place to resume from");
    assert_eq!(
        (of_room.name.as_str(), &of_room.id, &of_room.data["data"]),
        ("user", &None, &json!("it rings"))
    );

    // After resuming, it is in the room again, and continues its topic after what it has received.
    drop(events);
    until_counts(hub, 0, 0).await;
    let events = Events::resume(address, &query, Some(&last)).await;
    until_counts(hub, 1, 2).await;
    crate::support::end(hub, "job:1").await;
    let told = events.rest().await;
    let names: Vec<&str> = told.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(
        names,
        ["message", "end"],
        "a room keeps no response open: {told:?}"
    );
    until_counts(hub, 0, 0).await;
    assert_eq!(
        Events::resume(address, &query, told[1].id.as_deref())
            .await
            .status(),
        204
    );
    until_counts(hub, 0, 0).await;
}

#[tokio::test]
async fn a_users_event_stream_is_in_their_room_without_asking() {
    let (hub, address) = asking().await;
    is_in_its_users_room(&hub, &address).await;
}

/// With topics in a backend, and another server loop that writes the stream.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_users_event_stream_is_in_their_room_beside_a_backend_and_by_any_loop() {
    let folder = tempfile::tempdir().unwrap();
    let file = Sqlite::new(folder.path().join("topics.db"), Keep::default()).unwrap();
    let hub = Hub::with_backend(asking_config(), Arc::new(file)).unwrap();
    let address = serve_by_axum(tidegate::axum::router(hub.clone())).await;
    is_in_its_users_room(&hub, &address).await;
}

#[tokio::test]
async fn notifications_that_broke_off_before_the_first_come_when_they_resume() {
    let (hub, address) = asking().await;
    let head = format!("Authorization: {}\r\n", sevens());
    let path = async || {
        let ticket = request(&address, "POST /ticket", &head, "").await.json();
        format!(
            "/user/notifications?ticket={}",
            ticket["ticket"].as_str().unwrap()
        )
    };
    let mut events = Events::open_at(&address, &path().await, None).await;
    assert_eq!(events.block().await.unwrap(), "retry: 2000\n\n");
    let block = events.block().await.unwrap();
    let id = block.strip_prefix("id: ").expect("a place to resume from");
    drop(events);
    until_counts(&hub, 0, 0).await;
    for number in 1..=3 {
        hub.publish("user:7", &number).await.unwrap();
    }
    let mut events = Events::open_at(&address, &path().await, Some(id.trim_end())).await;
    for number in 1..=3 {
        assert_eq!(events.data().await, json!(number));
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
    // Not even what the token allows elsewhere.
    let publish = json!({ "type": "publish", "ref": 1, "topic": "user:7", "data": 1 });
    for frame in [json!({ "type": "subscribe", "pattern": "job:1" }), publish] {
        bell.send(frame).await;
        assert_eq!(bell.expect("error").await["code"], "forbidden");
    }
    hub.publish("user:7", &"it rings").await.unwrap();
    assert_eq!(bell.expect("pub").await["data"], "it rings");
}
