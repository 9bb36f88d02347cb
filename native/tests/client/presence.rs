//! Presences of clients of a server, over real connections that really break.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::place::Place;
use crate::support::program::Server;
use crate::support::{config, eventually, serve, served_hub, until_counts, within};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tidegate::auth::{Authenticate, Authenticating, Credentials, Identity};
use tidegate::backend::{Keep, Memory};
use tidegate::client::{ClientError, ClientOptions, ClientPresenceChanges, Token};
use tidegate::core::presence::KeyChangeKind;
use tidegate::core::protocol::ErrorCode;
use tidegate::{Client, Hub};

const ROOM: &str = "doc:7";

async fn connect(address: &str) -> Client {
    within("a connection", Client::connect(address))
        .await
        .unwrap()
}

/// What changed at once: who, and how.
async fn next(changes: &mut ClientPresenceChanges) -> Vec<(String, KeyChangeKind)> {
    let changes = within("a change", changes.next()).await;
    let changes = changes.expect("the client is open").unwrap();
    let told = changes.into_iter();
    told.map(|change| (change.key.to_string(), change.kind))
        .collect()
}

fn joined(key: &str) -> (String, KeyChangeKind) {
    (key.into(), KeyChangeKind::Joined)
}

fn left(key: &str) -> (String, KeyChangeKind) {
    (key.into(), KeyChangeKind::Left)
}

#[tokio::test]
async fn who_is_tracked_by_one_client_is_seen_by_others_until_the_handle_is_dropped() {
    let (hub, address) = served_hub().await;
    let (writer, watcher) = (connect(&address).await, connect(&address).await);
    let mut changes = watcher.presence(ROOM).unwrap().watch().await.unwrap();
    assert_eq!(next(&mut changes).await, []);
    let room = writer.presence(ROOM).unwrap();
    let phone = json!({"device": "phone"});
    let ada = room.track("ada", &phone).await.unwrap();
    assert_eq!(next(&mut changes).await, [joined("ada")]);
    let here = hub.presence(ROOM).unwrap().list().await.unwrap();
    let meta: Value = here[0].meta.parse().unwrap();
    assert_eq!(meta, phone);
    let mut late = watcher.presence(ROOM).unwrap().watch().await.unwrap();
    assert_eq!(next(&mut late).await, [joined("ada")]);
    drop(ada);
    assert_eq!(next(&mut changes).await, [left("ada")]);
    assert_eq!(next(&mut late).await, [left("ada")]);
}

#[tokio::test]
async fn a_client_that_goes_takes_its_presences_with_it_and_its_watches_end() {
    let (hub, address) = served_hub().await;
    let (leaving, watcher) = (connect(&address).await, connect(&address).await);
    let _ada = leaving
        .presence(ROOM)
        .unwrap()
        .track("ada", &1)
        .await
        .unwrap();
    let mut own = leaving.presence(ROOM).unwrap().watch().await.unwrap();
    assert_eq!(next(&mut own).await, [joined("ada")]);
    let mut changes = watcher.presence(ROOM).unwrap().watch().await.unwrap();
    assert_eq!(next(&mut changes).await, [joined("ada")]);
    leaving.close();
    assert_eq!(next(&mut changes).await, [left("ada")]);
    assert!(within("the end", own.next()).await.is_none());
    let track = leaving.presence(ROOM).unwrap().track("ada", &1).await;
    assert!(matches!(track, Err(ClientError::Closed)));
    until_counts(&hub, 1, 0).await;
}

