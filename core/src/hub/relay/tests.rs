//! Joining others, reporting losses, and what the uplink is asked for: a relay by itself, whose uplink does what the
//! test says.

mod uplinks;

use core::num::NonZeroU32;
use core::time::Duration;

use super::*;
use crate::flow::Conflate;
use crate::protocol::TopicPosition;

/// What a subscriber was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    At(u64),
    Reset,
    Lagged(u64),
    Ended,
}
use Told::{At, Ended, Lagged, Reset};

struct Scene {
    relay: Relay<()>,
    pattern: Pattern,
    now: Instant,
    told: Vec<(SubscriptionId, Told)>,
    asked: Vec<Interest>,
}

impl Scene {
    fn new(pattern: &str) -> Self {
        Self {
            relay: Relay::new(),
            pattern: Pattern::new(pattern).unwrap(),
            now: Instant::from_millis(1),
            told: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// A relay whose uplink has confirmed the first subscriber, which wants everything, and has sent publications up to
    /// this one.
    fn followed(pattern: &str, last: u64) -> (Self, SubscriptionId) {
        let mut scene = Self::new(pattern);
        let first = scene.subscribe(Flow::IMMEDIATE, Start::Latest);
        scene.relay.handle_subscribed(&scene.pattern);
        (1..=last).for_each(|offset| scene.publish(offset));
        scene.told(first);
        scene.asked();
        (scene, first)
    }

    fn subscribe(&mut self, flow: Flow, start: Start) -> SubscriptionId {
        let mut request = SubscribeRequest::new(self.pattern.clone(), flow);
        request.start = start;
        self.relay.handle_subscribe(self.now, 0, request).unwrap()
    }

    fn publish(&mut self, offset: u64) {
        self.relay
            .handle_publication(self.now, &self.pattern, &at(offset));
    }

    fn batch(&mut self, offsets: core::ops::RangeInclusive<u64>) {
        let items: Vec<_> = offsets.map(at).collect();
        self.relay.handle_batch(self.now, &self.pattern, &items);
    }

    fn drain(&mut self) {
        while let Some(due) = self.relay.poll_output() {
            match due {
                RelayDue::Interest(interest) => self.asked.push(interest),
                RelayDue::Due(Due::Deliver { delivery, .. }) => {
                    let id = delivery.subscription;
                    let items = delivery.emission.into_iter();
                    self.told
                        .extend(items.map(|item| (id, At(item.position.offset))));
                }
                RelayDue::Due(Due::Reset { subscription, .. }) => {
                    self.told.push((subscription, Reset));
                }
                RelayDue::Due(Due::Lagged {
                    subscription,
                    missed,
                    ..
                }) => self.told.push((subscription, Lagged(missed))),
                RelayDue::Due(
                    Due::End { subscription, .. } | Due::Refused { subscription, .. },
                ) => {
                    self.told.push((subscription, Ended));
                }
            }
        }
    }

    /// What a subscriber was sent since the last call.
    fn told(&mut self, id: SubscriptionId) -> Vec<Told> {
        self.drain();
        let own = self.told.extract_if(.., |(known, _)| *known == id);
        own.map(|(_, told)| told).collect()
    }

    /// What the uplink was asked for since the last call.
    fn asked(&mut self) -> Vec<Interest> {
        self.drain();
        core::mem::take(&mut self.asked)
    }

    fn rewind(&self, start: Start) -> Interest {
        Interest::Rewind {
            pattern: self.pattern.clone(),
            start,
        }
    }

    fn reflow(&self, flow: Flow) -> Interest {
        Interest::Reflow {
            pattern: self.pattern.clone(),
            flow,
        }
    }
}

fn topic(text: &str) -> Topic {
    Topic::new(text).unwrap()
}

fn at(offset: u64) -> Arc<Publication<()>> {
    Arc::new(Publication {
        topic: topic("job:1"),
        position: Position { epoch: 1, offset },
        payload: (),
        end: None,
    })
}

fn since(text: &str, epoch: u64, offset: u64) -> Start {
    Start::Since(Vec::from([TopicPosition {
        topic: topic(text),
        position: Position { epoch, offset },
    }]))
}

/// A flow for which the latest value is enough.
fn throttled() -> Flow {
    Flow::throttle(Duration::from_millis(200))
}

fn collecting() -> Flow {
    throttled().with_conflate(Conflate::Collect {
        max: NonZeroU32::new(3).unwrap(),
    })
}

#[test]
fn a_loss_is_told_once_to_all_who_lose_by_it_and_to_those_who_join_before_it_shows() {
    let (mut scene, first) = Scene::followed("job:*", 1);
    let content = scene.subscribe(throttled(), Start::Latest);
    assert_eq!(scene.told(content), [At(1)]);
    scene.relay.handle_lagged(&scene.pattern, 3);
    assert_eq!(scene.told(first), [Lagged(3)]);
    assert_eq!(scene.told(content), []);
    let late = scene.subscribe(Flow::IMMEDIATE, Start::Latest);
    assert_eq!(scene.told(late), [Lagged(3), At(1)]);
    let late_and_content = scene.subscribe(throttled(), Start::Latest);
    assert_eq!(scene.told(late_and_content), [At(1)]);
    let waits = scene.subscribe(Flow::IMMEDIATE, since("job:2", 1, 3));
    assert_eq!(scene.told(waits), [], "what it starts with comes again");
    scene.publish(5);
    for id in [first, late] {
        assert_eq!(scene.told(id), [At(5)], "that was told");
    }
    scene.publish(8);
    for id in [first, late] {
        assert_eq!(scene.told(id), [Lagged(2), At(8)]);
    }
    assert_eq!(scene.told(waits), []);
}

#[test]
fn who_collects_is_told_what_is_missing_before_a_batch() {
    let mut scene = Scene::new("job:1");
    let collects = scene.subscribe(collecting(), Start::Latest);
    scene.relay.handle_subscribed(&scene.pattern);
    scene.batch(1..=2);
    assert_eq!(scene.told(collects), [At(1), At(2)]);
    // The batch was full, and so came early; the uplink has applied the pace.
    scene.batch(3..=4);
    assert_eq!(scene.told(collects), [At(3), At(4)]);
    scene.batch(7..=8);
    assert_eq!(scene.told(collects), [Lagged(2), At(7), At(8)]);
}

#[test]
fn who_wants_what_is_new_is_given_the_end_that_others_have_seen_but_nothing_else() {
    for (pattern, given) in [("job:1", &[At(2)][..]), ("job:*", &[])] {
        let (mut scene, first) = Scene::followed(pattern, 1);
        let early = scene.subscribe(Flow::IMMEDIATE, Start::New);
        assert_eq!(scene.told(early), []);
        let terminal = Arc::new(Publication {
            end: Some(EndReason::Complete),
            ..Publication::clone(&at(2))
        });
        scene
            .relay
            .handle_publication(scene.now, &scene.pattern, &terminal);
        for id in [first, early] {
            assert_eq!(scene.told(id), [At(2)]);
        }
        let late = scene.subscribe(Flow::IMMEDIATE, Start::New);
        assert_eq!(scene.told(late), given, "{pattern}");
        scene.relay.handle_end(&scene.pattern, EndReason::Complete);
        for id in [first, early, late] {
            assert_eq!(scene.told(id), [Ended]);
        }
    }
}

#[test]
fn the_uplink_goes_back_for_who_misses_more_than_the_latest_and_for_nobody_else() {
    for (pattern, flow, start, given) in [
        (
            "job:1",
            Flow::IMMEDIATE,
            since("job:1", 1, 5),
            Some(&[][..]),
        ),
        (
            "job:1",
            Flow::IMMEDIATE,
            since("job:1", 1, 4),
            Some(&[At(5)]),
        ),
        ("job:1", Flow::IMMEDIATE, since("job:1", 1, 3), None),
        (
            "job:1",
            Flow::IMMEDIATE,
            since("job:1", 2, 3),
            Some(&[Reset, At(5)]),
        ),
        (
            "job:1",
            Flow::IMMEDIATE,
            Start::Since(Vec::new()),
            Some(&[At(5)]),
        ),
        ("job:*", Flow::IMMEDIATE, Start::Since(Vec::new()), None),
        (
            "job:*",
            Flow::IMMEDIATE,
            since("job:1", 1, 4),
            Some(&[At(5)]),
        ),
        // No subscriber here has seen anything of the other topic.
        ("job:*", Flow::IMMEDIATE, since("job:2", 1, 1), None),
        ("job:1", throttled(), since("job:1", 1, 3), Some(&[At(5)])),
        (
            "job:1",
            throttled(),
            since("job:1", 2, 3),
            Some(&[Reset, At(5)]),
        ),
        (
            "job:*",
            throttled(),
            Start::Since(Vec::new()),
            Some(&[At(5)]),
        ),
        ("job:1", collecting(), since("job:1", 1, 3), None),
    ] {
        let (mut scene, _) = Scene::followed(pattern, 5);
        let id = scene.subscribe(flow, start.clone());
        let told = scene.told(id);
        assert_eq!(told, given.unwrap_or_default(), "{pattern} {start:?}");
        let goes_back = scene.rewind(start);
        let is_asked = scene.asked().contains(&goes_back);
        assert_eq!(is_asked, given.is_none(), "{goes_back:?}");
    }
}

#[test]
fn before_the_uplink_has_begun_who_starts_as_the_first_is_given_what_that_is() {
    for (start, waits) in [
        (since("job:1", 1, 3), false),
        (Start::New, false),
        (Start::Latest, true),
        (since("job:1", 1, 2), true),
    ] {
        let mut scene = Scene::new("job:1");
        scene.subscribe(Flow::IMMEDIATE, since("job:1", 1, 3));
        let id = scene.subscribe(Flow::IMMEDIATE, start);
        scene.publish(4);
        let given = if waits { &[][..] } else { &[At(4)] };
        assert_eq!(scene.told(id), given);
    }
}

#[test]
fn who_knows_that_a_topic_has_not_begun_need_not_wait_for_it() {
    for (epoch, waits) in [(0, false), (1, true)] {
        let (mut scene, _) = Scene::followed("job:1", 0);
        let id = scene.subscribe(Flow::IMMEDIATE, since("job:1", epoch, 0));
        let goes_back = scene.rewind(since("job:1", epoch, 0));
        assert_eq!(scene.asked().contains(&goes_back), waits);
        scene.publish(1);
        let given = if waits { &[][..] } else { &[At(1)] };
        assert_eq!(scene.told(id), given);
    }
}

#[test]
fn who_adds_up_beside_others_waits_where_what_comes_may_be_a_sum_already() {
    let sum = throttled().with_conflate(Conflate::Sum);
    for (first, waits) in [(Flow::IMMEDIATE, false), (sum, true)] {
        let mut scene = Scene::new("job:1");
        scene.subscribe(first, Start::Latest);
        scene.relay.handle_subscribed(&scene.pattern);
        scene.publish(1);
        let id = scene.subscribe(sum, Start::Latest);
        let given = if waits { &[][..] } else { &[At(1)] };
        assert_eq!(scene.told(id), given);
    }
}

#[test]
fn a_device_that_goes_back_has_everything_sent_and_is_told_of_what_is_lost_behind_its_cursor() {
    let mut scene = Scene::new("job:1");
    let first = scene.subscribe(throttled(), Start::Latest);
    scene.relay.handle_subscribed(&scene.pattern);
    scene.asked();
    assert!(!scene.relay.is_whole(&scene.pattern));
    let (now, pattern) = (scene.now, scene.pattern.clone());
    let request = SubscribeRequest::new(pattern.clone(), throttled());
    let mut join = |goes_back| {
        let relay = &mut scene.relay;
        relay.handle_subscribe_device(now, 0, &request, goes_back)
    };
    let device = join(true).unwrap();
    let later = join(false).unwrap();
    assert_eq!(scene.asked(), [scene.reflow(Flow::IMMEDIATE)]);
    assert!(!scene.relay.is_whole(&pattern));
    scene.relay.handle_rewinding(&pattern, true);
    let lost = Position {
        epoch: 1,
        offset: 2,
    };
    scene
        .relay
        .handle_repeat_reset(now, &pattern, &topic("job:1"), lost);
    scene.relay.handle_repeat(now, &pattern, &at(3), false);
    assert_eq!(scene.told(device), [Reset, At(3)]);
    for id in [first, later] {
        assert_eq!(scene.told(id), []);
    }
    scene.relay.handle_rewound(now, &pattern);
    assert_eq!(scene.asked(), [scene.reflow(throttled())]);
}

#[test]
fn when_the_last_device_leaves_the_uplink_goes_back_and_sends_everything_meanwhile() {
    let mut scene = Scene::new("job:1");
    assert!(scene.relay.is_whole(&scene.pattern), "nobody follows it");
    scene.subscribe(throttled(), Start::Latest);
    scene.relay.handle_subscribed(&scene.pattern);
    scene.asked();
    let pattern = scene.pattern.clone();
    scene.relay.handle_no_device(scene.now, &pattern);
    let asked = [scene.reflow(Flow::IMMEDIATE), scene.rewind(Start::New)];
    assert_eq!(scene.asked(), asked);
    scene.relay.handle_rewinding(&pattern, false);
    scene.relay.handle_rewound(scene.now, &pattern);
    assert_eq!(scene.asked(), [scene.reflow(throttled())]);
}

#[test]
fn what_comes_is_whole_where_nothing_conflates_and_nothing_comes_again() {
    let (mut scene, _) = Scene::followed("job:1", 5);
    assert!(scene.relay.is_whole(&scene.pattern));
    scene.subscribe(Flow::IMMEDIATE, since("job:1", 1, 1));
    assert!(!scene.relay.is_whole(&scene.pattern));
}
