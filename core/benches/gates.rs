//! Gates and their deadlines: values held back, deadlines moved, deadlines reached.

mod harness;

use std::hint::black_box;
use std::time::Duration;

use harness::{Bench, Group, scattered, timed};
use tidegate_core::flow::Flow;
use tidegate_core::gate::Gate;
use tidegate_core::history::HistoryLimits;
use tidegate_core::hub::{Hub, HubConfig};
use tidegate_core::protocol::{PublishRequest, Start, SubscribeRequest};
use tidegate_core::publication::Combine;
use tidegate_core::time::Instant;
use tidegate_core::timer::Timers;
use tidegate_core::topic::{Pattern, Topic};

const TOPICS: usize = 10_000;
const DEADLINES: usize = 1_000_000;
const EVERY: Duration = Duration::from_secs(1);

fn main() {
    let bench = Bench::from_args();
    if bench.wants("gates/held_back") {
        held_back(&bench);
    }
    if bench.wants("gates/debounce") {
        debounce(&bench);
    }
    if bench.wants("gates/due") {
        due(&bench);
    }
    if bench.wants("gates/deadlines") {
        deadlines(&bench);
    }
}

/// A value as small as can be, so that the gates' own work shows.
#[derive(Clone, Copy)]
struct Value(u64);

impl Combine for Value {
    fn merge_over(self, _older: &Self) -> Self {
        self
    }

    fn add_to(self, older: &Self) -> Self {
        Self(self.0 + older.0)
    }
}

/// Gates with their deadlines, as a hub keeps them.
struct Gates {
    gates: Vec<Gate<Value>>,
    timers: Timers,
}

impl Gates {
    fn new(count: usize, flow: Flow) -> Self {
        Self {
            gates: (0..count).map(|_| Gate::new(flow)).collect(),
            timers: Timers::new(),
        }
    }

    fn handle_value(&mut self, now: Instant, index: usize, value: Value) {
        self.gates[index].handle_value(now, value);
        self.drain(index);
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(index) = self.timers.expire(now) {
            self.gates[index as usize].handle_timeout(now);
            self.drain(index as usize);
        }
    }

    fn drain(&mut self, index: usize) {
        let gate = &mut self.gates[index];
        while let Some(emission) = gate.poll_output() {
            black_box(emission);
        }
        if let Some(at) = gate.poll_timeout() {
            self.timers.arm(index as u32, at);
        }
    }
}

/// Values within a throttle's window, for one of 10,000 topics each.
#[expect(
    clippy::disallowed_types,
    reason = "asked and never iterated: what a program without gates would use"
)]
fn held_back(bench: &Bench) {
    use std::collections::HashMap;

    let topics = topics();
    let now = Instant::from_millis(1);
    let mut latest: HashMap<&Topic, Value> = topics.iter().map(|t| (t, Value(0))).collect();
    let mut gates = Gates::new(TOPICS, Flow::throttle(EVERY));
    (0..TOPICS).for_each(|index| gates.handle_value(now, index, Value(0)));
    let mut hub = throttled_hub(&topics);

    let mut group = Group::new(
        "gates/held_back",
        "value, for one of 10,000 throttled topics",
    );
    group.case("no gate: the value into a HashMap by topic", 1, |n| {
        timed(n, |i| {
            if let Some(value) = latest.get_mut(&topics[scattered(i, TOPICS)]) {
                *black_box(value) = Value(i);
            }
        })
    });
    group.case("gate and timer, found by index", 1, |n| {
        timed(n, |i| {
            gates.handle_value(now, scattered(i, TOPICS), Value(i))
        })
    });
    group.case("hub: published, routed, held back", 1, |n| {
        timed(n, |i| publish(&mut hub, now, &topics[scattered(i, TOPICS)]))
    });
    bench.measure(group);
}

