//! Offsets, epochs and batches.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use tidegate_core::hub::PublishError;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::{POSITION_MAX, Position};

use super::peer::offsets;
use super::{Peer, Place, request};

/// The first publication has offset 1, and each following one the next, whichever process publishes.
pub async fn offsets_rise_by_one_from_one<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    let first = here.publish("job:1", "1").await;
    assert_eq!(first.offset, 1);
    for offset in 2..10 {
        let publisher = if offset % 2 == 0 { &there } else { &here };
        let position = publisher.publish("job:1", "1").await;
        assert_eq!(position, Position { offset, ..first });
    }
    assert_eq!(here.publish("job:2", "1").await.offset, 1);
}

/// Each topic has an epoch of its own, which can be any number in the range.
pub async fn epochs_are_random_and_in_range<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let mut epochs = BTreeSet::new();
    for number in 0..16 {
        let epoch = here.publish(&format!("job:{number}"), "1").await.epoch;
        assert!((1..=POSITION_MAX).contains(&epoch), "{epoch}");
        epochs.insert(epoch);
    }
    assert_eq!(epochs.len(), 16, "{epochs:?}");
    let (first, last) = (epochs.first().expect("16"), epochs.last().expect("16"));
    assert!(last - first > POSITION_MAX / 8, "not spread: {epochs:?}");
}

/// The order of a batch is the order in its topics.
pub async fn a_batch_is_stored_in_its_order<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let batch = [
        request("job:1", "\"a\""),
        request("job:2", "\"b\""),
        request("job:1", "\"c\""),
        request("job:1", "\"d\""),
        request("job:2", "\"e\""),
    ];
    let results = here.publish_batch(&batch).await;
    let offsets: Vec<u64> = results
        .iter()
        .map(|result| result.as_ref().expect("stored").offset)
        .collect();
    assert_eq!(offsets, [1, 1, 2, 3, 2]);
    let kept = here.read("job:1", Some(Position::default())).await;
    let texts: Vec<&str> = kept
        .publications
        .iter()
        .map(|p| p.payload.as_str())
        .collect();
    assert_eq!(texts, ["\"a\"", "\"c\"", "\"d\""]);
}

/// A refused request does not stop the others, and each request sees the effects of those before it.
pub async fn a_batch_answers_each_request_by_itself<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    here.end("job:over", EndReason::Failed).await;
    let end = PublishRequest {
        end: Some(EndReason::Complete.into()),
        ..request("job:1", "3")
    };
    let again = PublishRequest {
        restart: true,
        ..request("job:1", "4")
    };
    let batch = [
        request("job:over", "0"),
        request("job:1", "1"),
        request("job:over", "0"),
        request("job:1", "2"),
        end,
        request("job:1", "0"),
        again,
        request("job:1", "5"),
    ];
    let results = here.publish_batch(&batch).await;
    let failed = Err(PublishError::Ended(EndReason::Failed));
    let complete = Err(PublishError::Ended(EndReason::Complete));
    let stored = |index: usize| *results[index].as_ref().expect("stored");
    assert_eq!((&results[0], &results[2]), (&failed, &failed));
    assert_eq!(results[5], complete);
    assert_eq!(
        [1, 3, 4, 6, 7].map(|index| stored(index).offset),
        [1, 2, 3, 1, 2]
    );
    assert_eq!(stored(1).epoch, stored(4).epoch);
    assert_eq!(stored(6).epoch, stored(7).epoch);
    assert_ne!(stored(4).epoch, stored(6).epoch);
    assert_eq!(
        here.offsets("job:1", Some(Position::default())).await,
        [1, 2]
    );
}

/// An empty batch has an empty answer.
pub async fn a_batch_of_nothing_is_answered<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    assert_eq!(here.publish_batch(&[]).await, []);
    assert_eq!(here.publish("job:1", "1").await.offset, 1);
}

/// A batch may be large, and may hold as many topics.
pub async fn a_batch_of_a_thousand_is_stored_whole<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let batch: Vec<_> = (0..1_000)
        .map(|number| request(&format!("job:{}", number % 500), &number.to_string()))
        .collect();
    let results = here.publish_batch(&batch).await;
    for (number, result) in results.into_iter().enumerate() {
        let offset = if number < 500 { 1 } else { 2 };
        assert_eq!(result.expect("stored").offset, offset, "request {number}");
    }
    let kept = here.read("job:499", Some(Position::default())).await;
    let texts: Vec<&str> = kept
        .publications
        .iter()
        .map(|p| p.payload.as_str())
        .collect();
    assert_eq!(texts, ["499", "999"]);
}

/// However many publish at the same time, each offset is given once, and reading confirms every answer.
pub async fn publishers_at_the_same_time_share_one_order<P: Place>() {
    const PUBLISHERS: usize = 8;
    const EACH: usize = 20;
    let (_place, peers) = Peer::start::<P, 2>().await;
    let peers = peers.map(Arc::new);
    let tasks = (0..PUBLISHERS).map(|publisher| {
        let peer = Arc::clone(&peers[publisher % 2]);
        tokio::spawn(async move {
            let mut positions = Vec::new();
            for number in 0..EACH {
                let text = format!("[{publisher},{number}]");
                positions.push((peer.publish("job:1", &text).await, text));
            }
            positions
        })
    });
    let mut answered = Vec::new();
    for task in join_all(tasks).await {
        let positions = task.expect("the publisher succeeds");
        assert!(positions.is_sorted_by_key(|(position, _)| position.offset));
        answered.extend(positions);
    }
    answered.sort_by_key(|(position, _)| position.offset);
    let kept = peers[0].read("job:1", Some(Position::default())).await;
    let expected: Vec<u64> = (1..).take(PUBLISHERS * EACH).collect();
    assert_eq!(offsets(&kept.publications), expected);
    for ((position, text), kept) in answered.iter().zip(&kept.publications) {
        assert_eq!(
            (*position, text.as_str()),
            (kept.position, kept.payload.as_str())
        );
    }
}

/// Batches of the same topics, in different orders, neither lose their order nor deadlock.
pub async fn batches_at_the_same_time_keep_their_order<P: Place>() {
    const TOPICS: usize = 20;
    let (_place, peers) = Peer::start::<P, 2>().await;
    let peers = peers.map(Arc::new);
    let tasks = (0..8).map(|publisher| {
        let peer = Arc::clone(&peers[publisher % 2]);
        let mut batch: Vec<_> = (0..2 * TOPICS)
            .map(|number| request(&format!("job:{}", number % TOPICS), "1"))
            .collect();
        if publisher % 4 < 2 {
            batch.reverse();
        }
        tokio::spawn(async move {
            let results = peer.publish_batch(&batch).await;
            for (request, result) in batch.iter().zip(&results) {
                let earlier = batch
                    .iter()
                    .zip(&results)
                    .find(|(r, _)| r.topic == request.topic);
                let (first, this) = (earlier.expect("itself at least").1, result);
                assert!(
                    first.as_ref().expect("stored").offset <= this.as_ref().expect("stored").offset
                );
            }
        })
    });
    for task in join_all(tasks).await {
        task.expect("the publisher succeeds");
    }
    let expected: Vec<u64> = (1..=16).collect();
    for number in 0..TOPICS {
        let topic = format!("job:{number}");
        assert_eq!(
            peers[0].offsets(&topic, Some(Position::default())).await,
            expected
        );
    }
}
