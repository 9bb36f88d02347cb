//! Who is present, as WebSocket clients and applications see it.

use crate::support;
use std::sync::Arc;

use crate::support::socket::Socket;
use crate::support::{config, serve, served_hub, served_hub_with, within};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tidegate::backend::{Keep, Memory};
use tidegate::core::presence::{KeyChange, KeyChangeKind, TrackError};
use tidegate::{Hub, Json, PresenceChanges, PresenceError};

fn track(reference: u64, key: &str, data: Value) -> Value {
    json!({"type": "track", "ref": reference, "topic": "doc:7", "key": key, "data": data})
}

fn watch() -> Value {
    json!({"type": "watch", "ref": 1000, "topic": "doc:7"})
}

/// The keys of a list of presences, in its order.
fn keys(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap();
    list.iter().map(|it| it["key"].as_str().unwrap()).collect()
}

/// Reads diffs until these have joined and left, in alphabetical order.
async fn until(socket: &mut Socket, joins: &[&str], leaves: &[&str]) {
    let (mut came, mut went) = (Vec::new(), Vec::new());
    while came.len() < joins.len() || went.len() < leaves.len() {
        let diff = socket.expect("presence_diff").await;
        came.extend(keys(&diff["joins"]).into_iter().map(str::to_owned));
        went.extend(keys(&diff["leaves"]).into_iter().map(str::to_owned));
    }
    came.sort();
    went.sort();
    assert_eq!(came, joins);
    assert_eq!(went, leaves);
}

#[tokio::test]
async fn a_watcher_is_told_the_state_and_then_who_comes_and_goes() {
    let (_hub, address) = served_hub().await;
    let mut ada = Socket::open(&address).await;
    ada.send(track(1, "ada", json!({"device": "phone"}))).await;
    ada.send(watch()).await;
    let state = ada.expect("presence_state").await;
    assert_eq!(state["topic"], "doc:7");
    assert_eq!(keys(&state["present"]), ["ada"]);
    assert_eq!(state["present"][0]["data"], json!({"device": "phone"}));
    let mut bob = Socket::open(&address).await;
    bob.send(track(1, "bob", json!(null))).await;
    until(&mut ada, &["bob"], &[]).await;
    bob.send(json!({"type": "untrack", "ref": 1})).await;
    until(&mut ada, &[], &["bob"]).await;
    bob.send(track(2, "bob", json!(2))).await;
    until(&mut ada, &["bob"], &[]).await;
    drop(bob);
    until(&mut ada, &[], &["bob"]).await;
    ada.send(json!({"type": "unwatch", "topic": "doc:7"})).await;
    ada.send(watch()).await;
    let state = ada.expect("presence_state").await;
    assert_eq!(keys(&state["present"]), ["ada"]);
}

#[tokio::test]
async fn a_refused_presence_is_an_error_about_its_number() {
    let (_hub, address) = served_hub_with(|config| {
        config.presence.limits.session_tracks_max = 1;
    })
    .await;
    let mut socket = Socket::open(&address).await;
    socket.send(track(1, "ada", json!(1))).await;
    socket.send(track(2, "ada", json!(2))).await;
    let error = socket.expect("error").await;
    assert_eq!(
        (&error["code"], &error["ref"]),
        (&json!("too_many_presences"), &json!(2))
    );
    socket.send(track(3, "", json!(3))).await;
    let error = socket.expect("error").await;
    assert_eq!(error["code"], "bad_frame");
}

#[tokio::test]
async fn all_watchers_are_told_the_same_by_the_hub_too() {
    let (hub, address) = served_hub().await;
    let doc = hub.presence("doc:7").unwrap();
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let mut socket = Socket::open(&address).await;
        socket.send(watch()).await;
        assert_eq!(socket.expect("presence_state").await["present"], json!([]));
        sockets.push(socket);
    }
    let tracked = doc
        .track("ada", &json!({"device": "tablet"}))
        .await
        .unwrap();
    let mut told = Vec::new();
    for socket in &mut sockets {
        told.push(socket.expect("presence_diff").await);
    }
    assert!(told.iter().all(|diff| *diff == told[0]));
    assert_eq!(told[0]["joins"][0]["data"], json!({"device": "tablet"}));
    drop(tracked);
    for socket in &mut sockets {
        until(socket, &[], &["ada"]).await;
    }
}

async fn next(changes: &mut PresenceChanges) -> Vec<KeyChange<Json>> {
    within("a change", changes.next()).await.unwrap()
}

