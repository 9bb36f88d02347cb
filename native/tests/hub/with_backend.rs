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
use tidegate::{BackendLink, Event, Hub, Publish, Subscribe, Subscription};

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

/// The next value, whatever is reported about the link before.
async fn value_in_the_end(events: &mut Subscription) -> serde_json::Value {
    loop {
        match within("an event", events.next()).await {
            Some(Event::Stale | Event::Live) => {}
            Some(Event::Publication(publication)) => break publication.payload.parse().unwrap(),
            other => panic!("expected a publication, got {other:?}"),
        }
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
async fn a_status_that_is_said_to_end_nothing_ends_it_at_no_hub() {
    let (here, there) = hubs();
    let mut events = there.subscribe("job:42").await.unwrap();
    let failed = json!({"status": "failed"});
    for hub in [&here, &there] {
        hub.publish_with("job:42", &failed, Publish::no_end())
            .await
            .unwrap();
        assert_eq!(value(&mut events).await, failed);
        let latest = there.latest("job:42").await.unwrap().unwrap();
        assert_eq!(latest.end, None);
    }
    let position = here.publish("job:42", &3).await.unwrap();
    assert_eq!(position.offset, 3);
    assert_eq!(value(&mut events).await, json!(3));
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

#[tokio::test]
async fn an_opening_that_was_given_up_does_not_end_the_link_that_was_opened_after_it() {
    let store = Memory::new(Keep::default());
    let mut quick = config();
    quick.uplink.call_timeout = Duration::from_millis(100);
    let (late, go_on, is_over) = Fragile::way_to(store.share(), &Arc::default()).late();
    let here = Hub::with_backend(quick, Arc::new(late)).unwrap();
    let there = Hub::with_backend(config(), Arc::new(store.share())).unwrap();
    let mut events = within("the second link", here.subscribe("job:42"))
        .await
        .unwrap();
    // Nobody may wait for it any more.
    let _ = go_on.send(());
    let _ = within("the end of the first opening", is_over).await;
    for number in 1..=10 {
        there.publish("job:42", &number).await.unwrap();
        assert_eq!(value_in_the_end(&mut events).await, json!(number));
    }
}

#[tokio::test]
async fn what_is_not_answered_in_time_is_told_as_why_the_link_is_lost() {
    let is_silent = Arc::new(AtomicBool::new(false));
    let mut quick = config();
    quick.uplink.call_timeout = Duration::from_millis(50);
    quick.uplink.probe_every = Duration::from_millis(10);
    let store = Fragile::new(&Arc::default()).silenced(&is_silent);
    let hub = Hub::with_backend(quick, Arc::new(store)).unwrap();
    let mut health = hub.backend().unwrap();
    let is_live = health.wait_for(|health| health.link == BackendLink::Live);
    within("the link", is_live).await.unwrap();
    is_silent.store(true, Ordering::SeqCst);
    let is_lost = health.wait_for(|health| health.link == BackendLink::Stale);
    let lost = within("the loss", is_lost).await.unwrap().clone();
    let why = lost.last_error.expect("a reason").to_string();
    assert!(why.contains("no answer to probe for"), "{why}");
    is_silent.store(false, Ordering::SeqCst);
    let is_live = health.wait_for(|health| health.link == BackendLink::Live);
    let back = within("the link", is_live).await.unwrap().clone();
    assert_eq!(back.last_error, None);
}

#[tokio::test]
async fn what_fails_beside_the_link_is_no_loss_of_it() {
    let is_away = Arc::new(AtomicBool::new(false));
    let mut patient = config();
    patient.uplink.probe_every = Duration::from_secs(3600);
    let hub = Hub::with_backend(patient, Arc::new(Fragile::new(&is_away))).unwrap();
    let mut health = hub.backend().unwrap();
    let is_live = health.wait_for(|health| health.link == BackendLink::Live);
    within("the link", is_live).await.unwrap();
    is_away.store(true, Ordering::SeqCst);
    assert!(hub.devices("ada").await.is_err());
    is_away.store(false, Ordering::SeqCst);
    assert!(hub.devices("ada").await.unwrap().is_empty());
    assert_eq!(health.borrow().link, BackendLink::Live);
}
