//! A hub within a process, as applications use it.

use std::time::Duration;

use crate::support::{eventually, hub_with, until_counts, within};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tidegate::core::durable::DurableName;
use tidegate::core::flow::{Flow, Pace};
use tidegate::core::hub::PublishError as Refusal;
use tidegate::core::lifecycle::EndReason;
use tidegate::core::protocol::{Start, TopicPosition};
use tidegate::core::topic::Topic;
use tidegate::{Event, Hub, Publish, PublishError, Subscribe, SubscribeError, Subscription};

const COMPLETE: EndReason = EndReason::Complete;

fn hub() -> Hub {
    hub_with(|_| {})
}

async fn next(events: &mut Subscription) -> Option<Event> {
    within("an event", events.next()).await
}

/// The next event, which is a publication, as its value.
async fn value(events: &mut Subscription) -> Value {
    match next(events).await {
        Some(Event::Publication(publication)) => publication.payload.parse().unwrap(),
        other => panic!("a publication was expected: {other:?}"),
    }
}

async fn rest(events: Subscription) -> Vec<Event> {
    within("the end of the stream", events.collect()).await
}

/// The values of the publications among the events.
fn values(events: &[Event]) -> Vec<Value> {
    let value = |event: &Event| match event {
        Event::Publication(publication) => Some(publication.payload.parse().unwrap()),
        _ => None,
    };
    events.iter().filter_map(value).collect()
}

fn throttled(every: Duration) -> Subscribe {
    Subscribe {
        flow: Flow {
            pace: Pace::Throttle {
                every,
                leading: true,
                trailing: true,
            },
            ..Flow::IMMEDIATE
        },
        ..Subscribe::default()
    }
}

