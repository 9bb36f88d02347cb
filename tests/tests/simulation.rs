//! Clients, links and faults at random. Whatever happens, no promise is broken on the way, and once faults heal every
//! subscriber is where its topics are.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::json;
use tidegate_core::flow::{Conflate, Flow, Pace};
use tidegate_core::hub::ServerConfig;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{ErrorCode, PublishRequest};
use tidegate_core::publication::Position;
use tidegate_core::topic::Topic;
use tidegate_tests::json::Json;
use tidegate_tests::network::{Cut, Direction, Fault, Network, Quality};
use tidegate_tests::record::Record;
use tidegate_tests::{ms, secs, topic};

const PEERS: usize = 2;
const TOPICS: [&str; 3] = ["job:1", "job:2", "sum:1"];

/// The last is for those only who add up: a sum is no latest value for others.
const PATTERNS: [&str; 5] = ["job:1", "job:2", "job:*", "**", "sum:*"];
const SUMS: usize = 4;

#[derive(Clone, Debug)]
enum Op {
    Publish {
        by: Option<usize>,
        topic: usize,
        end: Option<EndReason>,
        restart: bool,
    },
    Burst {
        topic: usize,
        count: u64,
    },
    Subscribe {
        peer: usize,
        pattern: usize,
        flow: usize,
    },
    Unsubscribe {
        which: usize,
    },
    Flow {
        which: usize,
        flow: usize,
    },
    Cut {
        peer: usize,
        cut: Cut,
    },
    Fault(Fault),
    Quality {
        peer: usize,
        quality: Quality,
    },
    Pass {
        millis: u64,
    },
}

fn flows() -> [Flow; 9] {
    let max = NonZeroU32::new(3).unwrap();
    [
        Flow::IMMEDIATE,
        Flow::throttle(ms(50)),
        Flow::throttle(ms(200)),
        Flow::debounce(ms(80)),
        Flow::throttle(ms(100)).with_conflate(Conflate::Collect { max }),
        Flow {
            pace: Pace::Debounce {
                quiet: ms(60),
                max_wait: Some(ms(150)),
                leading: true,
                trailing: true,
            },
            conflate: Conflate::Latest,
            delta: false,
        },
        Flow::IMMEDIATE.with_delta(true),
        Flow::throttle(ms(50)).with_delta(true),
        Flow::debounce(ms(80)).with_delta(true),
    ]
}

fn flow_for(pattern: usize, flow: usize) -> Flow {
    let flow = flows()[flow];
    if pattern == SUMS {
        flow.with_conflate(Conflate::Sum)
    } else {
        flow
    }
}

fn any_quality() -> impl Strategy<Value = Quality> {
    let per_frame = prop_oneof![2 => Just(0), 1 => 1..40_u64];
    (0..60_u64, 0..60_u64, per_frame, prop::bool::weighted(0.9)).prop_map(
        |(up, down, per_frame, is_reachable)| Quality {
            up: ms(up),
            down: ms(down),
            per_frame: ms(per_frame),
            is_reachable,
        },
    )
}