/// Every value moves a deadline later.
fn debounce(bench: &Bench) {
    let mut group = Group::new("gates/debounce", "value that moves a deadline");
    for count in [TOPICS, DEADLINES] {
        let mut gates = Gates::new(count, Flow::debounce(EVERY));
        let mut now = Instant::ZERO;
        let mut values = 0;
        let mut handle_next = move || {
            // Slow enough that no value comes too late for its gate.
            now = now + Duration::from_micros(values % 2);
            let index = scattered(values.wrapping_mul(values), count);
            gates.handle_value(now, index, Value(values));
            gates.handle_timeout(now);
            values += 1;
        };
        // Until every gate waits, and every deadline has been put off.
        (0..6 * count).for_each(|_| handle_next());
        group.case(format!("gate and timer, one of {count}"), 1, move |n| {
            timed(n, |_| handle_next())
        });
    }
    bench.measure(group);
}

/// All gates are due at once, each with a value.
fn due(bench: &Bench) {
    let topics = topics();
    let mut group = Group::new_large("gates/due", "gate of 10,000 that are due at once");
    group.case("gate and timer", TOPICS as u64, |_| {
        let mut gates = Gates::new(TOPICS, Flow::throttle(EVERY));
        for i in 0..2 * TOPICS {
            gates.handle_value(Instant::ZERO, i % TOPICS, Value(0));
        }
        timed(1, |_| gates.handle_timeout(Instant::ZERO + EVERY))
    });
    group.case("hub", TOPICS as u64, |_| {
        let mut hub = throttled_hub(&topics);
        for _ in 0..2 {
            topics
                .iter()
                .for_each(|topic| publish(&mut hub, Instant::ZERO, topic));
        }
        timed(1, |_| {
            hub.handle_timeout(Instant::ZERO + EVERY);
            drain(&mut hub);
        })
    });
    bench.measure(group);
}

/// Timers alone, a million of them armed.
fn deadlines(bench: &Bench) {
    let mut group = Group::new("gates/deadlines", "operation, 1,000,000 armed");
    let armed = || {
        let mut timers = Timers::new();
        (0..DEADLINES as u32).for_each(|key| {
            let at = scattered(u64::from(key), DEADLINES) as u64;
            timers.arm(key, Instant::from_micros(at + 1));
        });
        timers
    };
    let mut timers = armed();
    let mut latest = DEADLINES as u64 + 1;
    group.case("one moves to the end", 1, move |n| {
        timed(n, |i| {
            latest += 1;
            let key = scattered(i, DEADLINES) as u32;
            timers.arm(key, Instant::from_micros(latest));
        })
    });
    let mut timers = armed();
    let mut latest = DEADLINES as u64 + 1;
    group.case("the first is due, and armed again", 1, move |n| {
        timed(n, |_| {
            latest += 1;
            if let Some(key) = timers.expire(Instant::from_micros(u64::MAX)) {
                timers.arm(key, Instant::from_micros(latest));
            }
        })
    });
    let mut timers = armed();
    group.case("none is due: the host asks, and sleeps", 1, move |n| {
        timed(n, |_| {
            black_box(timers.expire(black_box(Instant::ZERO)));
            black_box(timers.poll_timeout());
        })
    });
    bench.measure(group);
}

fn topics() -> Vec<Topic> {
    (0..TOPICS)
        .map(|i| Topic::new(&format!("job:{i}")).expect("a valid topic"))
        .collect()
}

/// A hub with a throttled subscriber to each topic. It keeps the latest publications only, so that values held
/// back are measured and not a history that grows.
fn throttled_hub(topics: &[Topic]) -> Hub<()> {
    let mut hub = Hub::new(HubConfig {
        history: HistoryLimits {
            count_max: 1,
            ..HistoryLimits::default()
        },
        ..HubConfig::new(7)
    });
    for (downlink, topic) in (0..).zip(topics) {
        let request = SubscribeRequest {
            start: Start::New,
            ..SubscribeRequest::new(Pattern::from(topic), Flow::throttle(EVERY))
        };
        hub.handle_subscribe(Instant::ZERO, downlink, &request)
            .expect("within the limits");
    }
    hub
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
