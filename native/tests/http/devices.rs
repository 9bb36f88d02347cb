//! The devices of authenticated users: each has its own notifications, is listed, and can be forgotten by its user.

use std::sync::Arc;

use crate::support::events::Events;
use crate::support::http::{Answer, request};
use crate::support::socket::Socket;
use crate::support::{config, eventually, serve};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tidegate::Hub;
use tidegate::auth::JwtVerifier;
use tidegate::backend::{Keep, Memory};
use tidegate::core::durable::DurableName;
use tokio::net::TcpStream;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

fn token(user: u64) -> String {
    let claims = json!({ "sub": user, "exp": 4_000_000_000_u64 });
    let key = EncodingKey::from_secret(SECRET);
    encode(&Header::default(), &claims, &key).unwrap()
}

/// A server that requires tokens, of a hub that `start` creates.
async fn asking(start: impl FnOnce(tidegate::Config) -> std::io::Result<Hub>) -> (Hub, String) {
    let mut config = config();
    config.access.authenticate = Some(Arc::new(JwtVerifier::hs256(SECRET).unwrap()));
    let hub = start(config).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    (hub, address)
}

async fn ask(address: &str, line: &str, user: u64) -> Answer {
    let bearer = format!("Authorization: Bearer {}\r\n", token(user));
    request(address, line, &bearer, String::new()).await
}

async fn ticket(address: &str, user: u64) -> String {
    let ticket = ask(address, "POST /ticket", user).await.json();
    ticket["ticket"].as_str().unwrap().to_owned()
}

/// Notifications, as a page reads them by an `EventSource`.
async fn notifications(address: &str, user: u64, device: &str, id: Option<&str>) -> Events {
    let ticket = ticket(address, user).await;
    let path = format!("/user/notifications?device={device}&ticket={ticket}");
    Events::open_at(address, &path, id).await
}

/// A WebSocket for the notifications of the user.
async fn socket(address: &str, user: u64, device: &str) -> Socket {
    let stream = TcpStream::connect(address).await.unwrap();
    let path = format!("/user/notifications?device={device}");
    let bearer = format!("Bearer {}", token(user));
    let headers = [("authorization", bearer.as_str())];
    Socket::at(&path, stream, &headers).await.unwrap()
}

/// The user's devices, and their offsets.
async fn devices(address: &str, user: u64) -> Vec<(String, u64)> {
    let told = ask(address, "GET /user/devices", user).await.json();
    let devices = told["devices"].as_array().unwrap().iter();
    let device = |it: &Value| {
        assert_eq!(it["pattern"], format!("user:{user}"));
        assert!(it["unused_s"].as_u64().unwrap() < 600, "{it}");
        let offset = it["positions"][0]["offset"].as_u64();
        (it["device"].as_str().unwrap().to_owned(), offset.unwrap())
    };
    devices.map(device).collect()
}

async fn notify(hub: &Hub, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        hub.publish("user:7", &number).await.unwrap();
    }
}

async fn devices_come_and_go(hub: Hub, address: String) {
    notify(&hub, 1..=1).await;
    // By an event stream, which acknowledges by its next request what it has seen.
    let mut phone = notifications(&address, 7, "phone", None).await;
    assert_eq!(phone.next().await.unwrap().data["data"], 1);
    notify(&hub, 2..=3).await;
    let second = phone.next().await.unwrap();
    assert_eq!(second.data["data"], 2);
    drop(phone);
    let mut phone = notifications(&address, 7, "phone", second.id.as_deref()).await;
    assert_eq!(phone.next().await.unwrap().data["data"], 3);
    // By a WebSocket, which acknowledges by a frame; it begins with what is new.
    let mut tablet = socket(&address, 7, "tablet").await;
    tablet.expect("subscribed").await;
    notify(&hub, 4..=4).await;
    let fourth = tablet.expect("pub").await;
    let position = json!({ "topic": "user:7", "epoch": fourth["epoch"], "offset": 4 });
    tablet
        .send(json!({ "type": "ack", "pattern": "user:7", "positions": [position] }))
        .await;
    let both = [("phone".to_owned(), 2), ("tablet".to_owned(), 4)];
    eventually("it is stored", async || devices(&address, 7).await == both).await;
    assert_eq!(devices(&address, 8).await, []);

    // A user forgets their own only.
    let forget = "DELETE /user/devices?device=phone";
    let others = ask(&address, forget, 8).await;
    assert_eq!(others.json(), json!({ "forgotten": 0 }));
    drop(phone);
    let own = ask(&address, forget, 7).await;
    assert_eq!(own.json(), json!({ "forgotten": 1 }));
    assert_eq!(devices(&address, 7).await, both[1..]);
    let mut anew = notifications(&address, 7, "phone", None).await;
    assert_eq!(anew.next().await.unwrap().data["data"], 4);
    // The application forgets, too.
    let tablet = DurableName::new("tablet").unwrap();
    assert_eq!(hub.forget_device("7", &tablet).await.unwrap(), 1);
    let left = hub.devices("7").await.unwrap();
    let left: Vec<&str> = left.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(left, ["phone"]);
}

#[tokio::test]
async fn devices_come_and_go_where_topics_live_in_the_process() {
    let (hub, address) = asking(Hub::new).await;
    devices_come_and_go(hub, address).await;
}

#[tokio::test]
async fn devices_come_and_go_where_topics_live_in_a_backend() {
    let backend = Arc::new(Memory::new(Keep::default()));
    let (hub, address) = asking(|config| Hub::with_backend(config, backend)).await;
    devices_come_and_go(hub, address).await;
}

#[tokio::test]
async fn whoever_is_nobody_has_no_devices() {
    let (_hub, address) = asking(Hub::new).await;
    let nobody = request(&address, "GET /user/devices", "", String::new()).await;
    assert_eq!(nobody.status, 401);
    let nameless = ask(&address, "DELETE /user/devices", 7).await;
    assert_eq!(nameless.error(), (400, "bad_frame".to_owned()));
    let (_hub, open) = crate::support::served_hub().await;
    let nobody = request(&open, "GET /user/devices", "", String::new()).await;
    assert_eq!(nobody.error(), (403, "forbidden".to_owned()));
}