fn any_op() -> impl Strategy<Value = Op> {
    let by = prop_oneof![1 => Just(None), 2 => (0..PEERS).prop_map(Some)];
    let end = prop_oneof![12 => Just(None), 1 => prop::sample::select(EndReason::ALL.to_vec()).prop_map(Some)];
    let cut = || prop::sample::select(Cut::ALL.to_vec());
    let direction = prop::sample::select(vec![Direction::Up, Direction::Down]);
    prop_oneof![
        12 => (by, 0..TOPICS.len(), end, prop::bool::weighted(0.1))
            .prop_map(|(by, topic, end, restart)| Op::Publish { by, topic, end, restart }),
        2 => (0..TOPICS.len(), 2..30_u64).prop_map(|(topic, count)| Op::Burst { topic, count }),
        5 => (0..PEERS, 0..PATTERNS.len(), 0..flows().len())
            .prop_map(|(peer, pattern, flow)| Op::Subscribe { peer, pattern, flow }),
        2 => (0..20_usize).prop_map(|which| Op::Unsubscribe { which }),
        1 => (0..20_usize, 0..flows().len()).prop_map(|(which, flow)| Op::Flow { which, flow }),
        1 => (0..PEERS, cut()).prop_map(|(peer, cut)| Op::Cut { peer, cut }),
        1 => (0..PEERS, direction, 0..6_u64, cut()).prop_map(|(peer, direction, after, cut)| {
            Op::Fault(Fault { peer, direction, after, cut })
        }),
        1 => (0..PEERS, any_quality()).prop_map(|(peer, quality)| Op::Quality { peer, quality }),
        6 => (0..200_u64).prop_map(|millis| Op::Pass { millis }),
        1 => (0..60_000_u64).prop_map(|millis| Op::Pass { millis }),
    ]
}

/// What mostly stays, so that what has changed is shorter than the whole, and what comes and goes.
fn payload(number: u64) -> Json {
    let mut value = json!({ "n": number, "job": { "by": "ada", "step": number % 3 } });
    if number.is_multiple_of(2) {
        value["even"] = json!({ "for": [number, null] });
    }
    if number.is_multiple_of(7) {
        value["job"]["note"] = json!(null);
    }
    value.into()
}

fn request(to: usize, number: u64) -> PublishRequest<Json> {
    PublishRequest::new(topic(TOPICS[to]), payload(number))
}

/// Which subscriber an operation is about, if there is one.
fn choose(net: &Network, which: usize) -> Option<usize> {
    let is_there = |record: &&usize| {
        let record: &Record = &net.records[**record];
        !record.is_gone && !record.is_over()
    };
    let there: Vec<usize> = (0..net.records.len()).collect();
    let there: Vec<&usize> = there.iter().filter(is_there).collect();
    let chosen = there.get(which.checked_rem(there.len())?)?;
    Some(**chosen)
}

/// What the clients published: the number in the payload, by client and request.
type Published = BTreeMap<(usize, u64), u64>;

/// Room for a handful of publications, at a connection and in a topic's history.
fn tight() -> ServerConfig {
    let mut config = ServerConfig::new(3);
    config.outbox_bytes_max = 900;
    config.hub.history.count_max = 3;
    config
}

fn simulate(config: ServerConfig, ops: &[Op]) -> (Network, Published) {
    let mut net = Network::with_config(config);
    for peer in 0..PEERS {
        let quality = Quality {
            per_frame: ms(7 * peer as u64),
            ..Quality::delayed(ms(10))
        };
        net.add_peer(quality);
        net.connect(peer);
    }
    let mut published = Published::new();
    for (number, op) in ops.iter().enumerate() {
        take(&mut net, &mut published, 100 * (number as u64 + 1), op);
    }
    net.fault = None;
    for peer in 0..PEERS {
        net.peers[peer].quality = Quality::delayed(ms(5));
        net.cut(peer, Cut::Both);
    }
    net.run_for(secs(120));
    (net, published)
}

fn take(net: &mut Network, published: &mut Published, number: u64, op: &Op) {
    match *op {
        Op::Publish {
            by,
            topic,
            end,
            restart,
        } => {
            let request = PublishRequest {
                end,
                restart,
                ..request(topic, number)
            };
            match by {
                Some(peer) => {
                    let answer = net.publish_from(peer, request);
                    published.insert((peer, answer), number);
                }
                None => {
                    let _ = net.publish_request(request);
                }
            }
        }
        Op::Burst { topic, count } => {
            for number in number..number + count {
                let _ = net.publish_request(request(topic, number));
            }
        }
        Op::Subscribe {
            peer,
            pattern,
            flow,
        } => {
            net.subscribe(peer, PATTERNS[pattern], flow_for(pattern, flow));
        }
        Op::Unsubscribe { which } => {
            if let Some(record) = choose(net, which) {
                net.unsubscribe(record);
            }
        }
        Op::Flow { which, flow } => {
            if let Some(record) = choose(net, which) {
                let sums = net.records[record].pattern.as_str() == PATTERNS[SUMS];
                net.set_flow(record, flow_for(if sums { SUMS } else { 0 }, flow));
            }
        }
        Op::Cut { peer, cut } => net.cut(peer, cut),
        Op::Fault(fault) => {
            let after = net.frames(fault.peer, fault.direction) + fault.after;
            net.fault = Some(Fault { after, ..fault });
        }
        Op::Quality { peer, quality } => net.peers[peer].quality = quality,
        Op::Pass { millis } => net.run_for(ms(millis)),
    }
}

