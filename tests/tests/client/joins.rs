//! A subscriber that joins others of its client gets each publication once and in order from its own start, whenever it
//! joins and wherever it resumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tidegate_core::flow::{Conflate, Flow};
use tidegate_core::hub::ServerConfig;
use tidegate_core::protocol::{Start, TopicPosition};
use tidegate_core::publication::Position;
use tidegate_tests::network::{Cut, Network, Quality};
use tidegate_tests::{ms, pattern, secs, topic};

const TOPICS: [&str; 2] = ["job:1", "job:2"];
const PATTERNS: [&str; 2] = ["job:1", "job:*"];

#[derive(Clone, Copy, Debug)]
enum Begin {
    Latest,
    New,
    /// This many publications before the last one that the client has seen. A subscriber that has seen more elsewhere gets a
    /// reset.
    Behind(u64),
}

#[derive(Clone, Debug)]
enum Op {
    Publish(usize),
    Join {
        to: usize,
        adds_up: bool,
        begin: Begin,
    },
    JoinAsDevice(usize),
    /// The device processes everything that it got.
    Deal,
    Leave(usize),
    Cut(Cut),
    Wait(u64),
}

fn any_op() -> impl Strategy<Value = Op> {
    let begin = prop_oneof![
        Just(Begin::Latest),
        Just(Begin::New),
        (0..5_u64).prop_map(Begin::Behind),
        Just(Begin::Behind(u64::MAX)),
    ];
    let to = || 0..PATTERNS.len();
    prop_oneof![
        8 => (0..TOPICS.len()).prop_map(Op::Publish),
        6 => (to(), any::<bool>(), begin).prop_map(|(to, adds_up, begin)| Op::Join { to, adds_up, begin }),
        1 => to().prop_map(Op::JoinAsDevice),
        1 => Just(Op::Deal),
        2 => any::<usize>().prop_map(Op::Leave),
        1 => prop::sample::select(Cut::ALL.to_vec()).prop_map(Op::Cut),
        8 => prop_oneof![0..15_u64, 0..300_u64].prop_map(Op::Wait),
    ]
}

/// A subscriber, and the offset after which it resumes each topic, if it has one.
struct Joined {
    record: usize,
    adds_up: bool,
    known: Option<BTreeMap<&'static str, u64>>,
}

struct Scene {
    net: Network,
    tops: BTreeMap<&'static str, Position>,
    here: Vec<Joined>,
    devices: Vec<usize>,
}

impl Scene {
    fn publish(&mut self, to: &'static str) {
        let position = self.net.publish(to, 1).expect("the topic is open");
        self.tops.insert(to, position);
    }

    fn join(&mut self, to: &str, adds_up: bool, begin: Begin) {
        let flow = if adds_up {
            Flow::throttle(ms(100)).with_conflate(Conflate::Sum)
        } else {
            Flow::IMMEDIATE
        };
        let mut known = BTreeMap::new();
        let start = match begin {
            Begin::Latest => Start::Latest,
            Begin::New => Start::New,
            Begin::Behind(count) => {
                let topics = TOPICS
                    .into_iter()
                    .filter(|text| pattern(to).matches(&topic(text)));
                let since = topics.map(|text| {
                    let top = self.tops[text];
                    let offset = self.seen(text).saturating_sub(count);
                    known.insert(text, offset);
                    let position = Position { offset, ..top };
                    let topic = topic(text);
                    TopicPosition { topic, position }
                });
                Start::Since(since.collect())
            }
        };
        let known = matches!(begin, Begin::Behind(_)).then_some(known);
        let record = self.net.subscribe_from(0, to, flow, start);
        self.here.push(Joined {
            record,
            adds_up,
            known,
        });
    }

