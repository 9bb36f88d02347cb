//! `POST /disconnect`: a caller with all rights ends the connections of a user, WebSockets and event streams.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::events::Events;
use crate::support::fragile::Fragile;
use crate::support::http::{Answer, request};
use crate::support::socket::Socket;
use crate::support::{config, eventually, serve, until_counts, within};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tidegate::auth::JwtVerifier;
use tidegate::backend::{Keep, Memory};
use tidegate::{Config, Disconnected, Hub};
use tokio::net::{TcpListener, TcpStream};

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

fn token(user: impl Into<Value>, publish: &str) -> String {
    let claims = json!({
        "sub": user.into(), "exp": 4_000_000_000_u64, "subscribe": ["**"], "publish": [publish],
    });
    let key = EncodingKey::from_secret(SECRET);
    encode(&Header::default(), &claims, &key).unwrap()
}

fn asking() -> Config {
    let mut config = config();
    config.access.authenticate = Some(Arc::new(JwtVerifier::hs256(SECRET).unwrap()));
    config
}

async fn served(hub: &Hub) -> String {
    serve(tidegate::axum::router(hub.clone())).await
}

/// A WebSocket of a user, which is open when this returns.
async fn socket(address: &str, user: &str) -> Socket {
    let mut socket = Socket::open(address).await;
    let token = token(user, "chat");
    socket
        .send(json!({ "type": "hello", "token": token }))
        .await;
    socket.subscribe("job:1", json!({})).await;
    if user.parse::<u64>().is_ok() {
        // Their room comes first.
        socket.expect("subscribed").await;
    }
    socket
}

async fn ticket(address: &str, user: &str) -> String {
    let bearer = format!("Authorization: Bearer {}\r\n", token(user, "chat"));
    let ticket = request(address, "POST /ticket", &bearer, "").await.json();
    ticket["ticket"].as_str().unwrap().to_owned()
}

async fn stream(address: &str, ticket: &str) -> Events {
    let path = format!("/events?topic=job:1&ticket={ticket}");
    Events::open_at(address, &path, None).await
}

async fn ask(address: &str, token: &str, body: &Value) -> Answer {
    let bearer = format!("Authorization: Bearer {token}\r\n");
    request(address, "POST /disconnect", &bearer, body.to_string()).await
}

async fn is_disconnected(mut socket: Socket) {
    let error = socket.expect("error").await;
    assert_eq!(error["code"], "disconnected", "{error}");
    assert_eq!(error["fatal"], true, "{error}");
    assert_eq!(socket.close_code().await, 4410);
}

async fn all_of_a_user_end(hub: Hub) {
    let address = served(&hub).await;
    let operator = token("root", "**");
    let mut own = hub.subscribe("job:1").await.unwrap();
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(socket(&address, "ada").await);
    }
    let ticket = ticket(&address, "ada").await;
    let mut events = stream(&address, &ticket).await;
    let mut bob = socket(&address, "bob").await;
    until_counts(&hub, 6, 6).await;
    hub.publish("job:1", &7).await.unwrap();
    let answer = ask(&address, &operator, &json!({ "user": "ada" })).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "disconnected": 4 }))
    );
    for mut socket in sockets {
        assert_eq!(socket.expect("pub").await["data"], 7);
        is_disconnected(socket).await;
    }
    assert_eq!(events.next().await.unwrap().data["data"], 7);
    assert_eq!(events.rest().await, Vec::new(), "the response ends");
    // The ticket was made before. A valid token still admits: refusing it is up to whoever issues tokens.
    let again = stream(&address, &ticket).await;
    assert_eq!(again.rest().await, Vec::new());
    let again = socket(&address, "ada").await;
    until_counts(&hub, 3, 3).await;
    drop(again);
    hub.publish("job:1", &8).await.unwrap();
    for number in [7, 8] {
        assert_eq!(bob.expect("pub").await["data"], number);
        let event = futures_util::StreamExt::next(&mut own).await.unwrap();
        let tidegate::Event::Publication(publication) = event else {
            panic!("{event:?}");
        };
        assert_eq!(publication.payload.as_str(), number.to_string());
    }
    let nobody = ask(&address, &operator, &json!({ "user": "eve" })).await;
    assert_eq!(nobody.json(), json!({ "disconnected": 0 }));
}

#[tokio::test]
async fn all_connections_of_a_user_end_and_no_others() {
    all_of_a_user_end(Hub::new(asking()).unwrap()).await;
}

#[tokio::test]
async fn so_do_those_of_several_shards() {
    let config = Config {
        shards: NonZeroUsize::new(3).unwrap(),
        ..asking()
    };
    all_of_a_user_end(Hub::new(config).unwrap()).await;
}

#[tokio::test]
async fn so_do_those_whose_topics_live_in_a_backend() {
    for shards in [1, 3] {
        let config = Config {
            shards: NonZeroUsize::new(shards).unwrap(),
            ..asking()
        };
        let backend = Arc::new(Memory::new(Keep::default()));
        all_of_a_user_end(Hub::with_backend(config, backend).unwrap()).await;
    }
}

