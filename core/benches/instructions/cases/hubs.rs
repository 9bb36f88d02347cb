//! The hub that owns its topics.

use std::hint::black_box;
use std::time::Duration;

use tidegate_core::flow::Flow;
use tidegate_core::history::HistoryLimits;
use tidegate_core::hub::{Hub, HubConfig};
use tidegate_core::protocol::{PublishRequest, Start, SubscribeRequest};
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};

use super::counted;

const SECOND: Duration = Duration::from_secs(1);
const TOPICS: u32 = 10_000;
const OPERATIONS: u32 = 1_000;

/// A hub that keeps the latest publications only, lest its memory grow while something else is counted.
fn empty() -> Hub<()> {
    Hub::new(HubConfig {
        history: HistoryLimits {
            count_max: 1,
            ..HistoryLimits::default()
        },
        ..HubConfig::new(7)
    })
}

fn topics() -> Vec<Topic> {
    (0..TOPICS)
        .map(|number| Topic::new(&format!("job:{number}")).expect("a valid topic"))
        .collect()
}

/// Which topic is next, in an order that looks random and comes to all.
fn scattered(number: u32) -> usize {
    (number * 7_919 % TOPICS) as usize
}

/// A subscriber to each topic.
fn watched(topics: &[Topic], flow: Flow) -> Hub<()> {
    let mut hub = empty();
    for (downlink, topic) in (0..).zip(topics) {
        subscribe_to(&mut hub, downlink, &request(topic.into(), flow));
    }
    hub
}

/// A hundred subscribers to one pattern.
fn crowded(pattern: &str, flow: Flow) -> Hub<()> {
    let mut hub = empty();
    let request = request(Pattern::new(pattern).expect("a valid pattern"), flow);
    for downlink in 0..100 {
        subscribe_to(&mut hub, downlink, &request);
    }
    hub
}

fn request(pattern: Pattern, flow: Flow) -> SubscribeRequest {
    SubscribeRequest {
        start: Start::New,
        ..SubscribeRequest::new(pattern, flow)
    }
}

fn subscribe_to(hub: &mut Hub<()>, downlink: u32, request: &SubscribeRequest) {
    hub.handle_subscribe(Instant::ZERO, downlink, request)
        .expect("within the limits");
}

fn publish(hub: &mut Hub<()>, now: Instant, topic: &Topic) {
    hub.handle_publish(now, PublishRequest::new(topic.clone(), ()))
        .expect("the topic is live");
    drain(hub);
}

fn drain(hub: &mut Hub<()>) {
    while let Some(due) = hub.poll_output() {
        black_box(due);
    }
}

pub(super) fn subscribe() {
    let topics = topics();
    let mut hub = watched(&topics, Flow::IMMEDIATE);
    let flow = Flow::throttle(SECOND);
    let requests = topics.iter().map(|topic| request(topic.into(), flow));
    let requests: Vec<SubscribeRequest> = requests.collect();
    counted(OPERATIONS, 1, |i| {
        subscribe_to(&mut hub, i, &requests[scattered(i)]);
    });
}

pub(super) fn unsubscribe() {
    let topics = topics();
    let mut hub = watched(&topics, Flow::IMMEDIATE);
    let ids: Vec<_> = (0..OPERATIONS)
        .map(|i| {
            let pattern = Pattern::from(&topics[scattered(i)]);
            let request = SubscribeRequest::new(pattern, Flow::IMMEDIATE);
            hub.handle_subscribe(Instant::ZERO, i, &request)
                .expect("within the limits")
                .id
        })
        .collect();
    counted(OPERATIONS, 1, |i| hub.handle_unsubscribe(ids[i as usize]));
}

pub(super) fn publish_1() {
    let topics = topics();
    let mut hub = watched(&topics, Flow::IMMEDIATE);
    topics
        .iter()
        .for_each(|topic| publish(&mut hub, Instant::ZERO, topic));
    counted(OPERATIONS, 1, |i| {
        publish(&mut hub, Instant::ZERO, &topics[scattered(i)]);
    });
}

/// Publications to a hundred subscribers, a microsecond apart; those that open windows are not counted.
fn fan_out(pattern: &str, flow: Flow) {
    let mut hub = crowded(pattern, flow);
    let topic = Topic::new("job:42").expect("a valid topic");
    publish(&mut hub, Instant::ZERO, &topic);
    publish(&mut hub, Instant::ZERO, &topic);
    counted(100, 100, |i| {
        publish(&mut hub, Instant::from_micros(u64::from(i)), &topic);
    });
}

pub(super) fn publish_100() {
    fan_out("job:42", Flow::IMMEDIATE);
}

pub(super) fn publish_100_by_pattern() {
    fan_out("job:*", Flow::IMMEDIATE);
}

pub(super) fn publish_100_held_back() {
    fan_out("job:42", Flow::throttle(SECOND));
}

pub(super) fn publish_100_debounced() {
    fan_out("job:42", Flow::debounce(SECOND));
}

pub(super) fn gates_due() {
    let topics = topics();
    let mut hub = watched(&topics, Flow::throttle(SECOND));
    for _ in 0..2 {
        topics
            .iter()
            .for_each(|topic| publish(&mut hub, Instant::ZERO, topic));
    }
    counted(1, TOPICS, |_| {
        hub.handle_timeout(Instant::ZERO + SECOND);
        drain(&mut hub);
    });
}
