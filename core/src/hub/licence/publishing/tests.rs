use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::super::tests::host::Text;
use crate::flow::{Conflate, Flow, Pace};
use crate::gate::Emission;
use crate::history::HistoryLimits;
use crate::hub::{Due, Hub, HubConfig, SubscriptionId};
use crate::lifecycle::EndReason;
use crate::protocol::{PublishRequest, Start, SubscribeRequest, TopicPosition};
use crate::publication::Position;
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

const PATTERNS: [&str; 4] = ["a:1", "a:2", "a:*", "**"];
const TOPICS: [&str; 2] = ["a:1", "a:2"];

#[derive(Clone, Debug)]
enum Begin {
    Latest,
    New,
    /// After all but this many of each topic's publications.
    Since(u64),
}

#[derive(Clone, Debug)]
enum Step {
    Subscribe {
        pattern: usize,
        pace: usize,
        begin: Begin,
    },
    Unsubscribe {
        which: usize,
    },
    Reflow {
        which: usize,
        pace: usize,
    },
    Publish {
        topic: usize,
        ends: bool,
        key: bool,
    },
    /// Time passes; a late host does not look at what has become due.
    Wait {
        ms: u64,
        late: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let begin = prop_oneof![
        Just(Begin::Latest),
        Just(Begin::New),
        (0..8u64).prop_map(Begin::Since),
    ];
    prop_oneof![
        2 => (0..PATTERNS.len(), pace(), begin)
            .prop_map(|(pattern, pace, begin)| Step::Subscribe { pattern, pace, begin }),
        1 => (0..8usize).prop_map(|which| Step::Unsubscribe { which }),
        1 => (0..8usize, pace()).prop_map(|(which, pace)| Step::Reflow { which, pace }),
        12 => (0..TOPICS.len(), prop::bool::weighted(0.05), prop::bool::weighted(0.1))
            .prop_map(|(topic, ends, key)| Step::Publish { topic, ends, key }),
        2 => (prop_oneof![0..150u64, 0..3000u64], any::<bool>())
            .prop_map(|(ms, late)| Step::Wait { ms, late }),
    ]
}

/// Mostly no pace.
fn pace() -> impl Strategy<Value = usize> {
    prop_oneof![6 => Just(0), 4 => 1..PACES]
}

const PACES: usize = 7;

fn flow(pace: usize) -> Flow {
    let ms = Duration::from_millis;
    let debounced = |max_wait, leading, trailing| Flow {
        pace: Pace::Debounce {
            quiet: ms(80),
            max_wait,
            leading,
            trailing,
        },
        ..Flow::IMMEDIATE
    };
    let throttled = |leading, trailing| Flow {
        pace: Pace::Throttle {
            every: ms(100),
            leading,
            trailing,
        },
        ..Flow::IMMEDIATE
    };
    match pace {
        0 => Flow::IMMEDIATE,
        1 => throttled(true, true),
        2 => throttled(false, true),
        3 => throttled(true, false),
        4 => debounced(None, false, true),
        5 => debounced(Some(ms(120)), true, true),
        _ => Flow {
            conflate: Conflate::Sum,
            ..throttled(true, true)
        },
    }
}

fn topic(number: usize) -> Topic {
    Topic::new(TOPICS[number]).expect("a topic")
}

/// What a host remembers for a topic with a licence.
struct Licence {
    ids: Vec<SubscriptionId>,
    position: Position,
    kept: usize,
    until: Option<Instant>,
}

/// A host that publishes by licence, or one that asks each time.
struct Host {
    hub: Hub<Text>,
    takes_licences: bool,
    now: Instant,
    ids: Vec<SubscriptionId>,
    licences: BTreeMap<usize, Licence>,
    untold: BTreeMap<usize, VecDeque<(Instant, u64, Text)>>,
    changes: u64,
    spared: usize,
    log: Vec<String>,
}

impl Host {
    fn new(takes_licences: bool) -> Self {
        let config = HubConfig {
            history: HistoryLimits {
                count_max: 4,
                age_max: Duration::from_secs(1),
                ..HistoryLimits::default()
            },
            retention: Duration::from_secs(2),
            ..HubConfig::new(7)
        };
        Self {
            hub: Hub::new(config),
            takes_licences,
            now: Instant::ZERO,
            ids: Vec::new(),
            licences: BTreeMap::new(),
            untold: BTreeMap::new(),
            changes: 0,
            spared: 0,
            log: Vec::new(),
        }
    }

