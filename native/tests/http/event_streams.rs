//! Server-Sent Events, byte by byte.

use crate::support;
use crate::support::events::Events;
use crate::support::http::{get, header, publish};
use crate::support::{end, publish_range, served_hub, served_hub_with, until_counts};
use futures_util::StreamExt as _;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tidegate::Event;

#[tokio::test]
async fn a_stream_looks_as_an_event_source_expects() {
    let (hub, address) = served_hub().await;
    let mut events = Events::open(&address, "topic=job:1").await;
    assert_eq!(events.status(), 200);
    let head = |name| header(&events.head, name).map(str::to_owned);
    assert_eq!(head("content-type").unwrap(), "text/event-stream");
    assert_eq!(head("cache-control").unwrap(), "no-store");
    assert_eq!(head("x-accel-buffering").unwrap(), "no");
    assert_eq!(events.block().await.unwrap(), "retry: 2000\n\n");
    let data = json!({"text": "two\nlines"});
    let position = hub.publish("job:1", &data).await.unwrap();
    let event = events.next().await.unwrap();
    assert_eq!(event.name, "message");
    assert_eq!(event.id, Some(position.to_string()));
    let expected = json!({
        "type": "pub", "topic": "job:1", "epoch": position.epoch, "offset": 1, "data": data,
    });
    assert_eq!(event.data, expected);
}

#[tokio::test]
async fn data_over_several_lines_stays_one_event() {
    let (_hub, address) = served_hub().await;
    let mut events = Events::open(&address, "topic=a").await;
    let body = "{\"topic\": \"a\",\r\n \"data\": {\n\n\"x\":\r\n 1\n}\n}";
    support::http::request(&address, "POST /publish", "", body).await;
    assert_eq!(events.data().await, json!({"x": 1}));
}

#[tokio::test]
async fn raw_json_of_the_application_stays_one_event() {
    let (hub, address) = served_hub().await;
    let mut events = Events::open(&address, "topic=a").await;
    let raw = "{\n\"x\": 1,\r\n\n\"y\": [\r2\n]\n}".to_owned();
    let raw = RawValue::from_string(raw).expect("the test's own JSON");
    hub.publish("a", &raw).await.unwrap();
    assert_eq!(events.data().await, json!({"x": 1, "y": [2]}));
    hub.publish("a", &[&raw]).await.unwrap();
    assert_eq!(events.data().await, json!([{"x": 1, "y": [2]}]));
}

#[tokio::test]
async fn topics_and_patterns_share_a_stream() {
    let (hub, address) = served_hub().await;
    hub.publish("a", &"kept").await.unwrap();
    let mut events = Events::open(&address, "topic=a&topic=b:*&topic=%C3%A9&topic=a").await;
    assert_eq!(events.data().await, "kept");
    for (topic, value) in [
        ("b:1", 1),
        ("c", 2),
        ("é", 3),
        ("a", 4),
        ("b:1:c", 5),
        ("b:2", 6),
    ] {
        hub.publish(topic, &value).await.unwrap();
    }
    let mut last = None;
    for (value, via) in [
        (1, json!("b:*")),
        (3, Value::Null),
        (4, Value::Null),
        (6, json!("b:*")),
    ] {
        let event = events.next().await.unwrap();
        assert_eq!(
            (&event.data["data"], &event.data["via"]),
            (&json!(value), &via)
        );
        last = event.id;
    }
    let id = last.expect("an id");
    let names: Vec<&str> = id
        .split(' ')
        .map(|entry| entry.rsplit_once('=').unwrap().0)
        .collect();
    assert_eq!(names, ["b:1", "é", "a", "b:2"]);
}

#[tokio::test]
async fn retained_values_can_be_left_out() {
    let (hub, address) = served_hub().await;
    publish_range(&hub, "a", 1..=3).await;
    let mut events = Events::open(&address, "topic=a&latest=false").await;
    until_counts(&hub, 1, 1).await;
    publish_range(&hub, "a", 4..=4).await;
    assert_eq!(events.data().await, 4);
}

#[tokio::test]
async fn a_throttle_holds_values_back_until_the_end_flushes_them() {
    let (hub, address) = served_hub().await;
    let mut events = Events::open(&address, "topic=a&throttle=1h").await;
    publish_range(&hub, "a", 1..=1).await;
    // Read before more is published, because a value that is still waiting to be written may be conflated.
    assert_eq!(events.next().await.unwrap().data["offset"], 1);
    publish_range(&hub, "a", 2..=50).await;
    end(&hub, "a").await;
    // What was pending comes first, but may be conflated with the terminal publication on its way.
    let events = events.rest().await;
    assert!(events.len() <= 3, "{events:?}");
    assert_eq!(events[events.len() - 2].data["offset"], 51);
    assert_eq!(events.last().unwrap().name, "end");
}

#[tokio::test]
async fn a_collecting_stream_gets_batches() {
    let (hub, address) = served_hub().await;
    let query = "topic=a&throttle=1h&leading=false&conflate=collect&max=10";
    let mut events = Events::open(&address, query).await;
    publish_range(&hub, "a", 1..=10).await;
    let batch = events.next().await.unwrap();
    assert_eq!(batch.name, "batch");
    let items = batch.data["items"].as_array().unwrap();
    assert_eq!(items.len(), 10);
    let last = &items[9];
    assert_eq!(batch.id, Some(format!("{}:10", last["epoch"])));
}

