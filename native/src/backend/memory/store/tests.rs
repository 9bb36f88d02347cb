//! Tests what time does to a store. All else is in the suite that every backend passes.

use std::time::Duration;

use tidegate_core::history::HistoryLimits;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// A store that remembers topics for an hour, and their older publications for a minute.
fn store() -> Store {
    let keep = Keep {
        history: HistoryLimits {
            age_max: MINUTE,
            ..HistoryLimits::default()
        },
        retention: 60 * MINUTE,
        ..Keep::default()
    };
    Store::new(keep, false, Arc::new(Room::unlimited()), 1)
}

fn at(minutes: u32) -> Instant {
    Instant::ZERO + minutes * MINUTE
}

fn topic(text: &str) -> Topic {
    Topic::new(text).expect("tests write correct topics")
}

fn publish(store: &mut Store, now: Instant, to: &str) -> Position {
    let payload = Json::from_value(&1).expect("a number has a JSON form");
    let request = PublishRequest::new(topic(to), payload);
    store.publish(now, &request).expect("nothing has ended")
}

fn offsets(excerpt: &Excerpt<Json>) -> Vec<u64> {
    let publications = excerpt.publications.iter();
    publications.map(|kept| kept.position.offset).collect()
}

#[test]
fn what_is_too_old_is_not_recovered_and_the_latest_stays() {
    let mut store = store();
    publish(&mut store, at(0), "job:1");
    publish(&mut store, at(1), "job:1");
    let since_the_beginning = Some(Position::default());
    let early = store.read(at(1), &topic("job:1"), since_the_beginning);
    assert_eq!(offsets(&early), [1, 2]);
    let late = store.read(at(59), &topic("job:1"), since_the_beginning);
    assert_eq!(offsets(&late), [2]);
}

#[test]
fn a_topic_is_forgotten_after_its_retention_and_begins_anew() {
    let mut store = store();
    let first = publish(&mut store, at(0), "job:1");
    assert_eq!(store.list(at(60), &Pattern::from(topic("job:1"))).len(), 1);
    assert!(
        store
            .list(at(61), &Pattern::from(topic("job:1")))
            .is_empty()
    );
    let forgotten = store.read(at(61), &topic("job:1"), Some(first));
    assert_eq!(forgotten.position, Position::default());
    let second = publish(&mut store, at(61), "job:1");
    assert_eq!(second.offset, 1);
    assert_ne!(second.epoch, first.epoch);
}

#[test]
fn forgotten_topics_take_no_room() {
    let mut store = store();
    for number in 0..10 * SWEEP_TOPICS_MIN {
        let minutes = u32::try_from(number).expect("few");
        publish(&mut store, at(minutes), &format!("job:{number}"));
    }
    assert!(store.topics.len() <= SWEEP_TOPICS_MIN);
}

#[test]
fn the_oldest_keys_are_forgotten() {
    let mut store = store();
    let mut publish = |id: usize| {
        let mut request =
            PublishRequest::new(topic("job:1"), Json::from_value(&id).expect("a number"));
        request.id = Some(id.to_string());
        let position = store.publish(at(0), &request);
        position.expect("nothing has ended").offset
    };
    let offsets: Vec<u64> = (0..=IDEMPOTENCY_KEYS_MAX).map(&mut publish).collect();
    assert_eq!(publish(1), offsets[1]);
    assert_eq!(publish(0), offsets[IDEMPOTENCY_KEYS_MAX] + 1);
}
