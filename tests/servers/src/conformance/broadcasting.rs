//! Broadcasts, and the presences that hubs exchange by them.

use futures_util::StreamExt as _;
use tidegate::backend::Keep;
use tidegate::core::presence::KeyChangeKind;
use tidegate::{Config, Hub, PresenceChanges};

use super::peer::is_refused;
use super::{Peer, Place, in_time};

/// In order, as long as nothing breaks. The sender may hear its own broadcasts or not.
pub async fn what_is_broadcast_is_heard_by_all_others<P: Place>() {
    let (_place, [here, mut there, mut elsewhere]) = Peer::start::<P, 3>().await;
    let said: Vec<String> = (0..20).map(|number| format!("\"{number} é '\"")).collect();
    for message in &said {
        here.broadcast(message).await;
    }
    assert_eq!(there.hear_broadcasts(&said[19]).await, said);
    assert_eq!(elsewhere.hear_broadcasts(&said[19]).await, said);
    there.broadcast("1").await;
    elsewhere.hear_broadcasts("1").await;
}

/// Of the size that the backend states as its limit.
pub async fn the_largest_broadcast_is_heard<P: Place>() {
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    let bytes_max = here.backend.broadcast_bytes_max().expect("it broadcasts");
    assert!(bytes_max >= 7_900);
    let largest = "x".repeat(bytes_max);
    here.broadcast(&largest).await;
    assert_eq!(there.hear_broadcasts(&largest).await.len(), 1);
}

/// Broadcasts are not stored.
pub async fn what_was_broadcast_before_is_not_heard<P: Place>() {
    let (place, [here]) = Peer::start::<P, 1>().await;
    here.broadcast("before").await;
    let mut late = Peer::open(&place).await;
    here.broadcast("after").await;
    assert_eq!(late.hear_broadcasts("after").await, ["after"]);
}

/// As for any other call.
pub async fn a_closed_one_broadcasts_nothing<P: Place>() {
    let (place, [mut there]) = Peer::start::<P, 1>().await;
    let here = Peer::open(&place).await;
    here.close().await;
    let said = in_time("a call", here.backend.broadcast("closed")).await;
    assert!(is_refused(said));
    Peer::open(&place).await.broadcast("open").await;
    assert_eq!(there.hear_broadcasts("open").await, ["open"]);
}

/// More of them than one broadcast holds, with metas as large as they may be.
pub async fn hubs_tell_each_other_who_is_present<P: Place>() {
    let place = P::start(Keep::default()).await;
    let (here, there) = (hub(&place).await, hub(&place).await);
    let meta = serde_json::json!({"text": "\"".repeat(1_900)});
    let doc = here.presence("doc:7").expect("a topic");
    let mut tracked = Vec::new();
    for number in 0..50 {
        let key = format!("\"{number}");
        tracked.push(doc.track(&key, &meta).await.expect("there is room"));
    }
    let mut changes = watch(&there).await;
    until(&mut changes, 50).await;
    assert_eq!(doc.list().await.expect("it runs").len(), 50);
    let twice = there.presence("doc:7").expect("a topic");
    let _twice = twice.track("\"0", &1).await.expect("there is room");
    drop(tracked);
    let left = until(&mut changes, 1).await;
    assert_eq!(left, 49, "who is still present elsewhere has not left");
}

/// At once, rather than after a timeout.
pub async fn a_hub_that_stops_takes_its_presences_with_it<P: Place>() {
    let place = P::start(Keep::default()).await;
    let (here, there) = (hub(&place).await, hub(&place).await);
    let doc = here.presence("doc:7").expect("a topic");
    let _ada = doc.track("ada", &1).await.expect("there is room");
    let mut changes = watch(&there).await;
    until(&mut changes, 1).await;
    here.stop();
    here.stopped().await;
    let stopped = std::time::Instant::now();
    assert_eq!(until(&mut changes, 0).await, 1);
    let silence = Config::default().server.presence.down_after;
    assert!(stopped.elapsed() < silence / 2, "{:?}", stopped.elapsed());
}

async fn hub(place: &impl Place) -> Hub {
    Hub::with_backend(Config::default(), place.backend().await).expect("a hub starts")
}

async fn watch(hub: &Hub) -> PresenceChanges {
    let doc = hub.presence("doc:7").expect("a topic");
    doc.watch().await.expect("it runs")
}

/// Reads on until this many metas are present, and counts the keys that left.
async fn until(changes: &mut PresenceChanges, metas: usize) -> usize {
    let mut left = 0;
    loop {
        let change = in_time("a change", changes.next()).await;
        let change = change.expect("the hub runs");
        let is_leave = |change: &&_| {
            matches!(
                change,
                &&tidegate::core::presence::KeyChange {
                    kind: KeyChangeKind::Left,
                    ..
                }
            )
        };
        left += change.iter().filter(is_leave).count();
        if changes.present().metas_len() == metas {
            return left;
        }
    }
}
