//! Whatever mix of pace, conflation, deltas, lost connections and newcomers: nobody ends up with a stale value, what is handed on
//! as it is was published so, sums are complete, and merged patches give what the patches give.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tidegate_core::flow::{Conflate, Flow, Pace};
use tidegate_core::publication::{Position, Publication};
use tidegate_core::topic::Topic;
use tidegate_tests::json::Json;
use tidegate_tests::network::{Cut, Network, Quality};
use tidegate_tests::{ms, secs};

const TOPICS: [&str; 2] = ["job:1", "job:2"];
const PATTERNS: [&str; 3] = ["job:1", "job:2", "job:*"];
const PEERS: usize = 2;

#[derive(Clone, Debug)]
enum Op {
    /// Publishes a patch: so much is done, and one member is set or removed.
    Publish {
        topic: usize,
        done: u64,
        member: u8,
        value: Value,
    },
    Subscribe {
        peer: usize,
        pattern: usize,
        flow: Flow,
    },
    Reflow {
        which: usize,
        flow: Flow,
    },
    Unsubscribe {
        which: usize,
    },
    Cut {
        peer: usize,
        how: Cut,
    },
    Wait {
        ms: u64,
    },
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => "[a-z]{0,30}".prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!([1, null, { "a": null }])),
    ]
}

fn any_pace() -> impl Strategy<Value = Pace> {
    let edges = |every: u64, leading| Pace::Throttle {
        every: ms(every),
        leading,
        trailing: true,
    };
    let quiet = |quiet: u64, max_wait: Option<u64>| Pace::Debounce {
        quiet: ms(quiet),
        max_wait: max_wait.map(ms),
        leading: false,
        trailing: true,
    };
    prop_oneof![
        2 => Just(Pace::Immediate),
        // Some that are asked for more than once.
        3 => prop::sample::select(vec![100, 300]).prop_map(move |every| edges(every, true)),
        3 => (1..400_u64, any::<bool>()).prop_map(move |(every, leading)| edges(every, leading)),
        2 => (1..200_u64, prop::option::of(1..400_u64)).prop_map(move |(wait, most)| quiet(wait, most)),
    ]
}

fn any_flow() -> impl Strategy<Value = Flow> {
    let conflate = prop_oneof![
        3 => Just(Conflate::Latest),
        2 => Just(Conflate::Merge),
        2 => Just(Conflate::Sum),
        1 => (1..20_u32).prop_map(|max| Conflate::Collect {
            max: NonZeroU32::new(max).expect("at least one"),
        }),
    ];
    (any_pace(), conflate, any::<bool>()).prop_map(|(pace, conflate, delta)| Flow {
        pace,
        conflate,
        delta: delta && !matches!(conflate, Conflate::Collect { .. }),
    })
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..TOPICS.len(), 1..9_u64, 0..5_u8, any_value())
            .prop_map(|(topic, done, member, value)| Op::Publish { topic, done, member, value }),
        3 => (0..PEERS, 0..PATTERNS.len(), any_flow())
            .prop_map(|(peer, pattern, flow)| Op::Subscribe { peer, pattern, flow }),
        1 => (any::<usize>(), any_flow()).prop_map(|(which, flow)| Op::Reflow { which, flow }),
        1 => any::<usize>().prop_map(|which| Op::Unsubscribe { which }),
        1 => (0..PEERS, prop::sample::select(Cut::ALL.to_vec())).prop_map(|(peer, how)| Op::Cut { peer, how }),
        6 => (0..300_u64).prop_map(|ms| Op::Wait { ms }),
    ]
}

/// A subscriber that has not changed its flow, and how far others of its client with the same pattern were when it came.
#[derive(Debug)]
struct Constant {
    record: usize,
    tops: BTreeMap<Topic, u64>,
}

fn tops(net: &Network, peer: usize, pattern: &str) -> BTreeMap<Topic, u64> {
    let others = net.records.iter().filter(|record| !record.is_gone);
    let others = others.filter(|record| record.peer == peer && record.pattern.as_str() == pattern);
    let mut tops = BTreeMap::new();
    for (_, seen) in others.flat_map(|record| record.publications()) {
        let top = tops.entry(seen.topic.clone()).or_insert(0);
        *top = seen.position.offset.max(*top);
    }
    tops
}