    /// The offset of the last publication of a topic that the client has seen.
    fn seen(&self, of: &str) -> u64 {
        let all = self.net.records.iter();
        let told = all.flat_map(|record| record.publications());
        let told = told.filter(|(_, one)| one.topic.as_str() == of);
        told.map(|(_, one)| one.position.offset).max().unwrap_or(0)
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Publish(to) => self.publish(TOPICS[to]),
            Op::Join { to, adds_up, begin } => self.join(PATTERNS[to], adds_up, begin),
            Op::JoinAsDevice(to) => {
                let to = PATTERNS[to];
                let device = self.net.subscribe_durable(0, to, Flow::IMMEDIATE, "phone");
                self.devices.push(device);
            }
            Op::Deal => {
                for device in self.devices.clone() {
                    let told = self.net.records[device].publications();
                    let told: Vec<_> = told.map(|(_, one)| Arc::clone(one)).collect();
                    for publication in told {
                        self.net.deal_with(device, &publication);
                    }
                }
            }
            Op::Leave(which) => {
                let count = self.here.len() + self.devices.len();
                let which = which % count.max(1);
                if which < self.here.len() {
                    let Joined { record, .. } = self.here.remove(which);
                    self.net.unsubscribe(record);
                } else if count > 0 {
                    let device = self.devices.remove(which - self.here.len());
                    self.net.unsubscribe(device);
                }
            }
            Op::Cut(how) => self.net.cut(0, how),
            Op::Wait(millis) => self.net.run_for(ms(millis)),
        }
    }

    /// What a subscriber got of a topic: the offsets, and the sum of the values.
    fn given(&self, joined: &Joined, of: &str) -> (Vec<u64>, u64) {
        let of = topic(of);
        let all = self.net.records[joined.record].publications();
        let given = all.filter(|(_, one)| one.topic == of);
        let given = given.map(|(_, one)| (one.position.offset, one.payload.0.as_u64().unwrap()));
        let (offsets, counts): (Vec<u64>, Vec<u64>) = given.unzip();
        (offsets, counts.into_iter().sum())
    }

    fn check(&self, joined: &Joined) {
        assert_eq!(self.net.records[joined.record].losses(), 0);
        for (text, top) in &self.tops {
            let (offsets, sum) = self.given(joined, text);
            let known = joined.known.as_ref().map(|known| known.get(text).copied());
            match known {
                Some(None) => assert!(offsets.is_empty()),
                Some(Some(known)) if joined.adds_up => assert_eq!(sum, top.offset - known),
                Some(Some(known)) => {
                    let expected: Vec<u64> = (known + 1..=top.offset).collect();
                    assert_eq!(offsets, expected, "{text} for {}", joined.record);
                }
                None if joined.adds_up => assert!(sum <= top.offset),
                None => {
                    let first = offsets.first().copied().unwrap_or(top.offset + 1);
                    assert!(offsets.into_iter().eq(first..=top.offset));
                }
            }
        }
    }
}

fn run(ops: Vec<Op>, history: Option<usize>) -> Scene {
    let mut config = ServerConfig::new(1);
    if let Some(count_max) = history {
        config.hub.history.count_max = count_max;
    }
    let mut net = Network::with_config(config);
    net.connected_peer(Quality::delayed(ms(10)));
    let mut scene = Scene {
        net,
        tops: BTreeMap::new(),
        here: Vec::new(),
        devices: Vec::new(),
    };
    TOPICS.into_iter().for_each(|to| scene.publish(to));
    for op in ops {
        scene.act(op);
    }
    scene.net.run_for(secs(90));
    TOPICS.into_iter().for_each(|to| scene.publish(to));
    scene.net.run_for(secs(10));
    scene.net.check_converged();
    scene
}

proptest! {
    #[test]
    fn whoever_joins_is_given_each_publication_once_from_where_it_starts(ops in prop::collection::vec(any_op(), 1..60)) {
        let scene = run(ops, None);
        scene.here.iter().for_each(|joined| scene.check(joined));
    }

    #[test]
    fn whoever_joins_where_little_is_kept_is_told_of_each_gap(ops in prop::collection::vec(any_op(), 1..60)) {
        // Without devices: a device gets each loss reported once, to the subscribers that it has at that time.
        let ops = ops.into_iter().filter(|op| !matches!(op, Op::JoinAsDevice(_)));
        run(ops.collect(), Some(2));
    }
}

const fn join(to: usize, begin: Begin) -> Op {
    Op::Join {
        to,
        adds_up: false,
        begin,
    }
}

fn check_all(ops: Vec<Op>) {
    let scene = run(ops, None);
    scene.here.iter().for_each(|joined| scene.check(joined));
}

#[test]
fn one_who_wants_all_of_a_topic_is_given_it_beside_one_who_knows_some() {
    check_all(vec![
        join(0, Begin::Behind(0)),
        Op::Wait(20),
        join(1, Begin::New),
        Op::Publish(0),
        join(1, Begin::Behind(1)),
        join(1, Begin::Behind(0)),
    ]);
}

#[test]
fn nobody_is_given_again_what_they_knew_when_they_joined() {
    check_all(vec![
        join(1, Begin::New),
        join(0, Begin::Latest),
        Op::Wait(20),
        join(1, Begin::Behind(0)),
        Op::Wait(60),
        Op::Publish(0),
        Op::Cut(Cut::Both),
        Op::Publish(0),
    ]);
}
