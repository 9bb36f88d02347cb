//! A link that breaks at each of its frames, in every way: nothing is lost, and nothing is delivered twice.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde_json::{Value, json};
use tidegate_core::flow::{Conflate, Flow};
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Publication;
use tidegate_core::topic::Topic;
use tidegate_tests::json::Json;
use tidegate_tests::network::{Cut, Direction, Fault, Network, Quality};
use tidegate_tests::record::Seen;
use tidegate_tests::{at, ms, secs, topic};

const WATCHER: usize = 0;
const WORKER: usize = 1;

/// Long enough for a heartbeat to be missed, a probe to fail and a few attempts at a connection.
const HEALING: u64 = 180;

fn collect() -> Flow {
    let max = NonZeroU32::new(100).unwrap();
    Flow::throttle(ms(50)).with_conflate(Conflate::Collect { max })
}

fn update(to: &str, number: u64) -> PublishRequest<Json> {
    PublishRequest::new(topic(to), json!({ "n": number }).into())
}

fn last(to: &str, status: &str) -> PublishRequest<Json> {
    PublishRequest::new(topic(to), json!({ "status": status }).into())
}

/// One client works and publishes, another watches in several ways, and the link of one of them breaks.
fn run(fault: Option<Fault>) -> Network {
    let mut net = Network::new(7);
    net.fault = fault;
    for peer in [WATCHER, WORKER] {
        assert_eq!(net.add_peer(Quality::delayed(ms(5))), peer);
        net.connect(peer);
    }
    net.subscribe(WATCHER, "job:1", Flow::IMMEDIATE);
    net.subscribe(WATCHER, "job:*", Flow::IMMEDIATE);
    net.subscribe(WATCHER, "log:1", collect());
    net.subscribe(WATCHER, "bar:1", Flow::throttle(ms(60)));
    net.run_for(ms(40));
    let left = net.subscribe(WATCHER, "job:**", Flow::IMMEDIATE);
    for number in 1..=8 {
        for to in ["job:1", "log:1", "bar:1"] {
            net.publish_from(WORKER, update(to, number));
        }
        if number == 3 {
            net.unsubscribe(left);
            net.publish_from(WORKER, update("job:2", number));
        }
        if number == 5 {
            net.subscribe(WATCHER, "job:**", Flow::IMMEDIATE);
            net.set_flow(3, Flow::throttle(ms(40)));
        }
        net.run_for(ms(20));
    }
    net.publish_from(WORKER, last("job:1", "Complete"));
    net.publish_from(WORKER, last("bar:1", "FAILED"));
    net.run_for(secs(HEALING));
    net
}

/// Every publish happened once and was answered, and the publications of a topic are in the order of the publishes.
fn check_publishes(net: &Network) {
    let mut by_topic: BTreeMap<&Topic, Vec<&Value>> = BTreeMap::new();
    for (_, publication) in &net.truth {
        let values = by_topic.entry(&publication.topic).or_default();
        values.push(&publication.payload.0);
    }
    let numbers = |name: &str, end: Option<&str>| -> Vec<Value> {
        let updates = (1..=8).map(|number| json!({ "n": number }));
        let end = end.map(|status| json!({ "status": status }));
        assert!(by_topic.contains_key(&topic(name)));
        updates.chain(end).collect()
    };
    let published = |name: &str| -> Vec<Value> {
        by_topic[&topic(name)]
            .iter()
            .map(|value| (*value).clone())
            .collect()
    };
    assert_eq!(published("job:1"), numbers("job:1", Some("Complete")));
    assert_eq!(published("log:1"), numbers("log:1", None));
    assert_eq!(published("bar:1"), numbers("bar:1", Some("FAILED")));
    let answers = &net.peers[WORKER].published;
    assert_eq!(answers.len(), 27);
    for (request, answer) in answers {
        assert!(answer.is_ok(), "publish {request}: {answer:?}");
    }
    assert_eq!(net.peers[WORKER].hub.unanswered(), 0);
}

/// Everything published after a subscription was confirmed reached the subscribers that must get all of it.
fn check_nothing_lost(net: &Network) {
    for record in [0, 1, 2] {
        let record = &net.records[record];
        assert_eq!(record.resets(), 0, "{:#?}", record.seen);
        let key = (record.peer, record.pattern.clone());
        let since = net.confirmed[&key];
        let seen: Vec<&Publication<Json>> =
            record.publications().map(|(_, item)| &**item).collect();
        for (when, publication) in &net.truth {
            if record.pattern.matches(&publication.topic) && *when >= since {
                assert!(seen.contains(&&**publication), "{publication:?} is lost");
            }
        }
    }
}

fn check(net: &Network) {
    check_publishes(net);
    check_nothing_lost(net);
    net.check_converged();
    for (record, reason) in [(0, EndReason::Complete), (3, EndReason::Failed)] {
        let (_, end) = net.records[record].seen.last().unwrap();
        assert_eq!(*end, Seen::Ended(reason));
    }
}

fn break_at_every_frame(peer: usize, direction: Direction) {
    let whole = run(None);
    check(&whole);
    let frames = whole.frames(peer, direction);
    assert!(frames > 10, "the scenario has too few frames: {frames}");
    for cut in Cut::ALL {
        for after in 0..frames.min(120) {
            let fault = Fault {
                peer,
                direction,
                after,
                cut,
            };
            println!("{fault:?}");
            let net = run(Some(fault));
            assert_eq!(net.fault, None, "the fault came");
            check(&net);
        }
    }
}

#[test]
fn the_watcher_converges_whichever_frame_to_it_is_the_first_lost() {
    break_at_every_frame(WATCHER, Direction::Down);
}

#[test]
fn the_watcher_converges_whichever_frame_of_its_own_is_the_first_lost() {
    break_at_every_frame(WATCHER, Direction::Up);
}

#[test]
fn publishes_happen_once_whichever_of_their_frames_is_the_first_lost() {
    break_at_every_frame(WORKER, Direction::Up);
}

#[test]
fn publishes_happen_once_whichever_of_their_answers_is_the_first_lost() {
    break_at_every_frame(WORKER, Direction::Down);
}

#[test]
fn a_burst_beyond_what_a_topic_remembers_happens_once_though_no_answer_came() {
    for after in [1, 40, 200, 400] {
        let mut net = Network::new(7);
        let worker = net.connected_peer(Quality::delayed(ms(20)));
        let peer = worker;
        net.fault = Some(Fault {
            peer,
            direction: Direction::Down,
            after,
            cut: Cut::Both,
        });
        for number in 1..=500 {
            net.publish_from(worker, update("job:1", number));
        }
        net.run_for(secs(10));
        assert_eq!(net.fault, None, "the fault came");
        let published = net
            .truth
            .iter()
            .map(|(_, item)| item.payload.0["n"].as_u64());
        let expected: Vec<Option<u64>> = (1..=500).map(Some).collect();
        assert_eq!(published.collect::<Vec<_>>(), expected);
        assert_eq!(net.peers[worker].hub.unanswered(), 0);
    }
}

#[test]
fn a_run_is_repeated_byte_for_byte() {
    let fault = Fault {
        peer: WATCHER,
        direction: Direction::Down,
        after: 12,
        cut: Cut::ServerUnaware,
    };
    assert_eq!(run(Some(fault)).log, run(Some(fault)).log);
    assert!(run(Some(fault)).now > at(0));
}
