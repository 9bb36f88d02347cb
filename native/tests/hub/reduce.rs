//! Conflation with a function of the subscriber's own: at a hub, at a client of it, and at a client of a server.

use std::time::Duration;

use crate::support::{hub_with, served_hub, until_counts, within};
use futures_util::{Stream, StreamExt as _};
use serde_json::{Value, json};
use tidegate::core::durable::DurableName;
use tidegate::core::flow::Flow;
use tidegate::core::lifecycle::EndReason;
use tidegate::{Client, Event, Hub, Json, Publish, Reducer, Subscribe};

/// Only an end flushes what is waiting while a test runs.
const FOREVER: Duration = Duration::from_secs(3_600);

fn reduced_by(reduce: Reducer) -> Subscribe {
    Subscribe {
        flow: Flow::throttle(FOREVER),
        reduce: Some(reduce),
        ..Subscribe::default()
    }
}

fn worst() -> Reducer {
    Reducer::of(|older: i64, newer: i64| older.max(newer))
}

async fn publish(hub: &Hub, values: &[Value], last: Value) {
    for value in values {
        hub.publish("oven:3", value).await.unwrap();
    }
    let end = Publish::end(EndReason::Complete);
    hub.publish_with("oven:3", &last, end).await.unwrap();
}

/// The offsets and values of the publications that a subscriber got.
async fn handed(events: impl Stream<Item = Event>) -> Vec<(u64, Value)> {
    let events: Vec<Event> = within("the end of the stream", events.collect()).await;
    let handed = events.iter().filter_map(|event| match event {
        Event::Publication(publication) => {
            let value = publication.payload.parse().unwrap();
            Some((publication.position.offset, value))
        }
        Event::End { .. } => None,
        other => panic!("{other:?}"),
    });
    handed.collect()
}

#[tokio::test]
async fn what_waits_is_made_one_at_a_hub_and_at_its_clients() {
    let (hub, address) = served_hub().await;
    let in_process = hub.subscribe_with("oven:3", reduced_by(worst()));
    let in_process = in_process.await.unwrap();
    let of_hub = Client::from_hub(hub.clone()).unwrap();
    let of_hub = of_hub.subscribe_with("oven:*", reduced_by(worst()));
    let of_hub = of_hub.await.unwrap();
    let of_server = within("a connection", Client::connect(&address)).await;
    let of_server = of_server.unwrap();
    let mut durable = reduced_by(worst());
    durable.durable = Some(DurableName::new("panel").unwrap());
    let of_server = of_server.subscribe_with("oven:3", durable).await.unwrap();
    until_counts(&hub, 3, 3).await;
    let values: Vec<Value> = [3, 9, 210, 7].into_iter().map(Value::from).collect();
    publish(&hub, &values, json!(1)).await;
    let expected = vec![(1, json!(3)), (4, json!(210)), (5, json!(1))];
    assert_eq!(handed(in_process).await, expected);
    assert_eq!(handed(of_server).await, expected);
    // A subscription to a pattern does not end with a topic.
    assert_eq!(handed(of_hub.take(3)).await, expected);
}

#[tokio::test]
async fn where_the_function_fails_or_panics_nothing_is_lost() {
    let hub = hub_with(|_| {});
    let typed = hub.subscribe_with("oven:3", reduced_by(worst())).await;
    let panicking = Reducer::new(|older: &Json, newer: &Json| {
        assert_ne!(newer.as_str(), "4", "not four");
        Json::from_value(&[older.clone(), newer.clone()]).unwrap()
    });
    let panicking = hub.subscribe_with("oven:3", reduced_by(panicking)).await;
    let values = [
        json!(1),
        json!(2),
        json!(3),
        json!("hot"),
        json!(4),
        json!(5),
    ];
    publish(&hub, &values, json!(6)).await;
    let expected = vec![
        (1, json!(1)),
        (3, json!(3)),
        (4, json!("hot")),
        (6, json!(5)),
        (7, json!(6)),
    ];
    assert_eq!(handed(typed.unwrap()).await, expected);
    let expected = vec![
        (1, json!(1)),
        (4, json!([[2, 3], "hot"])),
        (6, json!([4, 5])),
        (7, json!(6)),
    ];
    assert_eq!(handed(panicking.unwrap()).await, expected);
}
