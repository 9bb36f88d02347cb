//! A hub with several shards acts as one hub: clients of any shard get the same.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::fragile::Fragile;
use crate::support::socket::Socket;
use crate::support::{end, eventually, serve, until_counts, within};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde_json::json;
use tidegate::backend::{Keep, Memory};
use tidegate::core::protocol::{Start, TopicPosition};
use tidegate::core::topic::Topic;
use tidegate::{Config, Event, Hub, Publish, Subscribe, Subscription};

fn shards(count: usize) -> Config {
    Config {
        shards: NonZeroUsize::new(count).unwrap(),
        ..Config::default()
    }
}

fn hub() -> Hub {
    Hub::new(shards(4)).unwrap()
}

/// Enough subscriptions that every shard has some.
async fn everywhere(hub: &Hub, pattern: &str) -> Vec<Subscription> {
    let subscriptions = (0..12).map(|_| hub.subscribe(pattern));
    let subscriptions = join_all(subscriptions).await.into_iter();
    subscriptions.map(Result::unwrap).collect()
}

/// The values until the end of a stream.
async fn values(events: Subscription) -> Vec<String> {
    let publications = events.filter_map(async |event| match event {
        Event::Publication(publication) => Some(publication.payload.to_string()),
        Event::End { .. } => None,
        other => panic!("a publication or the end was expected: {other:?}"),
    });
    within("the end", publications.collect()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_shards_hear_a_topic_in_one_order() {
    let hub = hub();
    let subscriptions = everywhere(&hub, "job:1").await;
    let publishers = (0..4).map(|publisher| {
        let hub = hub.clone();
        tokio::spawn(async move {
            for number in 0..200 {
                let value = format!("{publisher}-{number}");
                hub.publish("job:1", &value).await.unwrap();
            }
        })
    });
    join_all(publishers).await;
    end(&hub, "job:1").await;
    let all = join_all(subscriptions.into_iter().map(values)).await;
    assert_eq!(all[0].len(), 801);
    assert!(all.iter().all(|values| *values == all[0]));
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn what_is_answered_is_visible_at_every_shard() {
    let hub = hub();
    for number in 1..=20 {
        let position = hub.publish("job:1", &number).await.unwrap();
        let latest = hub.latest("job:1").await.unwrap().unwrap();
        assert_eq!(latest.position, position);
        for mut events in everywhere(&hub, "job:*").await {
            let Some(Event::Publication(first)) = within("the latest", events.next()).await else {
                panic!("the latest comes first");
            };
            assert_eq!(first.position, position);
        }
    }
}

#[tokio::test]
async fn a_topic_and_patterns_at_one_shard_are_heard_once_each() {
    let hub = hub();
    let mut all = Vec::new();
    for pattern in ["job:1", "job:*", "**"] {
        all.extend(everywhere(&hub, pattern).await);
    }
    for number in 1..=50_u32 {
        hub.publish("job:1", &number).await.unwrap();
    }
    for events in &mut all {
        for number in 1..=50 {
            match within("a publication", events.next()).await {
                Some(Event::Publication(publication)) => {
                    assert_eq!(publication.payload.parse::<u32>().unwrap(), number);
                }
                other => panic!("publication {number} was expected: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_subscriber_resumes_at_another_shard() {
    let hub = hub();
    let mut positions = Vec::new();
    for number in 1..=10 {
        positions.push(hub.publish("job:1", &number).await.unwrap());
    }
    for _ in 0..8 {
        let since = TopicPosition {
            topic: Topic::new("job:1").unwrap(),
            position: positions[3],
        };
        let options = Subscribe {
            start: Start::Since(vec![since]),
            ..Subscribe::default()
        };
        let events = hub.subscribe_with("job:1", options).await.unwrap();
        let offsets = events.take(6).map(|event| match event {
            Event::Publication(publication) => publication.position.offset,
            other => panic!("a publication was expected: {other:?}"),
        });
        let offsets: Vec<u64> = within("what was missed", offsets.collect()).await;
        assert_eq!(offsets, [5, 6, 7, 8, 9, 10]);
    }
}

#[tokio::test]
async fn an_end_reaches_all_shards_and_a_restart_too() {
    let hub = hub();
    let before = everywhere(&hub, "job:1").await;
    hub.publish("job:1", &1).await.unwrap();
    end(&hub, "job:1").await;
    for values in join_all(before.into_iter().map(values)).await {
        assert_eq!(values, ["1", "\"end\""]);
    }
    let late = everywhere(&hub, "job:1").await;
    for values in join_all(late.into_iter().map(values)).await {
        assert_eq!(values, ["\"end\""]);
    }
    let restart = Publish {
        restart: true,
        ..Publish::default()
    };
    hub.publish_with("job:1", &2, restart).await.unwrap();
    let anew = everywhere(&hub, "job:1").await;
    end(&hub, "job:1").await;
    for values in join_all(anew.into_iter().map(values)).await {
        assert_eq!(values, ["2", "\"end\""]);
    }
}

#[tokio::test]
async fn connections_spread_over_the_shards_and_count_together() {
    let hub = hub();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    let mut sockets = Vec::new();
    for _ in 0..8 {
        let mut socket = Socket::open(&address).await;
        socket.subscribe("job:1", json!({})).await;
        sockets.push(socket);
    }
    until_counts(&hub, 8, 8).await;
    sockets[0]
        .send(json!({"type": "publish", "ref": 1, "topic": "job:1", "data": "x"}))
        .await;
    assert_eq!(sockets[0].expect("published").await["offset"], 1);
    for socket in &mut sockets {
        assert_eq!(socket.expect("pub").await["data"], "x");
    }
    assert_eq!(hub.counts().await.unwrap().hub.topics, 1);
    hub.drain();
    for socket in &mut sockets {
        socket.expect("drain").await;
    }
    drop(sockets);
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn presences_are_those_of_all_shards() {
    let hub = hub();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    let mut sockets = Vec::new();
    for number in 0..8 {
        let mut socket = Socket::open(&address).await;
        let key = format!("user-{number}");
        socket
            .send(json!({"type": "track", "ref": 1, "topic": "doc:7", "key": key, "data": null}))
            .await;
        sockets.push(socket);
    }
    let doc = hub.presence("doc:7").unwrap();
    eventually("all eight", async || doc.list().await.unwrap().len() == 8).await;
    sockets.truncate(3);
    eventually("three", async || doc.list().await.unwrap().len() == 3).await;
}

#[tokio::test]
async fn the_limits_are_the_hubs_not_the_shards() {
    let mut config = shards(4);
    config.server.hub.topics_max = 10;
    config.server.hub.retained_bytes_max = 1_000;
    let hub = Hub::new(config).unwrap();
    for number in 0..10 {
        hub.publish(&format!("job:{number}"), &1).await.unwrap();
    }
    let error = hub.publish("job:10", &1).await.unwrap_err();
    assert!(error.to_string().contains("10 topics"), "{error}");
    let error = hub.publish("job:1", &"x".repeat(999)).await.unwrap_err();
    assert!(error.to_string().contains("1000 bytes"), "{error}");
    // At the limit, a topic keeps only its latest publication.
    for _ in 0..10 {
        hub.publish("job:2", &"x".repeat(400)).await.unwrap();
    }
    assert_eq!(hub.counts().await.unwrap().hub.topics, 10);
}

#[tokio::test]
async fn the_shards_share_one_link_to_a_backend() {
    let backend = Memory::new(Keep::default());
    let hub = Hub::with_backend(shards(4), Arc::new(backend.share())).unwrap();
    let other = Hub::with_backend(shards(2), Arc::new(backend.share())).unwrap();
    let subscriptions = everywhere(&hub, "job:1").await;
    let by_pattern = everywhere(&hub, "job:*").await;
    for number in 1..=20 {
        let from = if number % 2 == 0 { &hub } else { &other };
        from.publish("job:1", &number).await.unwrap();
    }
    end(&other, "job:1").await;
    let all = join_all(subscriptions.into_iter().map(values)).await;
    assert_eq!(all[0].len(), 21);
    assert!(all.iter().all(|values| *values == all[0]));
    drop(by_pattern);
    until_counts(&hub, 0, 0).await;
    hub.stop();
    within("the hub to stop", hub.stopped()).await;
}

#[tokio::test]
async fn all_shards_are_stale_while_the_link_is_lost_and_live_again() {
    let is_away = Arc::new(AtomicBool::new(false));
    let mut config = shards(3);
    config.uplink.probe_every = std::time::Duration::from_millis(20);
    let hub = Hub::with_backend(config, Arc::new(Fragile::new(&is_away))).unwrap();
    let mut subscriptions = everywhere(&hub, "job:1").await;
    hub.publish("job:1", &1).await.unwrap();
    for round in 2..=4 {
        is_away.store(true, Ordering::SeqCst);
        for events in &mut subscriptions {
            while within("stale", events.next()).await != Some(Event::Stale) {}
        }
        is_away.store(false, Ordering::SeqCst);
        for events in &mut subscriptions {
            while within("live", events.next()).await != Some(Event::Live) {}
        }
        hub.publish("job:1", &round).await.unwrap();
    }
    end(&hub, "job:1").await;
    for events in subscriptions {
        let events: Vec<Event> = within("the end", events.collect()).await;
        let last = events.last();
        assert!(matches!(last, Some(Event::End { .. })), "{events:?}");
        let is_four = |event: &Event| matches!(event, Event::Publication(publication) if publication.payload.as_str() == "4");
        assert_eq!(events.iter().filter(|event| is_four(event)).count(), 1);
    }
}
