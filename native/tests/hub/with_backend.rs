//! Hubs that share a backend: what is published at one arrives at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::fragile::Fragile;
use crate::support::{config, end, within};
use futures_util::StreamExt as _;
use serde_json::json;
use tidegate::backend::{Keep, Memory};
use tidegate::core::lifecycle::EndReason;
use tidegate::core::protocol::{Start, TopicPosition};
use tidegate::core::topic::Topic;
use tidegate::{Event, Hub, Publish, Subscribe, Subscription};

fn hubs() -> (Hub, Hub) {
    let backend = Memory::new(Keep::default());
    let hub = || Hub::with_backend(config(), Arc::new(backend.share())).unwrap();
    (hub(), hub())
}

async fn value(events: &mut Subscription) -> serde_json::Value {
    match within("an event", events.next()).await {
        Some(Event::Publication(publication)) => publication.payload.parse().unwrap(),
        other => panic!("expected a publication, got {other:?}"),
    }
}

#[tokio::test]
async fn what_one_hub_publishes_arrives_at_the_other() {
    let (here, there) = hubs();
    let mut events = there.subscribe("job:42").await.unwrap();
    for number in 1..=50 {
        let position = here.publish("job:42", &number).await.unwrap();
        assert_eq!(position.offset, number);
    }
    for number in 1..=50 {
        assert_eq!(value(&mut events).await, json!(number));
    }
}

#[tokio::test]
async fn a_late_subscriber_gets_the_latest_value_and_the_end() {
    let (here, there) = hubs();
    here.publish("job:42", &1).await.unwrap();
    here.publish_with("job:42", &2, Publish::end(EndReason::Failed))
        .await
        .unwrap();
    let mut events = there.subscribe("job:42").await.unwrap();
    assert_eq!(value(&mut events).await, json!(2));
    let end = within("the end", events.next()).await;
    assert!(
        matches!(
            end,
            Some(Event::End {
                reason: EndReason::Failed
            })
        ),
        "{end:?}"
    );
    assert!(within("the close", events.next()).await.is_none());
}

#[tokio::test]
async fn a_pattern_hears_topics_that_begin_later() {
    let (here, there) = hubs();
    here.publish("job:1", &1).await.unwrap();
    let mut events = there.subscribe("job:*").await.unwrap();
    assert_eq!(value(&mut events).await, json!(1));
    here.publish("job:2", &2).await.unwrap();
    here.publish("job:1", &3).await.unwrap();
    assert_eq!(value(&mut events).await, json!(2));
    assert_eq!(value(&mut events).await, json!(3));
}

#[tokio::test]
async fn a_subscriber_resumes_at_a_server_that_never_knew_its_topic() {
    let (here, there) = hubs();
    let mut positions = Vec::new();
    for number in 1..=10 {
        positions.push(here.publish("job:42", &number).await.unwrap());
    }
    let since = TopicPosition {
        topic: Topic::new("job:42").unwrap(),
        position: positions[3],
    };
    let options = Subscribe {
        start: Start::Since(vec![since]),
        ..Subscribe::default()
    };
    let mut events = there.subscribe_with("job:42", options).await.unwrap();
    for number in 5..=10 {
        assert_eq!(value(&mut events).await, json!(number));
    }
}

#[tokio::test]
async fn the_latest_value_is_known_everywhere() {
    let (here, there) = hubs();
    assert_eq!(there.latest("job:42").await.unwrap(), None);
    here.publish("job:42", &"x").await.unwrap();
    let latest = there.latest("job:42").await.unwrap().unwrap();
    assert_eq!(latest.payload.as_str(), "\"x\"");
}

#[tokio::test]
async fn what_ended_while_the_link_was_lost_is_told_of_its_end_and_of_nothing_after_it() {
    let store = Memory::new(Keep::default());
    let is_away = Arc::new(AtomicBool::new(false));
    let mut quick = config();
    quick.uplink.probe_every = Duration::from_millis(20);
    let here =
        Hub::with_backend(quick, Arc::new(Fragile::way_to(store.share(), &is_away))).unwrap();
    let there = Hub::with_backend(config(), Arc::new(store.share())).unwrap();
    let mut events = here.subscribe("job:42").await.unwrap();
    is_away.store(true, Ordering::SeqCst);
    while within("the loss", events.next()).await != Some(Event::Stale) {}
    end(&there, "job:42").await;
    is_away.store(false, Ordering::SeqCst);
    let told: Vec<Event> = within("the close", events.collect()).await;
    let reason = EndReason::Complete;
    assert_eq!(told.last(), Some(&Event::End { reason }), "{told:?}");
}
