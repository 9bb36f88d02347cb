//! Server-Sent Events, byte by byte.

mod support;

use serde_json::{Value, json};
use support::events::Events;
use support::http::{get, header, publish};
use support::{served_hub, served_hub_with, until_counts};
use tidegate::core::lifecycle::EndReason;
use tidegate::{Hub, Publish};

async fn publish_range(hub: &Hub, topic: &str, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        hub.publish(topic, &number).await.unwrap();
    }
}

async fn end(hub: &Hub, topic: &str) {
    hub.publish_with(topic, &"end", Publish::end(EndReason::Complete))
        .await
        .unwrap();
}

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
    let events = Events::open(&address, "topic=a&throttle=1h").await;
    publish_range(&hub, "a", 1..=50).await;
    end(&hub, "a").await;
    // What was pending goes first, but may be conflated with the terminal on its way.
    let events = events.rest().await;
    let offset = |index: usize| &events[index].data["offset"];
    assert_eq!(offset(0), 1);
    assert_eq!(offset(events.len() - 2), 51);
    assert!(events.len() <= 4, "{events:?}");
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

/// Reads `count` events, breaks the connection off, and returns the last id.
async fn read_and_break(
    address: &str,
    query: &str,
    id: Option<&str>,
    count: u32,
) -> (Vec<Value>, String) {
    let mut events = Events::resume(address, query, id).await;
    let (mut values, mut last) = (Vec::new(), None);
    for _ in 0..count {
        let event = events.next().await.unwrap();
        assert_eq!(event.name, "message", "{event:?}");
        values.push(event.data["data"].clone());
        last = event.id;
    }
    (values, last.expect("an id"))
}