#[tokio::test]
async fn a_stream_ends_at_the_terminal_publication() {
    let hub = hub();
    let events = hub.subscribe("job:1").await.unwrap();
    for done in 1..=2 {
        hub.publish("job:1", &json!({"done": done})).await.unwrap();
    }
    hub.publish_with("job:1", &json!({"done": 3}), Publish::end(COMPLETE))
        .await
        .unwrap();
    let events = rest(events).await;
    let expected = [json!({"done": 1}), json!({"done": 2}), json!({"done": 3})];
    assert_eq!(values(&events), expected);
    assert_eq!(events.last(), Some(&Event::End { reason: COMPLETE }));
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn a_status_in_the_payload_ends_the_topic_too() {
    let hub = hub();
    let events = hub.subscribe("job:1").await.unwrap();
    hub.publish("job:1", &json!({"status": "Failed"}))
        .await
        .unwrap();
    let reason = EndReason::Failed;
    assert_eq!(rest(events).await.last(), Some(&Event::End { reason }));
}

#[tokio::test]
async fn a_dropped_stream_is_a_cancelled_subscription() {
    let hub = hub();
    let mut streams = Vec::new();
    for number in 0..10 {
        streams.push(hub.subscribe(&format!("job:{number}")).await.unwrap());
    }
    streams.push(hub.subscribe("job:*").await.unwrap());
    until_counts(&hub, 11, 11).await;
    drop(streams);
    until_counts(&hub, 0, 0).await;
    assert_eq!(hub.counts().await.unwrap().hub.topics, 0);
}

#[tokio::test]
async fn a_throttled_stream_gets_the_first_and_at_the_end_the_last() {
    let hub = hub();
    let options = throttled(Duration::from_secs(3600));
    let events = hub.subscribe_with("job:1", options).await.unwrap();
    for number in 0..100 {
        hub.publish("job:1", &number).await.unwrap();
    }
    hub.publish_with("job:1", &"done", Publish::end(COMPLETE))
        .await
        .unwrap();
    // What was pending comes first, but may be conflated with the terminal publication on its way.
    let values = values(&rest(events).await);
    assert_eq!(values.first(), Some(&json!(0)));
    assert_eq!(values.last(), Some(&json!("done")));
    assert!(values.len() <= 3, "{values:?}");
}

#[tokio::test]
async fn a_throttled_stream_comes_to_the_newest_value_by_itself() {
    let hub = hub();
    let options = throttled(Duration::from_millis(20));
    let mut events = hub.subscribe_with("job:1", options).await.unwrap();
    for number in 0..=1000 {
        hub.publish("job:1", &number).await.unwrap();
    }
    let mut last = value(&mut events).await;
    assert_eq!(last, 0);
    while last != 1000 {
        last = value(&mut events).await;
    }
}

#[tokio::test]
async fn a_flow_can_be_changed_while_values_wait() {
    let hub = hub();
    let options = throttled(Duration::from_secs(3600));
    let mut events = hub.subscribe_with("job:1", options).await.unwrap();
    hub.publish("job:1", &1).await.unwrap();
    hub.publish("job:1", &2).await.unwrap();
    assert_eq!(value(&mut events).await, 1);
    events.set_flow(Flow::IMMEDIATE).await.unwrap();
    assert_eq!(value(&mut events).await, 2);
    hub.publish("job:1", &3).await.unwrap();
    assert_eq!(value(&mut events).await, 3);
    let refused = events.set_flow(throttled(Duration::MAX).flow).await;
    assert!(matches!(refused, Err(SubscribeError::Flow(_))));
}

#[tokio::test]
async fn what_a_hub_does_not_remember_it_does_not_promise() {
    let hub = hub();
    let durable = Subscribe::durable(DurableName::new("phone").unwrap());
    let refused = hub.subscribe_with("job:1", durable).await;
    assert!(matches!(refused, Err(SubscribeError::NotDurable)));
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn a_slow_reader_is_told_exactly_what_it_missed() {
    let hub = hub();
    let options = Subscribe {
        outbox_bytes_max: Some(10_000),
        ..Subscribe::default()
    };
    let events = hub.subscribe_with("job:1", options).await.unwrap();
    for number in 1..=1000 {
        hub.publish("job:1", &number).await.unwrap();
    }
    hub.publish_with("job:1", &1001, Publish::end(COMPLETE))
        .await
        .unwrap();
    let events = rest(events).await;
    let (mut expected, mut missed_in_all) = (1, 0);
    for event in &events {
        match event {
            Event::Publication(publication) => {
                assert_eq!(publication.position.offset, expected);
                expected += 1;
            }
            Event::Lagged { missed } => {
                expected += missed;
                missed_in_all += missed;
            }
            Event::End { reason } => assert_eq!((*reason, expected), (COMPLETE, 1002)),
            other => panic!("{other:?}"),
        }
    }
    let received = values(&events);
    assert!(
        missed_in_all > 500,
        "the limit of 10,000 bytes was not kept"
    );
    assert_eq!(received.len() as u64 + missed_in_all, 1001);
    assert_eq!(received[received.len() - 2..], [1000, 1001]);
    assert!(matches!(events.last(), Some(Event::End { .. })));
}

#[tokio::test]
async fn who_comes_late_starts_with_the_latest_value() {
    let hub = hub();
    for number in 1..=3 {
        hub.publish("job:1", &number).await.unwrap();
    }
    let mut events = hub.subscribe("job:1").await.unwrap();
    assert_eq!(value(&mut events).await, 3);
    let latest = hub.latest("job:1").await.unwrap().unwrap();
    assert_eq!(latest.payload.as_str(), "3");
    assert_eq!(hub.latest("job:2").await.unwrap(), None);

    let options = Subscribe {
        start: Start::New,
        ..Subscribe::default()
    };
    let mut new_ones = hub.subscribe_with("job:1", options).await.unwrap();
    hub.publish("job:1", &4).await.unwrap();
    assert_eq!(value(&mut new_ones).await, 4);
    assert_eq!(value(&mut events).await, 4);
}

#[tokio::test]
async fn who_comes_after_the_end_gets_the_terminal_and_the_end() {
    let hub = hub();
    hub.publish("job:1", &1).await.unwrap();
    hub.publish_with("job:1", &2, Publish::end(EndReason::Cancelled))
        .await
        .unwrap();
    let events = rest(hub.subscribe("job:1").await.unwrap()).await;
    assert_eq!(values(&events), [2]);
    let reason = EndReason::Cancelled;
    assert_eq!(events.last(), Some(&Event::End { reason }));
}

#[tokio::test]
async fn an_ended_topic_takes_no_more_until_it_is_started_anew() {
    let hub = hub();
    let ended = hub
        .publish_with("job:1", &1, Publish::end(COMPLETE))
        .await
        .unwrap();
    let refused = hub.publish("job:1", &2).await.unwrap_err();
    assert!(
        matches!(refused, PublishError::Refused(Refusal::Ended(COMPLETE))),
        "{refused}"
    );
    assert!(refused.to_string().contains("restart"), "{refused}");
    let mut by_pattern = hub.subscribe("job:*").await.unwrap();
    assert_eq!(value(&mut by_pattern).await, 1);
    let restart = Publish {
        restart: true,
        ..Publish::default()
    };
    let anew = hub.publish_with("job:1", &3, restart).await.unwrap();
    assert_eq!(anew.offset, 1);
    assert_ne!(anew.epoch, ended.epoch);
    assert_eq!(value(&mut by_pattern).await, 3);
    let mut events = hub.subscribe("job:1").await.unwrap();
    assert_eq!(value(&mut events).await, 3);
}

#[tokio::test]
async fn a_repeated_publish_happens_once() {
    let hub = hub();
    let once = || Publish {
        id: Some("order-7".to_owned()),
        ..Publish::default()
    };
    let first = hub.publish_with("job:1", &1, once()).await.unwrap();
    let second = hub.publish_with("job:1", &2, once()).await.unwrap();
    assert_eq!(first, second);
    let latest = hub.latest("job:1").await.unwrap().unwrap();
    assert_eq!(latest.payload.as_str(), "1");
}

#[tokio::test]
async fn a_pattern_follows_all_its_topics_and_has_no_end() {
    let hub = hub();
    hub.publish("job:1", &1).await.unwrap();
    let mut events = hub.subscribe("job:*").await.unwrap();
    assert_eq!(value(&mut events).await, 1);
    hub.publish("task:1", &"another").await.unwrap();
    hub.publish("job:1:part", &"deeper").await.unwrap();
    hub.publish_with("job:2", &2, Publish::end(COMPLETE))
        .await
        .unwrap();
    hub.publish("job:3", &3).await.unwrap();
    assert_eq!(value(&mut events).await, 2);
    assert_eq!(value(&mut events).await, 3);
    assert_eq!(hub.counts().await.unwrap().hub.subscriptions, 1);
}

#[tokio::test]
async fn what_was_missed_is_recovered_exactly() {
    let hub = hub();
    let mut positions = Vec::new();
    for number in 1..=10 {
        positions.push(hub.publish("job:1", &number).await.unwrap());
    }
    let since = |position| Subscribe {
        start: Start::Since(vec![TopicPosition {
            topic: Topic::new("job:1").unwrap(),
            position,
        }]),
        ..Subscribe::default()
    };
    let mut events = hub
        .subscribe_with("job:1", since(positions[3]))
        .await
        .unwrap();
    for number in 5..=10 {
        assert_eq!(value(&mut events).await, number);
    }
    let mut elsewhere = positions[3];
    elsewhere.epoch += 1;
    let mut lost = hub.subscribe_with("job:1", since(elsewhere)).await.unwrap();
    let reset = Event::Reset {
        topic: Topic::new("job:1").unwrap(),
        position: positions[9],
    };
    assert_eq!(next(&mut lost).await, Some(reset));
    assert_eq!(value(&mut lost).await, 10);
}

#[tokio::test]
async fn the_streams_of_a_stopped_hub_end_after_what_they_had() {
    let hub = hub();
    let events = hub.subscribe("job:1").await.unwrap();
    for number in 1..=200 {
        hub.publish("job:1", &number).await.unwrap();
    }
    hub.stop();
    assert_eq!(values(&rest(events).await).len(), 200);
    eventually("the hub to stop", async || hub.counts().await.is_err()).await;
    let refused = hub.publish("job:1", &1).await;
    assert!(matches!(refused, Err(PublishError::Stopped(_))));
    let refused = hub.subscribe("job:1").await;
    assert!(matches!(refused.err(), Some(SubscribeError::Stopped(_))));
}

#[tokio::test]
async fn streams_end_when_nobody_is_left_to_publish() {
    let hub = hub();
    let clone = hub.clone();
    let mut events = hub.subscribe("job:1").await.unwrap();
    drop(hub);
    clone.publish("job:1", &1).await.unwrap();
    drop(clone);
    assert_eq!(value(&mut events).await, 1);
    assert_eq!(next(&mut events).await, None);
}

#[tokio::test]
async fn what_breaks_the_syntax_or_a_limit_is_named() {
    let hub = hub_with(|config| {
        config.hub.topics_max = 1;
        config.hub.payload_bytes_max = 10;
    });
    let error = hub.publish("a b", &1).await.unwrap_err();
    assert!(matches!(error, PublishError::Topic(_)), "{error}");
    let error = hub.subscribe("a:**:b").await.err().unwrap();
    assert!(matches!(error, SubscribeError::Pattern(_)), "{error}");
    let error = hub.publish("a", &"0123456789").await.unwrap_err();
    let too_large = PublishError::Refused(Refusal::PayloadTooLarge {
        bytes: 12,
        bytes_max: 10,
    });
    assert_eq!(error.to_string(), too_large.to_string());
    hub.publish("a", &1).await.unwrap();
    let error = hub.publish("b", &1).await.unwrap_err();
    let full = PublishError::Refused(Refusal::TooManyTopics { topics_max: 1 });
    assert_eq!(error.to_string(), full.to_string());
    // Topics that are merely subscribed to don't count.
    let waits = hub.subscribe("b").await.unwrap();
    drop(waits);
    until_counts(&hub, 0, 0).await;
}
