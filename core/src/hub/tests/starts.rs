//! What a new subscription to the hub starts with, and what it gets if something is lost.

use super::*;
use crate::protocol::TopicPosition;

fn topic() -> Topic {
    Topic::new("job:1").unwrap()
}

/// A hub that keeps `kept` publications of `job:1`, of which there were `count`.
fn published(kept: usize, count: u64) -> Hub<()> {
    let mut config = HubConfig::new(7);
    config.history.count_max = kept;
    let mut hub = Hub::new(config);
    for _ in 0..count {
        let request = PublishRequest::new(topic(), ());
        hub.handle_publish(Instant::from_millis(1), request)
            .unwrap();
    }
    hub
}

fn request(pattern: &str, start: Start) -> SubscribeRequest {
    SubscribeRequest {
        start,
        ..SubscribeRequest::new(Pattern::new(pattern).unwrap(), Flow::IMMEDIATE)
    }
}

fn after(hub: &Hub<()>, offset: u64) -> Start {
    let latest = hub.latest(&topic()).unwrap();
    Start::Since(Vec::from([TopicPosition {
        topic: topic(),
        position: Position {
            offset,
            ..latest.position
        },
    }]))
}

/// What is due: the offsets of publications, and the offset of a reset.
fn due(hub: &mut Hub<()>) -> (Vec<u64>, Option<u64>) {
    let (mut given, mut reset) = (Vec::new(), None);
    while let Some(due) = hub.poll_output() {
        match due {
            Due::Deliver { delivery, .. } => {
                given.extend(delivery.emission.into_iter().map(|one| one.position.offset));
            }
            Due::Reset { position, .. } => reset = Some(position.offset),
            other => panic!("{other:?}"),
        }
    }
    (given, reset)
}

#[test]
fn who_wants_only_what_is_new_is_given_nothing_at_first() {
    for pattern in ["job:1", "job:*"] {
        let mut hub = published(5, 3);
        let now = Instant::from_millis(2);
        hub.handle_subscribe(now, 0, &request(pattern, Start::New))
            .unwrap();
        assert_eq!(due(&mut hub), (Vec::new(), None), "{pattern}");
        let start = request(pattern, Start::Latest);
        hub.handle_subscribe(now, 0, &start).unwrap();
        assert_eq!(due(&mut hub), (Vec::from([3]), None), "{pattern}");
    }
}

#[test]
fn who_is_to_have_all_that_is_kept_is_told_where_that_begins() {
    let now = Instant::from_millis(2);
    for (count, given, begins) in [(3, 1..=3, None), (9, 5..=9, Some(4))] {
        for knows in [false, true] {
            let mut hub = published(5, count);
            let start = if knows {
                after(&hub, 0)
            } else {
                Start::Since(Vec::new())
            };
            let request = request("job:1", start);
            hub.subscribe(now, 0, &request, OnLoss::Kept).unwrap();
            assert_eq!(due(&mut hub), (given.clone().collect(), begins));
        }
    }
}

#[test]
fn what_somebody_has_missed_and_is_given_is_counted() {
    let mut hub = published(5, 4);
    let now = Instant::from_millis(2);
    for (offset, recovered) in [(4, 0), (2, 2), (1, 5)] {
        let start = after(&hub, offset);
        hub.handle_subscribe(now, 0, &request("job:1", start))
            .unwrap();
        assert_eq!(hub.recovered(), recovered);
    }
}

#[test]
fn what_is_too_old_to_be_kept_is_lost_to_who_comes_back() {
    let age = HubConfig::new(7).history.age_max;
    let early = Instant::from_millis(1) + age;
    for (now, lost) in [(early, false), (early + Duration::from_millis(1), true)] {
        let mut hub = published(5, 4);
        let start = after(&hub, 1);
        let request = request("job:1", start);
        let subscribed = hub.handle_subscribe(now, 0, &request).unwrap();
        assert_eq!(subscribed.recovered, !lost);
        let expected = if lost {
            (Vec::from([4]), Some(4))
        } else {
            (Vec::from([2, 3, 4]), None)
        };
        assert_eq!(due(&mut hub), expected);
    }
}

#[test]
fn an_id_as_a_number_tells_one_subscription_from_all_others() {
    let mut hub = published(5, 1);
    let mut numbers = Vec::new();
    for round in 0..3 {
        let start = request("job:1", Start::New);
        let now = Instant::from_millis(2);
        let id = hub.handle_subscribe(now, 0, &start).unwrap().id;
        assert!(id.to_u64() < 1 << 53);
        assert!(!numbers.contains(&id.to_u64()), "{round}");
        numbers.push(id.to_u64());
        if round == 0 {
            hub.handle_unsubscribe(id);
        }
    }
}
