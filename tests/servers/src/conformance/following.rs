//! Followed topics and patterns are heard: every publication, in order, at least once.

use std::sync::Arc;

use futures_util::future::join_all;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::PublishRequest;

use super::listing::SPECIAL;
use super::{Peer, Place, publication_of, request};

/// By the publishing process, and by any other.
pub async fn a_topic_is_heard_wherever_it_is_followed<P: Place>() {
    let (_place, [mut here, mut there, mut elsewhere]) = Peer::start::<P, 3>().await;
    for peer in [&here, &there, &elsewhere] {
        peer.follow(&["job:1"]).await;
    }
    let mut positions = Vec::new();
    for (publisher, text) in [(&here, "1"), (&there, "2"), (&elsewhere, "3"), (&here, "4")] {
        positions.push(publisher.publish("job:1", text).await);
    }
    for peer in [&mut here, &mut there, &mut elsewhere] {
        let heard = peer.hear("job:1", &positions).await;
        for ((publication, position), number) in heard.iter().zip(&positions).zip(1..) {
            let request = request("job:1", &number.to_string());
            assert_eq!(*publication, publication_of(&request, *position));
        }
    }
}

/// Including topics that did not exist when following began.
pub async fn a_pattern_is_heard_wherever_it_is_followed<P: Place>() {
    let (_place, [here, mut there, mut elsewhere]) = Peer::start::<P, 3>().await;
    here.publish("job:0", "0").await;
    there.follow(&["job:*", "*:*:log"]).await;
    elsewhere.follow(&["**"]).await;
    for topic in ["job:0", "job:1", "job:1:log", "task:1:log"] {
        let position = here.publish(topic, "1").await;
        there.hear(topic, &[position]).await;
        elsewhere.hear(topic, &[position]).await;
    }
}

/// However many of the patterns match, each topic keeps its order.
pub async fn what_two_patterns_match_is_heard_in_order<P: Place>() {
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    there.follow(&["job:1", "job:*"]).await;
    there.follow(&["**"]).await;
    let mut positions = here.publish_numbers("job:1", 20).await;
    for number in 0..20 {
        positions.push(here.publish("job:1", &number.to_string()).await);
    }
    there.hear("job:1", &positions).await;
}

/// After the answer, no publication is missed.
pub async fn what_follows_the_answer_is_heard<P: Place>() {
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    for number in 0..20 {
        let topic = format!("job:{number}");
        let pattern = format!("*:{number}:log");
        there.follow(&[&topic, &pattern]).await;
        let log = format!("{topic}:log");
        let batch = [request(&topic, "1"), request(&log, "2")];
        let positions = here.publish_batch(&batch).await;
        for (request, position) in batch.iter().zip(positions) {
            let position = position.expect("stored");
            let heard = there.hear(request.topic.as_str(), &[position]).await;
            assert_eq!(heard, [publication_of(request, position)]);
        }
    }
}

/// Listeners hear the same order, whichever process publishes.
pub async fn publishers_at_the_same_time_are_heard_in_order<P: Place>() {
    let (_place, [here, there, mut listener]) = Peer::start::<P, 3>().await;
    listener.follow(&["job:*"]).await;
    let publishers = [Arc::new(here), Arc::new(there)];
    let tasks = (0..8).map(|publisher| {
        let peer = Arc::clone(&publishers[publisher % 2]);
        tokio::spawn(async move {
            let mut positions = Vec::new();
            for number in 0..20 {
                positions.push(peer.publish("job:1", &number.to_string()).await);
                peer.publish(&format!("job:of:{publisher}"), "1").await;
            }
            positions
        })
    });
    let mut positions = Vec::new();
    for task in join_all(tasks).await {
        positions.extend(task.expect("the publisher succeeds"));
    }
    positions.sort_by_key(|position| position.offset);
    listener.hear("job:1", &positions).await;
}

/// Of a topic and a pattern that matches it, either can be unfollowed alone.
pub async fn what_is_followed_no_more_leaves_the_rest<P: Place>() {
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    there
        .follow(&["job:1", "job:2", "job:*", "task:*", "task:1"])
        .await;
    there.unfollow(&["job:1", "task:*"]).await;
    let by_pattern = here.publish("job:1", "1").await;
    let by_topic = here.publish("task:1", "1").await;
    there.hear("job:1", &[by_pattern]).await;
    there.hear("task:1", &[by_topic]).await;
    there.unfollow(&["job:*"]).await;
    let other = here.publish("job:2", "1").await;
    there.hear("job:2", &[other]).await;
}

/// Following again is like following for the first time.
pub async fn what_is_followed_again_is_heard_again<P: Place>() {
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    for number in 0..10 {
        let text = number.to_string();
        there.follow(&["job:1", "task:*"]).await;
        let heard = here.publish("job:1", &text).await;
        let by_pattern = here.publish("task:1", &text).await;
        there.hear("job:1", &[heard]).await;
        there.hear("task:1", &[by_pattern]).await;
        there.unfollow(&["task:*", "job:1"]).await;
        here.publish("job:1", &text).await;
        here.publish("task:1", &text).await;
    }
}

/// That has no effect.
pub async fn what_was_not_followed_can_be_unfollowed<P: Place>() {
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    there.unfollow(&["job:2", "task:*", "**"]).await;
    there.follow(&["job:1"]).await;
    there.unfollow(&["job:2", "job:*"]).await;
    there.unfollow(&[]).await;
    there.follow(&[]).await;
    let position = here.publish("job:1", "1").await;
    there.hear("job:1", &[position]).await;
}

/// Across the end, into the new epoch.
pub async fn a_restart_is_heard<P: Place>() {
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    there.follow(&["job:1"]).await;
    let mut positions = vec![here.publish("job:1", "1").await];
    for _ in 0..3 {
        positions.push(here.end("job:1", EndReason::Failed).await);
        let restart = PublishRequest {
            restart: true,
            ..request("job:1", "1")
        };
        positions.push(here.try_publish(restart).await.expect("restarted"));
    }
    there.hear("job:1", &positions).await;
}

/// A followed topic is not a glob.
pub async fn characters_that_are_special_elsewhere_are_plain<P: Place>() {
    let (_place, [here, mut there, mut elsewhere]) = Peer::start::<P, 3>().await;
    there.follow(&SPECIAL).await;
    for name in SPECIAL {
        elsewhere.follow(&[&format!("{name}:*")]).await;
    }
    for name in SPECIAL {
        let position = here.publish(name, "1").await;
        there.hear(name, &[position]).await;
        let below = format!("{name}:log");
        let position = here.publish(&below, "1").await;
        elsewhere.hear(&below, &[position]).await;
    }
}

/// Following many topics works like following few.
pub async fn two_thousand_topics_are_followed<P: Place>() {
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    let names: Vec<String> = (0..2_000).map(|number| format!("job:{number}")).collect();
    let patterns: Vec<&str> = names.iter().map(String::as_str).collect();
    there.follow(&patterns).await;
    let batch: Vec<_> = names.iter().map(|name| request(name, "1")).collect();
    let mut positions = Vec::new();
    for part in batch.chunks(500) {
        positions.extend(here.publish_batch(part).await);
    }
    for (name, position) in names.iter().zip(positions) {
        there.hear(name, &[position.expect("stored")]).await;
    }
    there.unfollow(&patterns).await;
}
