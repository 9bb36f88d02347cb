//! Server-Sent Events that are broken off and resumed.

use crate::support::events::Events;
use crate::support::{end, publish_range, served_hub, served_hub_with, until_counts};
use serde_json::{Value, json};
use tidegate::Publish;

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
    // What has been sent is not what has been dealt with. Topics have an order each, and none among them.
    let (seen, _) = read_and_break(&address, phone, None, 6).await;
    assert_eq!(in_order_of_topics(seen), [1, 2, 3, 11, 12, 13]);
    let (seen, id) = read_and_break(&address, phone, None, 5).await;
    let seen = in_order_of_topics(seen);
    let last = if seen.contains(&13) { 3 } else { 13 };
    let others = [1, 2, 3, 11, 12, 13].into_iter().filter(|one| *one != last);
    assert!(others.eq(seen.iter().copied()), "{seen:?}");
    // Giving the id back says that it is, for the next program of the device, too.
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
