//! A hub that grows to a million subscriptions over 100,000 topics and shrinks again: what a call takes, and the longest.
//!
//! Tables that grow copy what they hold, all at once: the longest calls are those.

mod harness;

use std::time::Duration;

use harness::{Bench, clock, scattered};
use tidegate_core::flow::Flow;
use tidegate_core::hub::{Hub, HubConfig, SubscriptionId};
use tidegate_core::protocol::{PublishRequest, Start, SubscribeRequest};
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};

const SUBSCRIPTIONS: usize = 1_000_000;
const TOPICS: usize = 100_000;

const WINDOW: Duration = Duration::from_secs(60);

/// How many calls are timed at once: asking for the time takes as long as one of them.
const BATCH: usize = 10;

fn main() {
    let bench = Bench::from_args();
    if !bench.wants("growth") {
        return;
    }
    let patterns: Vec<Pattern> = (0..TOPICS)
        .map(|number| Pattern::from(&topic(number)))
        .collect();
    let mut hub: Hub<()> = Hub::new(HubConfig::new(7));
    println!("\ngrowth: processor time of a call, from none to a million subscriptions and back");
    println!(
        "  {:28}  {:>9}  {:>9}  {:>9}",
        "", "median", "99.9 %", "longest"
    );

    let mut ids = Vec::with_capacity(SUBSCRIPTIONS);
    report("subscribe, growing", SUBSCRIPTIONS, |i| {
        let pattern = patterns[scattered(i as u64, TOPICS)].clone();
        let request = SubscribeRequest {
            start: Start::New,
            ..SubscribeRequest::new(pattern, Flow::throttle(WINDOW))
        };
        let subscribed = hub
            .handle_subscribe(Instant::ZERO, i as u32, &request)
            .expect("within the limits");
        ids.push(subscribed.id);
    });
    // What callers bring lies in the order of their calls, as if it had just come: only the hub's own memory is scattered.
    for name in ["publish, first of a topic", "publish, held back"] {
        let brought: Vec<Topic> = (0..TOPICS).map(|i| topic(i * 7_919 % TOPICS)).collect();
        let mut brought = brought.into_iter();
        report(name, TOPICS, |_| {
            let request = PublishRequest::new(brought.next().expect("one for each call"), ());
            hub.handle_publish(Instant::ZERO, request)
                .expect("the topic is live");
            while hub.poll_output().is_some() {}
        });
    }
    let half = SUBSCRIPTIONS / 2;
    let leaving: Vec<SubscriptionId> = (0..SUBSCRIPTIONS)
        .map(|i| ids[i * 7_919 % SUBSCRIPTIONS])
        .collect();
    report("unsubscribe, within a window", half, |i| {
        hub.handle_unsubscribe(leaving[i]);
    });
    hub.handle_timeout(Instant::ZERO + 2 * WINDOW);
    while hub.poll_output().is_some() {}
    report("unsubscribe", half, |i| {
        hub.handle_unsubscribe(leaving[half + i]);
    });
    assert_eq!(hub.counts().subscriptions, 0);
}

fn topic(number: usize) -> Topic {
    Topic::new(&format!("job:{number}")).expect("a valid topic")
}

fn report(name: &str, calls: usize, mut call: impl FnMut(usize)) {
    let mut took: Vec<Duration> = (0..calls / BATCH)
        .map(|batch| {
            let started = clock::now();
            (0..BATCH).for_each(|i| call(batch * BATCH + i));
            clock::since(started)
        })
        .collect();
    took.sort_unstable();
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    let of_a_call = |duration| micros(duration) / BATCH as f64;
    println!(
        "  {name:28}  {:>6.2} µs  {:>6.1} µs  {:>6.0} µs",
        of_a_call(took[took.len() / 2]),
        of_a_call(took[took.len() - 1 - took.len() / 1_000]),
        // Of a batch with such a call, it is all.
        micros(took[took.len() - 1]),
    );
}