/// Each publish of a client is answered, and happened once if the answer says so, else never.
fn check_published_once(net: &Network, published: &Published) {
    let mut happened: BTreeMap<u64, (&Topic, Position)> = BTreeMap::new();
    for (_, publication) in &net.truth {
        let number = publication.payload.0["n"].as_u64().unwrap();
        let before = happened.insert(number, (&publication.topic, publication.position));
        assert_eq!(before, None, "publication {number} happened twice");
    }
    for ((peer, request), number) in published {
        let answer = net.peers[*peer].published.get(request);
        let position = happened.get(number).map(|(_, position)| *position);
        match answer.expect("every publish is answered in the end") {
            Ok(answered) => assert_eq!(Some(*answered), position, "publish {number}"),
            Err(error) => {
                assert_eq!(error.code, ErrorCode::TopicEnded);
                assert_eq!(position, None, "publish {number} was refused");
            }
        }
    }
}

/// What was delivered is what was published; who adds up has added up everything since it began.
fn check_values(net: &Network) {
    let mut values: BTreeMap<(&Topic, u64), BTreeMap<u64, u64>> = BTreeMap::new();
    for (_, publication) in &net.truth {
        let Position { epoch, offset } = publication.position;
        let number = publication.payload.0["n"].as_u64().unwrap();
        let history = values.entry((&publication.topic, epoch)).or_default();
        history.insert(offset, number);
    }
    for record in &net.records {
        let mut sums: BTreeMap<(&Topic, u64), Vec<(u64, u64)>> = BTreeMap::new();
        for (_, publication) in record.publications() {
            let Position { epoch, offset } = publication.position;
            let number = publication.payload.0["n"].as_u64().unwrap();
            let key = (&publication.topic, epoch);
            if record.flow.conflate == Conflate::Sum {
                sums.entry(key).or_default().push((offset, number));
            } else {
                assert_eq!(number, values[&key][&offset]);
                assert_eq!(publication.payload, payload(number));
            }
        }
        if record.losses() > 0 {
            continue;
        }
        for (key, seen) in sums {
            let total: u64 = seen.iter().map(|(_, number)| number).sum();
            let (first, last) = (seen[0].0, seen[seen.len() - 1].0);
            let fits = |start: u64| {
                let since: u64 = values[&key].range(start..=last).map(|(_, n)| n).sum();
                since == total
            };
            assert!(
                (1..=first).any(fits),
                "{key:?}: {seen:?} of {:?}",
                values[&key]
            );
        }
    }
}

fn any_ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(any_op(), 1..70)
}

fn check(config: ServerConfig, ops: &[Op]) {
    let (net, published) = simulate(config.clone(), ops);
    check_published_once(&net, &published);
    check_values(&net);
    net.check_converged();
    let (again, _) = simulate(config, ops);
    assert!(net.log == again.log, "the same run had another outcome");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/simulation.seeds"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn promises_hold_on_the_way_and_everybody_converges(ops in any_ops()) {
        check(ServerConfig::new(3), &ops);
    }

    #[test]
    fn where_little_is_kept_losses_are_told_and_everybody_converges(ops in any_ops()) {
        check(tight(), &ops);
    }
}
