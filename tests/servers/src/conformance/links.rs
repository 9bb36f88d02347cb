//! Opening, closing, and cleaning up.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tidegate::backend::Keep;
use tidegate_core::publication::Position;
use tokio::runtime::Handle;

use super::peer::is_refused;
use super::{Peer, Place, in_time, request};
use tidegate_tests::{pattern, topic};

/// It can be probed, and describes itself.
pub async fn an_open_backend_answers<P: Place>() {
    let (place, [here]) = Peer::start::<P, 1>().await;
    in_time("probing", here.backend.probe())
        .await
        .expect("it is there");
    assert!(!here.backend.describe().is_empty());
    assert_eq!(here.backend.describe(), place.backend().await.describe());
}

/// Reopening is what happens after a loss: the core then follows everything again.
pub async fn an_opened_one_follows_nothing_and_leaves_the_old_feed<P: Place>() {
    let (place, [publisher]) = Peer::start::<P, 1>().await;
    let backend = place.backend().await;
    let mut old = Peer::open_backend(Arc::clone(&backend)).await;
    old.follow(&["job:*"]).await;
    let first = publisher.publish("job:1", "1").await;
    old.hear("job:1", &[first]).await;
    let mut new = Peer::open_backend(backend).await;
    let unheard = publisher.publish("job:1", "2").await;
    new.follow(&["job:1"]).await;
    let third = publisher.publish("job:1", "3").await;
    new.hear("job:1", &[third]).await;
    let offsets: Vec<u64> = old
        .heard()
        .iter()
        .map(|heard| heard.position.offset)
        .collect();
    assert_eq!(
        offsets,
        [1],
        "nothing more comes to the old feed, not even {unheard}"
    );
    assert_eq!(new.offsets("job:1", Some(first)).await, [2, 3]);
}

/// Calls are refused, nothing is heard, and all of its tasks are gone.
pub async fn a_closed_one_does_nothing_and_leaves_no_task<P: Place>() {
    let (place, [publisher]) = Peer::start::<P, 1>().await;
    // All tasks of the publisher are running by now.
    publisher.publish("job:1", "0").await;
    let backend = place.backend().await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let mut peer = Peer::open_backend(Arc::clone(&backend)).await;
    peer.follow(&["job:*"]).await;
    let first = publisher.publish("job:1", "1").await;
    peer.hear("job:1", &[first]).await;
    peer.close().await;
    publisher.publish("job:1", "2").await;
    let (job, jobs) = (topic("job:1"), pattern("job:*"));
    let batch = [request("job:1", "3")];
    assert!(is_refused(in_time("a call", backend.publish(&batch)).await));
    assert!(is_refused(
        in_time("a call", backend.follow(std::slice::from_ref(&jobs))).await
    ));
    assert!(is_refused(
        in_time("a call", backend.read(&job, None)).await
    ));
    assert!(is_refused(in_time("a call", backend.list(&jobs)).await));
    assert!(is_refused(
        in_time("a call", backend.renew(&job, first.epoch)).await
    ));
    assert!(is_refused(in_time("a call", backend.probe()).await));
    assert_eq!(peer.heard().len(), 1);
    in_time("ending its tasks", async {
        while tasks() > before {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Closing is not final.
pub async fn a_closed_one_can_be_opened_again<P: Place>() {
    let (place, [publisher]) = Peer::start::<P, 1>().await;
    let backend = place.backend().await;
    let mut known = Position::default();
    for number in 0..3 {
        let mut peer = Peer::open_backend(Arc::clone(&backend)).await;
        assert_eq!(
            peer.offsets("job:1", Some(known)).await.len(),
            number.min(1)
        );
        peer.follow(&["job:1"]).await;
        let heard = publisher.publish("job:1", "1").await;
        peer.hear("job:1", &[heard]).await;
        peer.close().await;
        known = heard;
        publisher.publish("job:1", "2").await;
    }
}

/// Topics belong to the store.
pub async fn what_was_published_outlives_its_publisher<P: Place>() {
    let place = P::start(Keep::default()).await;
    let first = Peer::open(&place).await;
    let top = *first
        .publish_numbers("job:1", 3)
        .await
        .last()
        .expect("three");
    let repeated = first.publish_with_key("job:2", "1", "a").await;
    first.close().await;
    drop(first);
    let second = Peer::open(&place).await;
    assert_eq!(
        second.offsets("job:1", Some(Position::default())).await,
        [1, 2, 3]
    );
    let next = second.publish("job:1", "4").await;
    assert_eq!(next, Position { offset: 4, ..top });
    assert_eq!(second.publish_with_key("job:2", "1", "a").await, repeated);
}

/// The caller may give up: what follows must be as if the call had never been made, or had been completed.
pub async fn a_call_may_be_dropped<P: Place>() {
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    let (job, jobs) = (topic("job:1"), pattern("job:*"));
    let batch = [request("job:1", "1"), request("job:2", "1")];
    for _ in 0..10 {
        // It does not matter whether they were answered.
        drop(here.backend.publish(&batch).now_or_never());
        drop(
            here.backend
                .follow(std::slice::from_ref(&jobs))
                .now_or_never(),
        );
        drop(here.backend.read(&job, None).now_or_never());
        drop(here.backend.list(&jobs).now_or_never());
        drop(
            here.backend
                .unfollow(std::slice::from_ref(&jobs))
                .now_or_never(),
        );
        drop(here.backend.probe().now_or_never());
    }
    there.follow(&["job:1"]).await;
    let mut positions = vec![here.publish("job:1", "2").await];
    positions.push(here.publish("job:1", "3").await);
    there.hear("job:1", &positions).await;
    let kept = here.offsets("job:1", Some(Position::default())).await;
    assert!(
        positions
            .iter()
            .all(|position| kept.contains(&position.offset))
    );
}
