//! Server-Sent Events that are interrupted and resumed.

use crate::support::events::Events;
use crate::support::{end, publish_range, served_hub, served_hub_with, until_counts};
use serde_json::{Value, json};
use tidegate::Publish;

/// Reads `count` events, drops the connection, and returns the last id.
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
    // A position within the history is no loss.
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
    // A reader that missed the end gets it.
    let missed = events[0].id.clone().unwrap();
    let events = Events::resume(&address, "topic=a", Some(&missed)).await;
    assert_eq!(events.status(), 200);
    assert_eq!(events.rest().await.len(), 2);
    // And so does a new reader.
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

/// The numbers of topic `a`, as they came, and then those of `b:1`, which are greater than ten.
fn in_order_of_topics(values: Vec<Value>) -> Vec<u64> {
    let mut numbers: Vec<u64> = values.iter().filter_map(Value::as_u64).collect();
    numbers.sort_by_key(|number| *number > 10);
    numbers
}

#[tokio::test]
async fn a_durable_stream_goes_on_at_what_was_given_back_and_each_device_by_itself() {
    let (hub, address) = served_hub().await;
    let phone = "topic=a&topic=b:*&durable=phone";
    let opened = Events::open(&address, phone).await;
    publish_range(&hub, "a", 1..=3).await;
    publish_range(&hub, "b:1", 11..=13).await;
    drop(opened);
    // What was sent does not count as processed. Topics have an order each, but not among each other.
    let (seen, _) = read_and_break(&address, phone, None, 6).await;
    assert_eq!(in_order_of_topics(seen), [1, 2, 3, 11, 12, 13]);
    let (seen, id) = read_and_break(&address, phone, None, 5).await;
    let seen = in_order_of_topics(seen);
    let last = if seen.contains(&13) { 3 } else { 13 };
    let others = [1, 2, 3, 11, 12, 13].into_iter().filter(|one| *one != last);
    assert!(others.eq(seen.iter().copied()), "{seen:?}");
    // Sending the id back acknowledges it, for the next program of the device, too.
    let (seen, _) = read_and_break(&address, &format!("{phone}&latest=false"), Some(&id), 1).await;
    assert_eq!(seen, [last]);
    let (seen, _) = read_and_break(&address, phone, None, 1).await;
    assert_eq!(seen, [last]);
    let (seen, _) = read_and_break(&address, "topic=a&durable=tablet", None, 1).await;
    assert_eq!(seen, [3], "another device begins with the latest");
}

#[tokio::test]
async fn a_device_that_has_the_end_is_told_that_nothing_comes() {
    let (hub, address) = served_hub().await;
    let query = "topic=a&durable=phone";
    let opened = Events::open(&address, query).await;
    publish_range(&hub, "a", 1..=2).await;
    end(&hub, "a").await;
    drop(opened);
    let (seen, id) = read_and_break(&address, query, None, 3).await;
    assert_eq!(seen, [json!(1), json!(2), json!("end")]);
    assert_eq!(
        Events::resume(&address, query, Some(&id)).await.status(),
        204
    );
    assert_eq!(Events::open(&address, query).await.status(), 204);
    let nameless = Events::open(&address, "topic=a&durable=").await;
    assert_eq!(nameless.status(), 400);
}

/// Opens a stream, drops it before its first event, and returns the id that a browser would send back.
async fn break_before_any_event(address: &str, path: &str) -> Option<String> {
    let mut events = Events::open_at(address, path, None).await;
    assert_eq!(events.block().await.unwrap(), "retry: 2000\n\n");
    let block = events.block().await.unwrap();
    let id = block.strip_prefix("id: ").map(str::trim_end);
    assert_eq!(
        block,
        id.map_or(String::new(), |id| format!("id: {id}\n\n"))
    );
    id.map(str::to_owned)
}

#[tokio::test]
async fn a_stream_that_broke_before_its_first_event_misses_nothing() {
    let (hub, address) = served_hub().await;
    for topic in ["old", "old:1", "old:2"] {
        publish_range(&hub, topic, 7..=9).await;
    }
    for (query, topic) in [
        ("topic=a", "a"),
        ("topic=b&latest=false", "b"),
        ("topic=old&latest=false", "old"),
        ("topic=c:*", "c:1"),
        ("topic=d:*&latest=false", "d:1"),
        ("topic=e&topic=f", "f"),
        ("topic=old:1&topic=old:2&latest=false", "old:2"),
        ("topic=g&topic=h:*", "h:1"),
    ] {
        let path = format!("/events?{query}");
        let id = break_before_any_event(&address, &path).await;
        until_counts(&hub, 0, 0).await;
        publish_range(&hub, topic, 1..=3).await;
        let (seen, _) = read_and_break(&address, query, id.as_deref(), 3).await;
        assert_eq!(seen, [1, 2, 3], "{query}");
    }
}

#[tokio::test]
async fn a_stream_that_broke_before_its_latest_value_gets_that_too() {
    let (hub, address) = served_hub().await;
    publish_range(&hub, "a", 1..=5).await;
    // The latest value itself waits for the end of the window.
    let query = "topic=a&throttle=1h&leading=false";
    let id = break_before_any_event(&address, &format!("/events?{query}")).await;
    until_counts(&hub, 0, 0).await;
    publish_range(&hub, "a", 6..=7).await;
    let (seen, _) = read_and_break(&address, "topic=a", id.as_deref(), 3).await;
    assert_eq!(seen, [5, 6, 7]);
}

#[tokio::test]
async fn a_device_that_broke_off_before_its_first_event_misses_nothing() {
    let (hub, address) = served_hub().await;
    publish_range(&hub, "a", 1..=2).await;
    for query in [
        "topic=a&durable=phone&latest=false",
        "topic=b:*&durable=phone",
    ] {
        drop(Events::open(&address, query).await);
        until_counts(&hub, 0, 0).await;
    }
    publish_range(&hub, "a", 3..=4).await;
    publish_range(&hub, "b:1", 3..=4).await;
    for query in [
        "topic=a&durable=phone&latest=false",
        "topic=b:*&durable=phone",
    ] {
        let (seen, _) = read_and_break(&address, query, None, 2).await;
        assert_eq!(seen, [3, 4], "{query}");
    }
}