#[tokio::test]
async fn a_broken_stream_resumes_with_nothing_lost_and_nothing_twice() {
    let (hub, address) = served_hub().await;
    publish_range(&hub, "a", 1..=1).await;
    let (mut seen, mut id) = read_and_break(&address, "topic=a", None, 1).await;
    for round in 0..5 {
        publish_range(&hub, "a", round * 20 + 2..=round * 20 + 21).await;
        // What the response had sent beyond these is lost with its connection.
        let (values, last) = read_and_break(&address, "topic=a", Some(&id), 13).await;
        seen.extend(values);
        id = last;
    }
    let query = format!("topic=a&last_event_id={id}");
    end(&hub, "a").await;
    for event in Events::open(&address, &query).await.rest().await {
        seen.push(event.data["data"].clone());
    }
    let expected = (1..=101)
        .map(Value::from)
        .chain([json!("end"), Value::Null]);
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_of_several_topics_resumes_each_of_them() {
    let (hub, address) = served_hub().await;
    let query = "topic=a&topic=b:**";
    publish_range(&hub, "a", 1..=1).await;
    publish_range(&hub, "b:1", 11..=11).await;
    let (_, id) = read_and_break(&address, query, None, 2).await;
    publish_range(&hub, "a", 2..=4).await;
    publish_range(&hub, "b:1", 12..=13).await;
    // A topic that began in the meantime comes from its beginning.
    publish_range(&hub, "b:2:x", 21..=22).await;
    let (mut values, id) = read_and_break(&address, query, Some(&id), 7).await;
    values.sort_by_key(Value::as_u64);
    assert_eq!(values, [2, 3, 4, 12, 13, 21, 22]);
    publish_range(&hub, "a", 5..=5).await;
    let (values, _) = read_and_break(&address, query, Some(&id), 1).await;
    assert_eq!(values, [5]);
}

#[tokio::test]
async fn an_idle_stream_has_nothing_to_resume_and_misses_nothing() {
    let (hub, address) = served_hub().await;
    publish_range(&hub, "a", 1..=2).await;
    let (_, id) = read_and_break(&address, "topic=a", None, 1).await;
    let mut events = Events::resume(&address, "topic=a", Some(&id)).await;
    until_counts(&hub, 1, 1).await;
    publish_range(&hub, "a", 3..=3).await;
    assert_eq!(events.data().await, 3);
}

#[tokio::test]
async fn what_was_trimmed_is_told_by_a_reset_and_the_latest_value() {
    let (hub, address) = served_hub_with(|config| config.hub.history.count_max = 4).await;
    publish_range(&hub, "a", 1..=1).await;
    let (_, id) = read_and_break(&address, "topic=a", None, 1).await;
    publish_range(&hub, "a", 2..=20).await;
    let (epoch, _) = id.split_once(':').unwrap();
    let unknown_epoch = "12345:20";
    for stale in [id.as_str(), unknown_epoch, &format!("{epoch}:21")] {
        let mut events = Events::resume(&address, "topic=a", Some(stale)).await;
        let reset = events.next().await.unwrap();
        assert_eq!(reset.name, "reset");
        assert_eq!(reset.data["topic"], "a");
        assert_eq!(reset.data["offset"], 20);
        let latest = events.next().await.unwrap();
        assert_eq!(latest.data["data"], 20);
        assert_eq!(latest.id, Some(format!("{epoch}:20")));
    }
    // One within what is kept is no loss.
    let kept = format!("{epoch}:16");
    let (values, _) = read_and_break(&address, "topic=a", Some(&kept), 4).await;
    assert_eq!(values, [17, 18, 19, 20]);
}

#[tokio::test]
async fn an_id_that_is_none_starts_with_the_latest_value() {
    let (hub, address) = served_hub().await;
    publish_range(&hub, "a", 1..=3).await;
    for id in ["", "nonsense", "-1:2", "a=1:2", "99999999999999999999:1"] {
        let mut events = Events::resume(&address, "topic=a", Some(id)).await;
        assert_eq!(events.data().await, 3, "{id:?}");
    }
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
async fn who_comes_back_after_the_end_is_told_to_stay_away() {
    let (hub, address) = served_hub().await;
    let events = Events::open(&address, "topic=a").await;
    publish_range(&hub, "a", 1..=1).await;
    end(&hub, "a").await;
    let events = events.rest().await;
    let id = events.last().unwrap().id.clone().unwrap();
    assert_eq!(
        Events::resume(&address, "topic=a", Some(&id))
            .await
            .status(),
        204
    );
    until_counts(&hub, 0, 0).await;
    // One who missed the end gets it.
    let missed = events[0].id.clone().unwrap();
    let events = Events::resume(&address, "topic=a", Some(&missed)).await;
    assert_eq!(events.status(), 200);
    assert_eq!(events.rest().await.len(), 2);
    // And so does one who comes for the first time.
    assert_eq!(
        Events::open(&address, "topic=a").await.rest().await.len(),
        2
    );
}

#[tokio::test]
async fn a_topic_started_anew_resets_who_knew_the_old_one() {
    let (hub, address) = served_hub().await;
    publish_range(&hub, "a", 1..=1).await;
    let (_, id) = read_and_break(&address, "topic=a", None, 1).await;
    end(&hub, "a").await;
    let restart = Publish {
        restart: true,
        ..Publish::default()
    };
    hub.publish_with("a", &"anew", restart).await.unwrap();
    let mut events = Events::resume(&address, "topic=a", Some(&id)).await;
    assert_eq!(events.next().await.unwrap().name, "reset");
    assert_eq!(events.data().await, "anew");
}

#[tokio::test]
async fn a_silent_stream_says_that_it_lives() {
    let (_hub, address) = served_hub().await;
    let mut events = Events::open(&address, "topic=a").await;
    assert_eq!(events.block().await.unwrap(), "retry: 2000\n\n");
    // Only now: the hub's thread has a clock of its own, for which a paused one would not wait.
    tokio::time::pause();
    for _ in 0..3 {
        let before = tokio::time::Instant::now();
        assert_eq!(events.block().await.unwrap(), ":\n\n");
        assert!(before.elapsed() <= std::time::Duration::from_secs(30));
    }
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
        ("topic=a&debounce=1d", "bad_flow", "debounce"),
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
