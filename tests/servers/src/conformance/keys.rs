//! Idempotency keys: a publish that is repeated with the same one happens once.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tidegate::Json;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::limits::{IDEMPOTENCY_KEY_BYTES_MAX, IDEMPOTENCY_KEYS_MAX};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;

use super::{Peer, Place, request};

fn with_key(to: &str, text: &str, key: &str) -> PublishRequest<Json> {
    PublishRequest {
        id: Some(key.to_owned()),
        ..request(to, text)
    }
}

/// The first one counts, whatever was published in between and whatever the repetition contains.
pub async fn a_repeated_request_answers_the_first_position<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let first = here.publish_with_key("job:1", "1", "a").await;
    here.publish("job:1", "2").await;
    here.publish_with_key("job:1", "3", "b").await;
    assert_eq!(here.publish_with_key("job:1", "4", "a").await, first);
    let kept = here.read("job:1", Some(Position::default())).await;
    let texts: Vec<&str> = kept
        .publications
        .iter()
        .map(|p| p.payload.as_str())
        .collect();
    assert_eq!(texts, ["1", "2", "3"]);
}

/// The store remembers keys, not the publishing process.
pub async fn a_request_repeated_elsewhere_answers_the_first_position<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    let first = here.publish_with_key("job:1", "1", "a").await;
    assert_eq!(there.publish_with_key("job:1", "1", "a").await, first);
    assert_eq!(there.offsets("job:1", Some(Position::default())).await, [1]);
}

/// A batch may hold the repetition, too.
pub async fn a_request_repeated_within_a_batch_answers_the_first_position<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let batch = [
        with_key("job:1", "1", "a"),
        request("job:1", "2"),
        with_key("job:1", "1", "a"),
    ];
    let results = here.publish_batch(&batch).await;
    assert_eq!(results[0], results[2]);
    assert_eq!(
        here.offsets("job:1", Some(Position::default())).await,
        [1, 2]
    );
}

/// Repeating the publish that ended a topic returns its position, not an error that the topic has ended.
pub async fn a_repeated_end_answers_the_first_position<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let mut end = with_key("job:1", "1", "a");
    end.end = Some(EndReason::Complete.into());
    let first = here.try_publish(end.clone()).await;
    assert!(first.is_ok());
    assert_eq!(here.try_publish(end).await, first);
    assert_eq!(here.offsets("job:1", Some(Position::default())).await, [1]);
}

/// The original was published before the restart, so its repetition must neither end the topic again nor restart it.
pub async fn a_request_repeated_after_a_restart_answers_the_first_position<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let mut end = with_key("job:1", "1", "a");
    end.end = Some(EndReason::Complete.into());
    let first = here.try_publish(end.clone()).await;
    let mut restart = with_key("job:1", "2", "b");
    restart.restart = true;
    let second = here.try_publish(restart.clone()).await;
    assert_eq!(here.try_publish(end).await, first);
    assert_eq!(here.try_publish(restart).await, second);
    assert_eq!(here.offsets("job:1", Some(Position::default())).await, [1]);
    assert_eq!(here.publish("job:1", "3").await.offset, 2);
}

/// The same key can be used for another topic.
pub async fn a_key_belongs_to_its_topic<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let first = here.publish_with_key("job:1", "1", "a").await;
    let second = here.publish_with_key("job:2", "1", "a").await;
    assert_ne!(first, second);
    assert_eq!(here.offsets("job:2", Some(Position::default())).await, [1]);
}

/// Keys are texts, up to their limit; nothing in them means anything.
pub async fn keys_may_be_long_and_of_any_script<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let longest = "k".repeat(IDEMPOTENCY_KEY_BYTES_MAX);
    let keys = [
        "", " ", "0", "00", "a'b", "a\\b", "{a}", "%", "ключ", "🔑", "a\tb", "A", "a", &longest,
    ];
    let mut positions = Vec::new();
    for key in keys {
        positions.push(here.publish_with_key("job:1", "1", key).await);
    }
    let offsets: Vec<u64> = positions.iter().map(|position| position.offset).collect();
    assert_eq!(offsets, (1..).take(keys.len()).collect::<Vec<u64>>());
    for (key, position) in keys.iter().zip(positions) {
        assert_eq!(
            here.publish_with_key("job:1", "1", key).await,
            position,
            "{key:?}"
        );
    }
}

/// Only a limited number of a topic's latest keys is remembered.
pub async fn as_many_keys_as_a_topic_remembers_are_remembered<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let batch: Vec<_> = (0..IDEMPOTENCY_KEYS_MAX)
        .map(|number| with_key("job:1", "1", &number.to_string()))
        .collect();
    let first = here.publish_batch(&batch).await;
    assert_eq!(here.publish_batch(&batch).await, first);
}

/// Of many simultaneous publishes with the same key, one is stored.
pub async fn repeats_at_the_same_time_are_stored_once<P: Place>() {
    let (_place, peers) = Peer::start::<P, 2>().await;
    let peers = peers.map(Arc::new);
    let tasks = (0..8).map(|publisher| {
        let peer = Arc::clone(&peers[publisher % 2]);
        tokio::spawn(async move { peer.publish_with_key("job:1", "1", "a").await })
    });
    let positions: Vec<Position> = join_all(tasks)
        .await
        .into_iter()
        .map(|task| task.expect("the publisher succeeds"))
        .collect();
    assert!(
        positions.iter().all(|position| *position == positions[0]),
        "{positions:?}"
    );
    assert_eq!(
        peers[1].offsets("job:1", Some(Position::default())).await,
        [1]
    );
}

/// A dropped call may publish all of its batch, a part of it, or nothing, now or a little later. Repeating the batch
/// with the same keys completes it.
pub async fn a_batch_whose_answer_was_lost_may_be_repeated<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    let batch: Vec<_> = (0..10)
        .map(|number| with_key("job:1", &number.to_string(), &number.to_string()))
        .collect();
    let begun = here.backend.publish(&batch).now_or_never();
    assert!(begun.is_none_or(|answer| answer.is_ok()));
    let repeated = here.publish_batch(&batch).await;
    let again = there.publish_batch(&batch).await;
    assert_eq!(repeated, again);
    let mut kept = there.offsets("job:1", Some(Position::default())).await;
    let mut answered: Vec<u64> = again
        .into_iter()
        .map(|r| r.expect("stored").offset)
        .collect();
    answered.sort_unstable();
    kept.dedup();
    assert_eq!(answered, (1..=10).collect::<Vec<u64>>());
    assert_eq!(kept, answered);
}
