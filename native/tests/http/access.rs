//! Who is admitted, how clients authenticate, and what they may then do.

use std::sync::Arc;
use std::time::SystemTime;

use crate::support::events::Events;
use crate::support::http::{get, request};
use crate::support::socket::Socket;
use crate::support::{config, serve, until_counts};
use futures_util::FutureExt as _;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tidegate::auth::{AuthError, Authenticate, Authenticating, Credentials, Identity, JwtVerifier};
use tidegate::{AccessConfig, Hub};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Error;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

fn token(claims: Value) -> String {
    let mut all = json!({ "exp": unix_now() + 3600 });
    all.as_object_mut()
        .unwrap()
        .extend(claims.as_object().unwrap().clone());
    encode(&Header::default(), &all, &EncodingKey::from_secret(SECRET)).unwrap()
}

fn unix_now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs()
}

fn adas() -> String {
    token(json!({ "sub": "ada", "subscribe": ["job:*"], "publish": ["chat:*"] }))
}

/// A server whose access `change` has set up.
async fn served(change: impl FnOnce(&mut AccessConfig)) -> (Hub, String) {
    let mut config = config();
    change(&mut config.access);
    let hub = Hub::new(config).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    (hub, address)
}

/// A server that requires tokens.
async fn asking() -> (Hub, String) {
    served(|access| {
        access.authenticate = Some(Arc::new(JwtVerifier::hs256(SECRET).unwrap()));
    })
    .await
}