/// What was published of a topic from one offset to another, both included.
fn between<'a>(
    net: &'a Network,
    topic: &Topic,
    first: u64,
    last: u64,
) -> impl Iterator<Item = &'a Value> {
    let topic = topic.clone();
    let published = net.truth.iter().map(|(_, publication)| publication);
    let own = published.filter(move |publication| {
        publication.topic == topic && (first..=last).contains(&publication.position.offset)
    });
    own.map(|publication| &publication.payload.0)
}

fn done<'a>(values: impl Iterator<Item = &'a Value>) -> u64 {
    values.filter_map(|value| value["done"].as_u64()).sum()
}

/// All of them as one patch: they have no members within members.
fn merged<'a>(values: impl Iterator<Item = &'a Value>) -> Map<String, Value> {
    let members = values.filter_map(Value::as_object).flatten();
    members
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn check(net: &Network, constant: &Constant) {
    let record = &net.records[constant.record];
    if record.missed() > 0 {
        // It was told of a loss.
        return;
    }
    let mut told: BTreeMap<&Topic, Vec<&Publication<Json>>> = BTreeMap::new();
    for (_, publication) in record.publications() {
        told.entry(&publication.topic)
            .or_default()
            .push(publication);
    }
    for (topic, told) in told {
        let position = |publication: &&Publication<Json>| publication.position.offset;
        let first = told.first().map_or(0, position);
        let last = told.last().map_or(0, position);
        // It starts with the topic's value at the time, or a later one.
        let top = constant.tops.get(topic).copied().unwrap_or(1);
        let mut starts = top..=first;
        let values = || told.iter().map(|publication| &publication.payload.0);
        let name = format!(
            "{:?} of {topic} from {top}: {:#?}",
            record.flow, record.seen
        );
        match record.flow.conflate {
            Conflate::Sum if !record.flow.is_immediate() => {
                let is_sum = |start| done(between(net, topic, start, last)) == done(values());
                assert!(starts.any(is_sum), "{name}");
            }
            Conflate::Merge if !record.flow.is_immediate() => {
                let is_merged =
                    |start| merged(between(net, topic, start, last)) == merged(values());
                assert!(starts.any(is_merged), "{name}");
            }
            Conflate::Latest | Conflate::Merge | Conflate::Sum | Conflate::Collect { .. } => {
                for publication in &told {
                    let Position { offset, .. } = publication.position;
                    let expected = between(net, topic, offset, offset).next();
                    assert_eq!(Some(&publication.payload.0), expected, "{name}");
                }
            }
        }
    }
}

fn run(ops: Vec<Op>, seed: u64) {
    let mut net = Network::new(seed);
    for _ in 0..PEERS {
        net.connected_peer(Quality::delayed(ms(10)));
    }
    let mut here: Vec<usize> = Vec::new();
    let mut constant: Vec<Constant> = Vec::new();
    for op in ops {
        match op {
            Op::Publish {
                topic,
                done,
                member,
                value,
            } => {
                let mut patch = json!({ "done": done, "title": "photographs of harbours" });
                patch[format!("m{member}")] = value;
                net.publish(TOPICS[topic], patch)
                    .expect("the topic is open");
            }
            Op::Subscribe {
                peer,
                pattern,
                flow,
            } => {
                let tops = tops(&net, peer, PATTERNS[pattern]);
                let record = net.subscribe(peer, PATTERNS[pattern], flow);
                here.push(record);
                constant.push(Constant { record, tops });
            }
            Op::Reflow { which, flow } if !here.is_empty() => {
                let record = here[which % here.len()];
                net.set_flow(record, flow);
                constant.retain(|known| known.record != record);
            }
            Op::Unsubscribe { which } if !here.is_empty() => {
                let record = here.remove(which % here.len());
                net.unsubscribe(record);
            }
            Op::Cut { peer, how } => net.cut(peer, how),
            Op::Wait { ms: millis } => net.run_for(ms(millis)),
            Op::Reflow { .. } | Op::Unsubscribe { .. } => {}
        }
    }
    net.run_for(secs(120));
    net.check_converged();
    assert!(net.records.iter().all(|record| record.resets() == 0));
    for constant in &constant {
        check(&net, constant);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn everybody_has_what_was_published_whole_added_up_or_merged(
        ops in prop::collection::vec(any_op(), 1..120),
        seed: u64,
    ) {
        run(ops, seed);
    }
}