    fn take(&mut self, step: &Step, number: usize) {
        match *step {
            Step::Publish { topic, ends, key } => {
                self.publish(topic, ends, key, number);
                return;
            }
            Step::Wait { ms, .. } => self.now = self.now + Duration::from_millis(ms),
            _ => {}
        }
        if !matches!(step, Step::Wait { late: true, .. }) {
            for topic in 0..TOPICS.len() {
                self.tell(topic);
            }
        }
        match *step {
            Step::Subscribe {
                pattern,
                pace,
                ref begin,
            } => self.subscribe(pattern, pace, begin),
            Step::Unsubscribe { which } if which < self.ids.len() => {
                self.hub.handle_unsubscribe(self.ids.remove(which));
            }
            Step::Reflow { which, pace } if which < self.ids.len() => {
                let changed = self.hub.handle_flow(self.now, self.ids[which], flow(pace));
                changed.expect("a sound flow");
            }
            Step::Wait { late: false, .. } => self.hub.handle_timeout(self.now),
            _ => {}
        }
        self.drain();
    }

    fn subscribe(&mut self, pattern: usize, pace: usize, begin: &Begin) {
        let start = match begin {
            Begin::Latest => Start::Latest,
            Begin::New => Start::New,
            Begin::Since(missed) => Start::Since(self.positions(*missed)),
        };
        let pattern = Pattern::new(PATTERNS[pattern]).expect("a pattern");
        let mut request = SubscribeRequest::new(pattern, flow(pace));
        request.start = start;
        let subscribed = self.hub.handle_subscribe(self.now, 0, &request);
        let subscribed = subscribed.expect("within limits");
        self.log.push(format!("{subscribed:?}"));
        self.ids.push(subscribed.id);
    }

    fn positions(&self, missed: u64) -> Vec<TopicPosition> {
        let latest = (0..TOPICS.len()).filter_map(|number| self.hub.latest(&topic(number)));
        let since = latest.map(|latest| TopicPosition {
            topic: latest.topic.clone(),
            position: Position {
                offset: latest.position.offset.saturating_sub(missed),
                ..latest.position
            },
        });
        since.collect()
    }

    fn publish(&mut self, number: usize, ends: bool, key: bool, step: usize) {
        let payload = Text(step.to_string());
        let is_due = self.hub.poll_timeout().is_some_and(|at| at <= self.now);
        if is_due {
            (0..TOPICS.len()).for_each(|topic| self.tell(topic));
        }
        let now = self.now;
        if !ends
            && !key
            && !is_due
            && let Some(licence) = self.licences.get_mut(&number)
            && licence.until.is_none_or(|until| now < until)
        {
            self.spared += 1;
            licence.position.offset += 1;
            let untold = self.untold.entry(number).or_default();
            if untold.len() == licence.kept {
                untold.pop_front();
            }
            untold.push_back((self.now, licence.position.offset, payload.clone()));
            for id in &licence.ids {
                self.log.push(handed(*id, licence.position, &payload));
            }
            self.log.push(format!("{:?}", licence.position));
            return;
        }
        self.tell(number);
        self.licences.remove(&number);
        let request = PublishRequest {
            topic: topic(number),
            payload: payload.clone(),
            end: ends.then_some(EndReason::Complete.into()),
            id: key.then(|| "key".to_string()),
            restart: true,
        };
        let position = self.hub.handle_publish(self.now, request);
        let position = position.expect("within limits");
        let ids = self.drain_for(&payload);
        self.log.push(format!("{position:?}"));
        if let Some(granted) = self.hub.licence(&topic(number))
            && self.takes_licences
            && !key
        {
            let licence = Licence {
                ids,
                position,
                kept: granted.kept,
                until: granted.until,
            };
            self.licences.insert(number, licence);
        }
    }