async fn open(address: &str, headers: &[(&str, &str)]) -> Result<Socket, u16> {
    let stream = TcpStream::connect(address).await.unwrap();
    match Socket::with_headers(stream, headers).await {
        Ok(socket) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

async fn refusal(address: &str, headers: &[(&str, &str)]) -> u16 {
    match open(address, headers).await {
        Err(status) => status,
        Ok(_) => panic!("it was let in"),
    }
}

async fn says_subscribed(socket: &mut Socket, pattern: &str) {
    socket.subscribe(pattern, json!({})).await;
}

async fn is_forbidden(socket: &mut Socket, pattern: &str) {
    socket
        .send(json!({ "type": "subscribe", "pattern": pattern }))
        .await;
    assert_eq!(socket.expect("error").await["code"], "forbidden");
}

#[tokio::test]
async fn a_first_frame_may_show_the_token() {
    let (_hub, address) = asking().await;
    let mut socket = open(&address, &[]).await.unwrap();
    socket
        .send(json!([
            { "type": "hello", "token": adas() },
            { "type": "subscribe", "pattern": "job:1" },
        ]))
        .await;
    socket.expect("subscribed").await;
    is_forbidden(&mut socket, "job:**").await;
}

#[tokio::test]
async fn a_header_a_subprotocol_and_a_cookie_may_show_the_token() {
    let (_hub, address) = asking().await;
    let token = adas();
    let bearer = format!("Bearer {token}");
    let protocols = format!("tidegate.v1.json, tidegate.token.{token}");
    let cookie = format!("theme=dark; tidegate_token={token}");
    for (name, value) in [
        ("authorization", &bearer),
        ("sec-websocket-protocol", &protocols),
        ("cookie", &cookie),
    ] {
        let mut socket = open(&address, &[(name, value)]).await.unwrap();
        says_subscribed(&mut socket, "job:1").await;
        is_forbidden(&mut socket, "task:1").await;
    }
}

#[tokio::test]
async fn whoever_shows_nothing_or_a_forged_token_stays_outside() {
    let (hub, address) = asking().await;
    assert_eq!(
        refusal(&address, &[("authorization", "Bearer forged")]).await,
        401
    );
    for first in [
        json!({ "type": "subscribe", "pattern": "job:1" }),
        json!({ "type": "hello", "token": "forged" }),
        json!({ "type": "hello", "token": token(json!({ "exp": 1 })) }),
    ] {
        let mut socket = open(&address, &[]).await.unwrap();
        socket.send(first).await;
        let error = socket.expect("error").await;
        let is_expected = error["code"] == "unauthorized" || error["code"] == "token_expired";
        assert!(is_expected && error["fatal"] == true, "{error}");
        assert_eq!(socket.close_code().await, 4401);
    }
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn a_connection_ends_with_its_token_and_goes_on_with_a_new_one() {
    let (_hub, address) = asking().await;
    let mut ending = open(&address, &[]).await.unwrap();
    let mut renewed = open(&address, &[]).await.unwrap();
    // Long enough for another one to be sent before it expires, however busy this machine is.
    let short = token(json!({ "sub": "ada", "exp": unix_now() + 4, "subscribe": ["**"] }));
    for token in [short.clone(), adas()] {
        renewed
            .send(json!({ "type": "hello", "token": token }))
            .await;
    }
    ending
        .send(json!({ "type": "hello", "token": short }))
        .await;
    assert_eq!(ending.expect("error").await["code"], "token_expired");
    assert_eq!(ending.close_code().await, 4401);
    says_subscribed(&mut renewed, "job:1").await;
    is_forbidden(&mut renewed, "task:1").await;
}

#[tokio::test]
async fn publishing_over_http_needs_a_grant_for_the_topic() {
    let (_hub, address) = asking().await;
    let publish = async |topic: &str, headers: &str| {
        let body = json!({ "topic": topic, "data": 1 }).to_string();
        request(&address, "POST /publish", headers, body).await
    };
    let bearer = format!("Authorization: Bearer {}\r\n", adas());
    assert_eq!(publish("chat:1", &bearer).await.status, 200);
    let elsewhere = publish("job:1", &bearer).await;
    assert_eq!(elsewhere.error(), (403, "forbidden".into()));
    let nobody = publish("chat:1", "").await;
    assert_eq!(nobody.error(), (401, "unauthorized".into()));
}

#[tokio::test]
async fn event_streams_take_a_token_or_a_ticket() {
    let (_hub, address) = asking().await;
    let events = "/events?topic=job:1&latest=false";
    assert_eq!(
        get(&address, events).await.error(),
        (401, "unauthorized".into())
    );
    let forged = get(&address, &format!("{events}&ticket=forged")).await;
    assert_eq!(forged.error(), (401, "unauthorized".into()));
    let bearer = format!("Authorization: Bearer {}\r\n", adas());
    let ticket = request(&address, "POST /ticket", &bearer, "").await.json();
    assert_eq!(ticket["expires_in_s"], 30);
    let ticket = ticket["ticket"].as_str().unwrap();
    let wide = get(&address, &format!("/events?topic=**&ticket={ticket}")).await;
    assert_eq!(wide.error(), (403, "forbidden".into()));
    let mut stream = Events::open_at(&address, &format!("{events}&ticket={ticket}"), None).await;
    let body = json!({ "topic": "job:1", "data": 1 }).to_string();
    let own = format!(
        "Authorization: Bearer {}\r\n",
        token(json!({ "publish": ["**"] }))
    );
    request(&address, "POST /publish", &own, body).await;
    assert_eq!(stream.data().await, 1);
    // A ticket is for connections only, and can't be exchanged for others.
    let again = format!("Authorization: Bearer {ticket}\r\n");
    let more = request(&address, "POST /ticket", &again, "").await;
    assert_eq!(more.error(), (401, "unauthorized".into()));
}

/// A rule that takes its time.
struct Slow(Arc<Notify>);

impl Authenticate for Slow {
    fn authenticate(&self, shown: Credentials) -> Authenticating<'_> {
        async move {
            match shown.token.as_deref() {
                None => return Err(AuthError::Missing),
                Some("panic") => panic!("the application's own fault"),
                Some("slow") => self.0.notified().await,
                Some(_) => {}
            }
            Ok(Identity {
                user: shown.token,
                subscribe: vec!["**".parse().unwrap()],
                ..Identity::default()
            })
        }
        .boxed()
    }
}

#[tokio::test]
async fn an_applications_own_rule_may_take_its_time_and_fail_and_holds_up_nobody() {
    let answer = Arc::new(Notify::new());
    let rule = Arc::new(Slow(answer.clone()));
    let (_hub, address) = served(|access| access.authenticate = Some(rule)).await;
    let hello = |token: &str| json!({ "type": "hello", "token": token });
    let mut waiting = open(&address, &[]).await.unwrap();
    waiting.send(hello("slow")).await;
    waiting
        .send(json!({ "type": "subscribe", "pattern": "a" }))
        .await;
    let mut broken = open(&address, &[]).await.unwrap();
    broken.send(hello("panic")).await;
    assert_eq!(broken.expect("error").await["code"], "unavailable");
    assert_eq!(broken.close_code().await, 1013, "it may come again");
    let header = [("authorization", "Bearer panic")];
    assert_eq!(refusal(&address, &header).await, 503, "so is a header");
    let mut quick = open(&address, &[]).await.unwrap();
    quick.send(hello("quick")).await;
    says_subscribed(&mut quick, "a").await;
    answer.notify_one();
    waiting.expect("subscribed").await;
}

#[tokio::test]
async fn connections_are_counted_in_all_and_by_user_and_let_go_when_they_end() {
    let (hub, address) = served(|access| {
        access.authenticate = Some(Arc::new(JwtVerifier::hs256(SECRET).unwrap()));
        access.limits.total_max = 3;
        access.limits.per_user_max = 1;
    })
    .await;
    for _ in 0..3 {
        let bearer = format!("Bearer {}", adas());
        let adas_first = open(&address, &[("authorization", &bearer)]).await.unwrap();
        assert_eq!(refusal(&address, &[("authorization", &bearer)]).await, 429);
        let mut adas_second = open(&address, &[]).await.unwrap();
        adas_second
            .send(json!({ "type": "hello", "token": adas() }))
            .await;
        let error = adas_second.expect("error").await;
        assert_eq!(error["code"], "too_many_connections");
        assert_eq!(adas_second.close_code().await, 1013, "it may come again");
        until_counts(&hub, 1, 0).await;
        let others = [
            open(&address, &[]).await.unwrap(),
            open(&address, &[]).await.unwrap(),
        ];
        assert_eq!(refusal(&address, &[]).await, 503);
        drop((adas_first, adas_second, others));
        until_counts(&hub, 0, 0).await;
    }
}

#[tokio::test]
async fn pages_watch_and_do_not_publish_unless_they_may() {
    let (_hub, closed) = served(|_| {}).await;
    let (_other, open) = served(|access| {
        access.browsers_publish = vec!["chat:*".parse().unwrap()];
        access.origins = vec!["https://app.example".into()];
    })
    .await;
    let publish = async |address: &str, origin: &str, topic: &str| {
        let body = json!({ "topic": topic, "data": 1 }).to_string();
        let origin = format!("Origin: {origin}\r\n");
        request(address, "POST /publish", &origin, body)
            .await
            .status
    };
    let own = |address: &str| format!("http://{address}");
    assert_eq!(publish(&closed, &own(&closed), "chat:1").await, 403);
    assert_eq!(publish(&open, &own(&open), "chat:1").await, 200);
    assert_eq!(publish(&open, &own(&open), "job:1").await, 403);
    assert_eq!(publish(&open, "https://app.example", "chat:1").await, 200);
    assert_eq!(publish(&open, "https://evil.example", "chat:1").await, 403);
    assert_eq!(
        publish(&open, "https://app.example.evil", "chat:1").await,
        403
    );
}

#[tokio::test]
async fn every_connection_of_a_user_is_in_their_room_and_notifications_are_nothing_else() {
    let (hub, address) = asking().await;
    let bearer = |claims: Value| format!("Bearer {}", token(claims));
    let sevens = bearer(json!({ "sub": 7, "subscribe": ["**"] }));
    let mut device = open(&address, &[("authorization", &sevens)]).await.unwrap();
    device.send(json!({ "type": "ping" })).await;
    device.expect("pong").await;
    assert_eq!(device.expect("subscribed").await["pattern"], "user:7");
    let stream = TcpStream::connect(&address).await.unwrap();
    let path = "/user/notifications";
    let mut bell = Socket::at(path, stream, &[("authorization", &sevens)])
        .await
        .unwrap();
    assert_eq!(bell.expect("subscribed").await["pattern"], "user:7");
    is_forbidden(&mut bell, "job:1").await;
    let head = format!("Authorization: {sevens}\r\n");
    let ticket = request(&address, "POST /ticket", &head, "").await.json();
    let ticket = ticket["ticket"].as_str().unwrap();
    let mut events = Events::open_at(&address, &format!("{path}?ticket={ticket}"), None).await;
    hub.publish("user:8", &"not mine").await.unwrap();
    hub.publish("user:7", &"mine").await.unwrap();
    assert_eq!(device.expect("pub").await["data"], "mine");
    assert_eq!(bell.expect("pub").await["data"], "mine");
    assert_eq!(events.data().await, "mine");
    let by_name = format!("Authorization: {}\r\n", bearer(json!({ "sub": "ada" })));
    let get = format!("GET {path}");
    assert_eq!(request(&address, &get, &by_name, "").await.status, 403);
    assert_eq!(request(&address, &get, "", "").await.status, 401);
    let (_open, nobody_asks) = served(|_| {}).await;
    assert_eq!(request(&nobody_asks, &get, "", "").await.status, 403);
    drop((device, bell, events));
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn a_storm_of_connections_that_come_and_are_killed_leaves_nothing_behind() {
    let (hub, address) = served(|access| {
        access.authenticate = Some(Arc::new(JwtVerifier::hs256(SECRET).unwrap()));
        access.limits.per_user_max = 10_000;
    })
    .await;
    let connect = async |number: usize| {
        let mut socket = open(&address, &[]).await.unwrap();
        socket
            .send(json!({ "type": "hello", "token": adas() }))
            .await;
        if number.is_multiple_of(2) {
            says_subscribed(&mut socket, "job:*").await;
        }
        socket
    };
    for _ in 0..5 {
        let mut sockets = Vec::new();
        for number in 0..40 {
            sockets.push(connect(number).await);
        }
        for socket in sockets {
            // No close frame: the connection is reset.
            let stream = socket.inner.into_inner();
            stream.set_zero_linger().unwrap();
            drop(stream);
        }
    }
    until_counts(&hub, 0, 0).await;
}