#[tokio::test]
async fn the_response_ends_once_every_topic_has_ended() {
    let (hub, address) = served_hub().await;
    let events = Events::open(&address, "topic=a&topic=b").await;
    publish_range(&hub, "a", 1..=1).await;
    end(&hub, "a").await;
    publish_range(&hub, "b", 2..=2).await;
    end(&hub, "b").await;
    let events = events.rest().await;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(
        names,
        ["message", "message", "end", "message", "message", "end"]
    );
    assert_eq!(events[1].data["end"], "complete");
    assert_eq!(
        events[2].data,
        json!({"type": "end", "pattern": "a", "reason": "complete"})
    );
    assert_eq!(events[5].data["pattern"], "b");
    assert_eq!(events[5].id, events[4].id);
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn a_draining_hub_ends_responses_and_keeps_its_own_streams() {
    let (hub, address) = served_hub().await;
    let mut own = hub.subscribe("a").await.unwrap();
    let mut responses = Vec::new();
    for _ in 0..20 {
        responses.push(Events::open(&address, "topic=a").await);
    }
    hub.publish("a", &1).await.unwrap();
    hub.drain();
    for response in responses {
        let events = response.rest().await;
        assert_eq!(events[0].data["data"], 1);
    }
    until_counts(&hub, 1, 1).await;
    hub.publish("a", &2).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        if let Some(Event::Publication(publication)) = own.next().await {
            seen.push(publication.payload.to_string());
        }
    }
    assert_eq!(seen, ["1", "2"]);
}

#[tokio::test]
async fn a_silent_stream_says_that_it_lives() {
    let mut config = support::config();
    config.event_streams.keep_alive = std::time::Duration::from_millis(5);
    let hub = tidegate::Hub::new(config).unwrap();
    let address = support::serve(tidegate::axum::router(hub.clone())).await;
    let mut events = Events::open(&address, "topic=a").await;
    assert_eq!(events.block().await.unwrap(), "retry: 2000\n\n");
    let begins = events.block().await.unwrap();
    assert!(begins.starts_with("id: ") && begins.ends_with(":0\n\n"));
    for _ in 0..3 {
        assert_eq!(events.block().await.unwrap(), ":\n\n");
    }
    publish_range(&hub, "a", 1..=1).await;
    assert_eq!(events.data().await, 1);
    assert_eq!(events.block().await.unwrap(), ":\n\n");
}

#[tokio::test]
async fn a_client_that_leaves_leaves_nothing_behind() {
    let (hub, address) = served_hub().await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(Events::open(&address, "topic=a&topic=b:*").await);
    }
    until_counts(&hub, 50, 100).await;
    drop(streams);
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_shed_and_told() {
    let (hub, address) = served_hub_with(|config| config.outbox_bytes_max = 64 * 1024).await;
    let events = Events::open(&address, "topic=a").await;
    until_counts(&hub, 1, 1).await;
    let filling = "x".repeat(32 * 1024);
    for number in 1..=1000 {
        hub.publish("a", &json!({"n": number, "filling": filling}))
            .await
            .unwrap();
    }
    end(&hub, "a").await;
    let mut expected = 1;
    let mut missed = 0;
    for event in events.rest().await {
        match event.name.as_str() {
            "message" => {
                assert_eq!(event.data["offset"], expected);
                expected += 1;
            }
            "lagged" => {
                let count = event.data["missed"].as_u64().unwrap();
                missed += count;
                expected += count;
            }
            "end" => assert_eq!(expected, 1002),
            other => panic!("{other}"),
        }
    }
    assert!(
        missed > 0,
        "32 MB cannot have fitted into what the kernel and the limit hold"
    );
}

#[tokio::test]
async fn a_query_that_is_wrong_is_refused_with_the_reason() {
    let (hub, address) = served_hub().await;
    let many = "topic=a&".repeat(101);
    let cases = [
        ("", "bad_topic", "/events?topic="),
        ("topic=", "bad_topic", "topic"),
        ("topic=a%20b", "bad_topic", "a b"),
        ("topic=a:**:b", "bad_topic", "a:**:b"),
        (many.as_str(), "bad_topic", "100"),
        ("topic=a&throttle=fast", "bad_flow", "fast"),
        ("topic=a&throttle=0", "bad_flow", ""),
        ("topic=a&throttle=1s&debounce=1s", "bad_flow", ""),
        (
            "topic=a&throttle=1s&conflate=all",
            "bad_flow",
            "latest, merge, sum, collect",
        ),
        (
            "topic=a&throttle=1s&leading=yes",
            "bad_flow",
            "true or false",
        ),
        (
            "topic=a&throttle=1s&conflate=collect&max=-1",
            "bad_flow",
            "max",
        ),
        ("topic=a&debounce=1w", "bad_flow", "debounce"),
        ("topic=a&colour=red", "bad_frame", "colour"),
    ];
    for (query, code, word) in cases {
        let answer = get(&address, &format!("/events?{query}")).await;
        assert_eq!(answer.error(), (400, code.to_owned()), "{query}");
        assert!(answer.body.contains(word), "{query}: {answer:?}");
    }
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn a_hub_that_is_full_says_so() {
    let (hub, address) = served_hub_with(|config| config.hub.subscriptions_max = 2).await;
    let answer = get(&address, "/events?topic=a&topic=b&topic=c").await;
    assert_eq!(answer.error(), (429, "too_many_subscriptions".to_owned()));
    until_counts(&hub, 0, 0).await;
    publish(&address, &json!({"topic": "a", "data": 1})).await;
    let mut events = Events::open(&address, "topic=a&topic=b").await;
    assert_eq!(events.data().await, 1);
}
