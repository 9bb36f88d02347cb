//! The limit on what all histories keep together.

use alloc::format;

use proptest::prelude::*;

use super::*;
use crate::flow::Flow;
use crate::hub::{Hub, PublishError};
use crate::payload::opaque::Opaque;
use crate::protocol::{PublishRequest, Start, SubscribeRequest, TopicPosition};

/// A payload that has only a size.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bytes(usize);

impl Opaque for Bytes {
    fn bytes(&self) -> usize {
        self.0
    }
}

fn topic(number: usize) -> Topic {
    Topic::new(&format!("job:{number}")).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Publish {
        topic: usize,
        bytes: usize,
        ends: bool,
    },
    Skip(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let publish = (0..3_usize, 0..40_usize, prop::bool::weighted(0.1));
    prop_oneof![
        8 => publish.prop_map(|(topic, bytes, ends)| Step::Publish { topic, bytes, ends }),
        1 => (0..3_usize).prop_map(Step::Skip),
    ]
}

proptest! {
    #[test]
    fn histories_keep_no_more_than_there_is_room_for_and_what_they_keep_is_counted(
        bytes_max in 1..200_usize,
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let mut config = HubConfig::new(7);
        config.retained_bytes_max = bytes_max;
        let mut hub: Hub<Bytes> = Hub::new(config);
        let now = Instant::from_millis(1);
        let kept = |hub: &Hub<Bytes>, number| {
            let index = hub.topics.find(&topic(number));
            index.map_or(0, |index| hub.topics.get(index).history.kept().map(|one| one.payload.0).sum())
        };
        let all = |hub: &Hub<Bytes>| -> usize { (0..3).map(|number| kept(hub, number)).sum() };
        for step in steps {
            match step {
                Step::Publish { topic: to, bytes, ends } => {
                    let elsewhere = all(&hub) - kept(&hub, to);
                    let is_full = elsewhere + bytes > bytes_max;
                    let whole = all(&hub) + bytes <= bytes_max;
                    let before = hub.topics.find(&topic(to)).map_or(0, |index| hub.topics.get(index).history.len());
                    let ended = hub.latest(&topic(to)).is_some_and(|latest| latest.is_terminal());
                    let mut request = PublishRequest::new(topic(to), Bytes(bytes));
                    request.restart = true;
                    request.end = ends.then_some(EndReason::Complete.into());
                    let expected = Err(PublishError::Full { bytes_max });
                    let published = hub.handle_publish(now, request);
                    prop_assert_eq!(published == expected, is_full, "{:?}", published);
                    if !is_full && !ended {
                        let after = hub.topics.get(hub.topics.find(&topic(to)).unwrap()).history.len();
                        prop_assert_eq!(after, if whole { before + 1 } else { 1 });
                    }
                }
                Step::Skip(number) => {
                    if let Some(index) = hub.topics.find(&topic(number)) {
                        let Position { offset, .. } = hub.topics.get(index).history.position();
                        hub.topics.skip_to(index, offset + 3);
                    }
                }
            }
            prop_assert_eq!(hub.topics.retained_bytes, all(&hub));
            prop_assert!(all(&hub) <= bytes_max);
        }
    }
}

#[test]
fn what_is_too_old_and_what_is_forgotten_makes_room() {
    let config = HubConfig::new(7);
    let (age_max, retention) = (config.history.age_max, config.retention);
    let mut hub: Hub<Bytes> = Hub::new(config);
    let begin = Instant::from_millis(1);
    for _ in 0..3 {
        let request = PublishRequest::new(topic(1), Bytes(30));
        hub.handle_publish(begin, request).unwrap();
    }
    assert_eq!(hub.topics.retained_bytes, 90);
    let since = Vec::from([TopicPosition {
        topic: topic(1),
        position: Position::default(),
    }]);
    let request = SubscribeRequest {
        start: Start::Since(since),
        ..SubscribeRequest::new(Pattern::from(&topic(1)), Flow::IMMEDIATE)
    };
    let later = begin + age_max + Duration::from_millis(1);
    let id = hub.handle_subscribe(later, 0, &request).unwrap().id;
    assert_eq!(hub.topics.retained_bytes, 30);
    hub.handle_unsubscribe(id);
    hub.handle_timeout(later + retention);
    assert_eq!(hub.topics.len(), 0);
    assert_eq!(hub.topics.retained_bytes, 0);
}

#[test]
fn what_is_as_large_as_it_may_be_is_taken() {
    let mut config = HubConfig::new(7);
    config.payload_bytes_max = 10;
    let mut hub: Hub<Bytes> = Hub::new(config);
    let mut publish = |bytes, id_bytes| {
        let mut request = PublishRequest::new(topic(1), Bytes(bytes));
        request.id = Some("k".repeat(id_bytes));
        hub.handle_publish(Instant::from_millis(1), request)
    };
    let id_bytes_max = crate::limits::IDEMPOTENCY_KEY_BYTES_MAX;
    assert!(publish(10, id_bytes_max).is_ok());
    let bytes_max = 10;
    let too_large = PublishError::PayloadTooLarge {
        bytes: 11,
        bytes_max,
    };
    assert_eq!(publish(11, 1), Err(too_large));
    let bytes = id_bytes_max + 1;
    assert_eq!(publish(1, bytes), Err(PublishError::KeyTooLong { bytes }));
}
