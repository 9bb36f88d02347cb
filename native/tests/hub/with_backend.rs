//! Hubs that share a backend: what is published at one arrives at all.

use std::sync::Arc;

use crate::support::{config, within};
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