    fn tell(&mut self, number: usize) {
        let untold = self.untold.remove(&number).unwrap_or_default();
        let last = untold.len();
        for (nth, (at, offset, payload)) in (1..).zip(untold) {
            self.hub
                .handle_handed(at, &topic(number), offset, payload, nth == last);
        }
    }

    fn drain(&mut self) {
        self.drain_for(&Text(String::new()));
    }

    /// Records what is due, and returns the subscribers that were sent `published`.
    fn drain_for(&mut self, published: &Text) -> Vec<SubscriptionId> {
        let mut reached = Vec::new();
        while let Some(due) = self.hub.poll_output() {
            let line = match due {
                Due::Deliver { delivery, .. } => {
                    let Emission::One(it) = delivery.emission else {
                        unreachable!("nobody collects");
                    };
                    if it.payload == *published && delivery.conflate.is_none() {
                        reached.push(delivery.subscription);
                    }
                    handed(delivery.subscription, it.position, &it.payload)
                }
                other => format!("{other:?}"),
            };
            self.log.push(line);
        }
        if self.changes != self.hub.changes() {
            self.changes = self.hub.changes();
            self.licences.clear();
        }
        reached
    }
}

fn handed(id: SubscriptionId, position: Position, payload: &Text) -> String {
    format!("{id:?} {position:?} {payload:?}")
}

fn run(steps: &[Step]) -> [Host; 2] {
    let mut hosts = [Host::new(true), Host::new(false)];
    for (number, step) in steps.iter().enumerate() {
        for host in &mut hosts {
            host.take(step, number);
        }
        let [licensed, asking] = &hosts;
        assert_eq!(licensed.log, asking.log, "after step {number}");
    }
    hosts
}

proptest! {
    #[test]
    fn who_publishes_by_licence_does_what_others_are_told_to(
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 20 } else { 200 }),
    ) {
        run(&steps);
    }
}

const SUBSCRIBE: Step = Step::Subscribe {
    pattern: 0,
    pace: 0,
    begin: Begin::Latest,
};

const PUBLISH: Step = Step::Publish {
    topic: 0,
    ends: false,
    key: false,
};

#[test]
fn what_follows_on_a_publication_is_spared_until_something_changes() {
    let steps = [
        SUBSCRIBE, PUBLISH, PUBLISH, PUBLISH, SUBSCRIBE, PUBLISH, PUBLISH,
    ];
    assert_eq!(run(&steps)[0].spared, 3);
}

#[test]
fn what_is_held_back_is_spared_until_its_time_comes() {
    let throttled = |pattern| Step::Subscribe {
        pattern,
        pace: 1,
        begin: Begin::Latest,
    };
    let wait = |ms| Step::Wait { ms, late: false };
    for pattern in [0, 2] {
        // The first is emitted; what follows within the window is held back, and needs no call.
        let mut steps = Vec::from([throttled(pattern), PUBLISH, PUBLISH, PUBLISH, PUBLISH]);
        // The next window begins with what was held back, and ends with what arrives in it; the third one ends with
        // nothing.
        steps.extend([wait(100), PUBLISH, PUBLISH, wait(100), wait(100)]);
        steps.extend([PUBLISH, PUBLISH, PUBLISH]);
        let [licensed, asking] = run(&steps);
        assert_eq!(licensed.spared, 3 + 1 + 2, "{:?}", PATTERNS[pattern]);
        assert_eq!(asking.spared, 0);
    }
}

#[test]
fn who_comes_later_recovers_what_was_published_by_licence_as_far_as_a_topic_keeps_it() {
    let resume = Step::Subscribe {
        pattern: 0,
        pace: 0,
        begin: Begin::Since(4),
    };
    let mut steps = Vec::from([SUBSCRIBE]);
    steps.resize(9, PUBLISH);
    steps.push(resume);
    let [licensed, _] = run(&steps);
    assert_eq!(licensed.spared, 7);
    let resumed = licensed
        .log
        .iter()
        .rposition(|line| line.starts_with("Subscribed"));
    let recovered = &licensed.log[resumed.expect("it has resumed") + 1..];
    assert_eq!(recovered.len(), 4, "{recovered:?}");
}