#[tokio::test]
async fn an_application_tracks_lists_and_watches() {
    let hub = Hub::new(config()).unwrap();
    let doc = hub.presence("doc:7").unwrap();
    assert!(doc.list().await.unwrap().is_empty());
    let mut changes = doc.watch().await.unwrap();
    assert_eq!(next(&mut changes).await, []);
    let phone = doc.track("ada", &"phone").await.unwrap();
    let joined = next(&mut changes).await;
    assert_eq!(joined[0].kind, KeyChangeKind::Joined);
    let tablet = doc.track("ada", &"tablet").await.unwrap();
    let metas: Vec<String> = doc
        .list()
        .await
        .unwrap()
        .iter()
        .map(|it| it.meta.to_string())
        .collect();
    assert_eq!(metas, [r#""phone""#, r#""tablet""#]);
    assert_eq!(next(&mut changes).await[0].kind, KeyChangeKind::Updated);
    drop(phone);
    assert_eq!(next(&mut changes).await[0].kind, KeyChangeKind::Updated);
    drop(tablet);
    assert_eq!(next(&mut changes).await[0].kind, KeyChangeKind::Left);
    assert!(changes.present().is_empty());
    hub.stop();
    assert!(within("the end", changes.next()).await.is_none());
    assert!(matches!(
        doc.track("ada", &1).await,
        Err(PresenceError::Stopped(_))
    ));
}

#[tokio::test]
async fn what_an_application_may_not_track_is_refused() {
    let hub = support::hub_with(|config| config.presence.limits.topic_metas_max = 1);
    assert!(matches!(
        hub.presence("doc 7"),
        Err(PresenceError::Topic(_))
    ));
    let doc = hub.presence("doc:7").unwrap();
    assert!(matches!(
        doc.track("", &1).await,
        Err(PresenceError::Key(_))
    ));
    let _ada = doc.track("ada", &1).await.unwrap();
    let full = doc.track("bob", &1).await;
    assert!(matches!(
        full,
        Err(PresenceError::Refused(TrackError::TopicFull {
            metas_max: 1
        }))
    ));
    // Nothing of the refused one is left.
    support::until_counts(&hub, 1, 0).await;
}

/// Two servers of one store, and their addresses.
async fn two_servers() -> [(Hub, String); 2] {
    let backend = Memory::new(Keep::default());
    let hub = || Hub::with_backend(config(), Arc::new(backend.share())).unwrap();
    let (here, there) = (hub(), hub());
    let here_at = serve(tidegate::axum::router(here.clone())).await;
    let there_at = serve(tidegate::axum::router(there.clone())).await;
    [(here, here_at), (there, there_at)]
}

#[tokio::test]
async fn the_same_key_at_two_servers_joins_once_and_leaves_once() {
    let [(_here, here_at), (there, there_at)] = two_servers().await;
    let doc = there.presence("doc:7").unwrap();
    let mut changes = doc.watch().await.unwrap();
    assert_eq!(next(&mut changes).await, []);
    let mut sockets = Vec::new();
    for address in [&here_at, &there_at, &here_at, &there_at] {
        let mut socket = Socket::open(address).await;
        socket.send(track(1, "ada", json!(sockets.len()))).await;
        sockets.push(socket);
    }
    let mut kinds = Vec::new();
    while changes.present().metas_len() < 4 {
        kinds.extend(
            next(&mut changes)
                .await
                .into_iter()
                .map(|change| change.kind),
        );
    }
    drop(sockets);
    while !changes.present().is_empty() {
        kinds.extend(
            next(&mut changes)
                .await
                .into_iter()
                .map(|change| change.kind),
        );
    }
    let count = |kind| kinds.iter().filter(|it| **it == kind).count();
    assert_eq!(
        (count(KeyChangeKind::Joined), count(KeyChangeKind::Left)),
        (1, 1),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn a_server_that_stops_takes_its_users_with_it() {
    let [(here, here_at), (_there, there_at)] = two_servers().await;
    let mut ada = Socket::open(&here_at).await;
    ada.send(track(1, "ada", json!(1))).await;
    let mut watcher = Socket::open(&there_at).await;
    watcher.send(watch()).await;
    let state = watcher.expect("presence_state").await;
    if state["present"] == json!([]) {
        until(&mut watcher, &["ada"], &[]).await;
    }
    here.stop();
    until(&mut watcher, &[], &["ada"]).await;
}
