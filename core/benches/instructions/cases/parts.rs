//! The small machines.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::flow::Flow;
use tidegate_core::gate::{Emission, Gate};
use tidegate_core::history::{History, HistoryLimits, Recovery};
use tidegate_core::hub::{Due, Hub, HubConfig};
use tidegate_core::outbox::{Delivery, Outbox};
use tidegate_core::protocol::{PublishRequest, SubscribeRequest};
use tidegate_core::publication::{Combine, Position};
use tidegate_core::router::Router;
use tidegate_core::time::Instant;
use tidegate_core::timer::Timers;
use tidegate_core::topic::{Pattern, Topic};

use super::counted;

const SEED: u64 = 7;
const OPERATIONS: u32 = 1_000;
const TOPICS: u32 = 10_000;

fn topic(number: u32) -> Topic {
    Topic::new(&format!("job:{number}")).expect("a valid topic")
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).expect("a valid pattern")
}

/// A number below `limit` that looks random.
fn scattered(number: u32, limit: u32) -> u32 {
    number.wrapping_mul(0x9E37_79B1) % limit
}

fn router() -> (Router<u32>, Vec<Topic>) {
    let mut router = Router::new(SEED);
    let topics: Vec<Topic> = (0..TOPICS).map(topic).collect();
    for (number, topic) in (0..).zip(&topics) {
        router.subscribe(&Pattern::from(topic), number);
        router.subscribe(&pattern(&format!("tenant:{number}:*")), number);
    }
    (router, topics)
}

pub(super) fn router_subscribe() {
    let (mut router, topics) = router();
    let patterns: Vec<Pattern> = topics.iter().map(Pattern::from).collect();
    counted(OPERATIONS, 1, |i| {
        let pattern = &patterns[scattered(i, TOPICS) as usize];
        let ticket = router.subscribe(black_box(pattern), i);
        black_box(router.unsubscribe(ticket));
    });
}

pub(super) fn router_exact() {
    let (router, topics) = router();
    counted(OPERATIONS, 1, |i| {
        let topic = &topics[scattered(i, TOPICS) as usize];
        router.for_each_match(black_box(topic), |route| {
            router.subscribers(route).for_each(|subscriber| {
                black_box(subscriber);
            });
        });
    });
}

pub(super) fn router_pattern() {
    let (router, _) = router();
    let topics: Vec<Topic> = (0..OPERATIONS)
        .map(|i| Topic::new(&format!("tenant:{}:log", scattered(i, TOPICS))).expect("valid"))
        .collect();
    counted(OPERATIONS, 1, |i| {
        router.for_each_match(black_box(&topics[i as usize]), |route| {
            black_box(route);
        });
    });
}

fn full_history() -> (History<()>, Topic, HistoryLimits) {
    let (topic, limits) = (topic(0), HistoryLimits::default());
    let mut history = History::new(1);
    for _ in 0..limits.count_max {
        history.append(Instant::ZERO, &topic, (), None, &limits);
    }
    (history, topic, limits)
}

pub(super) fn history_append() {
    let (mut history, topic, limits) = full_history();
    counted(OPERATIONS, 1, |_| {
        black_box(history.append(Instant::ZERO, black_box(&topic), (), None, &limits));
    });
}

pub(super) fn history_recover() {
    let (history, ..) = full_history();
    let position = history.position();
    let since = Position {
        offset: position.offset - 100,
        ..position
    };
    counted(OPERATIONS / 10, 1, |_| {
        match history.since(black_box(since)) {
            Recovery::Whole(missed) => assert_eq!(black_box(missed).len(), 100),
            Recovery::Lost(_) => unreachable!("all of it is kept"),
        }
    });
}

fn armed_timers() -> Timers {
    let mut timers = Timers::new();
    for key in 0..TOPICS {
        timers.arm(key, Instant::from_micros(u64::from(scattered(key, TOPICS))));
    }
    timers
}

pub(super) fn timers_move() {
    let mut timers = armed_timers();
    counted(OPERATIONS, 1, |i| {
        timers.arm(
            scattered(i, TOPICS),
            Instant::from_micros(u64::from(TOPICS + i)),
        );
    });
}

pub(super) fn timers_expire() {
    let mut timers = armed_timers();
    counted(OPERATIONS, 1, |i| {
        if let Some(key) = timers.expire(Instant::from_micros(u64::from(TOPICS))) {
            timers.arm(key, Instant::from_micros(u64::from(TOPICS + i)));
        }
    });
}

/// A value that is only passed on.
#[derive(Clone, Copy)]
struct Value(u32);

impl Combine for Value {
    fn merge_over(self, _older: &Self) -> Self {
        self
    }

    fn add_to(self, older: &Self) -> Self {
        Self(self.0 + older.0)
    }
}

fn through_a_gate(flow: Flow) {
    let mut gate = Gate::new(flow);
    gate.handle_value(Instant::ZERO, Value(0));
    while gate.poll_output().is_some() {}
    counted(OPERATIONS, 1, |i| {
        gate.handle_value(Instant::from_micros(u64::from(i)), Value(i));
        while let Some(emission) = gate.poll_output() {
            black_box(emission);
        }
        black_box(gate.poll_timeout());
    });
}

pub(super) fn gate_hold_back() {
    through_a_gate(Flow::throttle(Duration::from_secs(1)));
}

pub(super) fn gate_debounce() {
    through_a_gate(Flow::debounce(Duration::from_secs(1)));
}

pub(super) fn outbox_push_pop() {
    let mut hub: Hub<()> = Hub::new(HubConfig::new(SEED));
    let topic = topic(0);
    let request = SubscribeRequest::new(Pattern::from(&topic), Flow::IMMEDIATE);
    let subscribed = hub.handle_subscribe(Instant::ZERO, 0, &request);
    assert!(subscribed.is_ok());
    assert!(
        hub.handle_publish(Instant::ZERO, PublishRequest::new(topic, ()))
            .is_ok()
    );
    let Some(Due::Deliver { delivery, .. }) = hub.poll_output() else {
        unreachable!("it was published after the subscription")
    };
    let Emission::One(publication) = delivery.emission else {
        unreachable!("an immediate flow emits each by itself")
    };
    let mut outbox = Outbox::new(1 << 20);
    counted(OPERATIONS, 1, |_| {
        outbox.push_delivery(Delivery {
            subscription: delivery.subscription,
            via: None,
            conflate: None,
            emission: Emission::One(Arc::clone(&publication)),
        });
        black_box(outbox.pop());
    });
}