#[tokio::test]
async fn a_presence_comes_back_with_the_server() {
    let place = Place::new();
    let mut server = Server::start_at(&place.address).await;
    let client = connect(&server.address).await;
    let _ada = client
        .presence(ROOM)
        .unwrap()
        .track("ada", &1)
        .await
        .unwrap();
    let mut changes = client.presence(ROOM).unwrap().watch().await.unwrap();
    assert_eq!(next(&mut changes).await, [joined("ada")]);
    server.kill().await;
    let successor = Server::start_at(&place.address).await;
    let other = connect(&successor.address).await;
    let room = other.presence(ROOM).unwrap();
    eventually("ada is seen by others", async || {
        let mut seen = room.watch().await.unwrap();
        next(&mut seen).await == [joined("ada")]
    })
    .await;
    let _bob = room.track("bob", &2).await.unwrap();
    // For a watcher that was there all the time, Ada has neither left nor joined.
    loop {
        let told = next(&mut changes).await;
        assert!(!told.contains(&left("ada")) && !told.contains(&joined("ada")));
        if told.contains(&joined("bob")) {
            return;
        }
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_told_to_whoever_asked() {
    let (_hub, address) = served_hub().await;
    let client = connect(&address).await;
    let room = client.presence(ROOM).unwrap();
    let mut refused = room.track("ada", &"x".repeat(5_000)).await.unwrap();
    let error = within("a refusal", refused.refused()).await;
    assert_eq!(error.code, ErrorCode::TooLarge);
    let bad = room.track("a\nkey", &1).await;
    assert!(matches!(bad, Err(ClientError::Presence(_))));
}

#[tokio::test]
async fn a_hub_of_this_process_has_presences_and_a_mere_backend_has_none() {
    let hub = Hub::new(Default::default()).unwrap();
    let client = Client::from_hub(hub).unwrap();
    let mut changes = client.presence(ROOM).unwrap().watch().await.unwrap();
    assert_eq!(next(&mut changes).await, []);
    let ada = client
        .presence(ROOM)
        .unwrap()
        .track("ada", &1)
        .await
        .unwrap();
    assert_eq!(next(&mut changes).await, [joined("ada")]);
    drop(ada);
    assert_eq!(next(&mut changes).await, [left("ada")]);
    let backend = Arc::new(Memory::new(Keep::default()));
    let alone = Client::with_backend(backend).unwrap();
    assert!(matches!(alone.presence(ROOM), Err(ClientError::NoPresence)));
}

/// Lets everyone in as ada, who may watch everything from some time on.
struct Later(Arc<AtomicBool>);

impl Authenticate for Later {
    fn authenticate(&self, _: Credentials) -> Authenticating<'_> {
        let pattern = if self.0.load(Ordering::SeqCst) {
            "**"
        } else {
            "other"
        };
        Box::pin(std::future::ready(Ok(Identity {
            user: Some("ada".into()),
            subscribe: vec![pattern.parse().unwrap()],
            ..Identity::default()
        })))
    }
}

#[tokio::test]
async fn a_watch_that_was_refused_takes_none_along_that_came_after_it() {
    let is_allowed = Arc::new(AtomicBool::new(false));
    let mut config = config();
    config.access.authenticate = Some(Arc::new(Later(Arc::clone(&is_allowed))));
    let hub = Hub::new(config).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    let token = Token::ask(async || Ok::<_, String>("ada's".to_owned()));
    let options = ClientOptions::with_token(token);
    let client = Client::connect_with(&address, options).await.unwrap();
    let room = client.presence(ROOM).unwrap();
    let mut refused = room.watch().await.unwrap();
    let answer = within("an answer", refused.next()).await;
    assert!(matches!(answer, Some(Err(ClientError::Refused(_)))));

    is_allowed.store(true, Ordering::SeqCst);
    hub.disconnect("ada").await.unwrap();
    let mut changes = room.watch().await.unwrap();
    assert_eq!(next(&mut changes).await, []);
    drop(refused);
    // The client's task answers in order, so it has taken note of that.
    let _subscribed = client.subscribe("a").await.unwrap();
    let _bob = hub.presence(ROOM).unwrap().track("bob", &1).await.unwrap();
    assert_eq!(next(&mut changes).await, [joined("bob")]);
}