#[tokio::test]
async fn others_at_the_same_backend_end_theirs_and_are_not_counted() {
    let topics = Memory::new(Keep::default());
    let start = |shards| {
        let config = Config {
            shards: NonZeroUsize::new(shards).unwrap(),
            ..asking()
        };
        Hub::with_backend(config, Arc::new(topics.share())).unwrap()
    };
    let (one, other) = (start(1), start(2));
    let (first, second) = (served(&one).await, served(&other).await);
    let here = socket(&first, "7").await;
    let mut there = Vec::new();
    for _ in 0..3 {
        there.push(socket(&second, "7").await);
    }
    let told = Disconnected {
        here: 1,
        is_told: true,
    };
    assert_eq!(one.disconnect("7").await, Ok(told));
    is_disconnected(here).await;
    for socket in there {
        is_disconnected(socket).await;
    }
    // The broadcast that returns to its sender ends no connection.
    let mut again = socket(&first, "7").await;
    again.send(json!({ "type": "ping" })).await;
    again.expect("pong").await;
}

#[tokio::test]
async fn others_who_could_not_be_told_are_told_once_they_can_though_no_link_was_lost() {
    let topics = Memory::new(Keep::default());
    let is_mute = Arc::new(AtomicBool::new(false));
    let way = Fragile::way_to(topics.share(), &Arc::default()).muted(&is_mute);
    let one = Hub::with_backend(asking(), Arc::new(way)).unwrap();
    let other = Hub::with_backend(asking(), Arc::new(topics.share())).unwrap();
    let there = socket(&served(&other).await, "ada").await;
    eventually("both are told of what the other says", async || {
        one.disconnect("nobody").await.unwrap().is_told
    })
    .await;
    is_mute.store(true, Ordering::SeqCst);
    let untold = Disconnected {
        here: 0,
        is_told: false,
    };
    assert_eq!(one.disconnect("ada").await, Ok(untold));
    is_mute.store(false, Ordering::SeqCst);
    within("the end of it", is_disconnected(there)).await;
}

#[tokio::test]
async fn a_hub_that_can_tell_nobody_says_so() {
    let mut config = asking();
    config.shares_presence = false;
    let backend = Arc::new(Memory::new(Keep::default()));
    let hub = Hub::with_backend(config, backend).unwrap();
    let address = served(&hub).await;
    let socket = socket(&address, "ada").await;
    let answer = ask(&address, &token("root", "**"), &json!({ "user": "ada" })).await;
    assert_eq!(
        (answer.status, answer.json()),
        (202, json!({ "disconnected": 1 }))
    );
    is_disconnected(socket).await;
}

#[tokio::test]
async fn users_are_named_as_tokens_name_them() {
    let hub = Hub::new(asking()).unwrap();
    let address = served(&hub).await;
    let operator = token("root", "**");
    for user in [json!(7), json!("7")] {
        let socket = socket(&address, "7").await;
        let answer = ask(&address, &operator, &json!({ "user": user })).await;
        assert_eq!(answer.json(), json!({ "disconnected": 1 }), "{user}");
        is_disconnected(socket).await;
    }
    for body in [
        json!({}),
        json!({ "user": null }),
        json!({ "user": -7 }),
        json!({ "user": 7.5 }),
        json!({ "user": "" }),
        json!({ "user": "a\nb" }),
        json!({ "user": "x".repeat(256) }),
        json!({ "user": "ada", "group": "g" }),
        json!("ada"),
    ] {
        let answer = ask(&address, &operator, &body).await;
        assert_eq!(answer.error(), (400, "bad_frame".to_owned()), "{body}");
    }
}

#[tokio::test]
async fn only_who_may_do_everything_may_end_connections() {
    let hub = Hub::new(asking()).unwrap();
    let address = served(&hub).await;
    let mut socket = socket(&address, "ada").await;
    let ada = json!({ "user": "ada" });
    let nobody = request(&address, "POST /disconnect", "", ada.to_string()).await;
    assert_eq!(nobody.error(), (401, "unauthorized".to_owned()));
    let with_ticket = format!("POST /disconnect?ticket={}", ticket(&address, "ada").await);
    let nobody = request(&address, &with_ticket, "", ada.to_string()).await;
    assert_eq!(nobody.error(), (401, "unauthorized".to_owned()));
    for publish in ["*", "chat:**"] {
        let answer = ask(&address, &token("ada", publish), &ada).await;
        assert_eq!(answer.error(), (403, "forbidden".to_owned()), "{publish}");
    }
    socket.send(json!({ "type": "ping" })).await;
    socket.expect("pong").await;
}

#[tokio::test]
async fn where_nobody_is_asked_programs_of_the_same_machine_may() {
    let hub = Hub::new(config()).unwrap();
    let app =
        tidegate::axum::router(hub.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let ada = json!({ "user": "ada" }).to_string();
    let answer = request(&address, "POST /disconnect", "", &ada).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "disconnected": 0 }))
    );
    let own_page = format!("Origin: http://{address}\r\n");
    for headers in [
        own_page.as_str(),
        "Origin: http://evil.example\r\n",
        "X-Forwarded-For: 127.0.0.1\r\n",
    ] {
        let answer = request(&address, "POST /disconnect", headers, &ada).await;
        assert_eq!(answer.error(), (403, "forbidden".to_owned()), "{headers}");
    }
    hub.stop();
    eventually("the end", async || hub.disconnect("ada").await.is_err()).await;
}

#[tokio::test]
async fn a_socket_whose_request_named_its_user_ends_before_its_first_word() {
    let hub = Hub::new(asking()).unwrap();
    let address = served(&hub).await;
    let stream = TcpStream::connect(&address).await.unwrap();
    let bearer = format!("Bearer {}", token("ada", "chat"));
    let headers = [("authorization", bearer.as_str())];
    let socket = Socket::with_headers(stream, &headers).await.unwrap();
    until_counts(&hub, 1, 0).await;
    hub.disconnect("ada").await.unwrap();
    is_disconnected(socket).await;
}
