//! Interest and flow travel up: one subscription serves all subscribers of a pattern, with the coarsest flow that suits
//! them all, and each is paced as it asked, once.

use std::num::NonZeroU32;

use serde_json::{Value, json};
use tidegate_core::flow::{Conflate, Flow, Pace};
use tidegate_core::hub::ServerConfig;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::ErrorCode;
use tidegate_tests::network::{Cut, Direction, Network, Quality};
use tidegate_tests::record::Seen;
use tidegate_tests::{ms, secs};

/// The delay of a frame.
const DELAY: u64 = 10;

/// A server and a client that is connected, half a second after the origin.
pub(super) fn network() -> Network {
    let mut net = Network::new(1);
    net.connected_peer(Quality::delayed(ms(DELAY)));
    net
}

/// Publishes the numbers from 1 to `count`, one every `every` milliseconds. Returns when the first one was.
pub(super) fn publish_each(net: &mut Network, every: u64, count: u64) -> u64 {
    let began = net.now.as_micros() / 1000;
    for number in 1..=count {
        net.publish("job:1", number).expect("the topic is open");
        net.run_for(ms(every));
    }
    began
}

/// When a subscriber got each number, in milliseconds since `began`, less a frame's delay.
fn timeline(net: &Network, record: usize, began: u64) -> Vec<(u64, u64)> {
    let shift = |(at, value): (u64, Value)| (at - began - DELAY, value.as_u64().unwrap());
    let timeline = net.records[record].timeline();
    timeline.into_iter().map(shift).collect()
}

/// The number of the server's subscriptions, without its witness.
fn upstream(net: &Network) -> usize {
    net.server.counts().subscriptions - 1
}

pub(super) fn collect() -> Flow {
    collect_each(100)
}

pub(super) fn collect_each(every: u64) -> Flow {
    let max = NonZeroU32::new(100).unwrap();
    Flow::throttle(ms(every)).with_conflate(Conflate::Collect { max })
}

#[test]
fn many_subscribers_of_a_pattern_cost_one_subscription() {
    let mut net = network();
    let records: Vec<usize> = (0..10)
        .map(|_| net.subscribe(0, "job:*", Flow::IMMEDIATE))
        .collect();
    net.run_for(ms(100));
    assert_eq!(upstream(&net), 1);
    let frames = net.frames(0, Direction::Down);
    net.publish("job:1", 1).unwrap();
    net.run_for(ms(100));
    assert_eq!(net.frames(0, Direction::Down), frames + 1);
    for record in &records {
        assert_eq!(net.records[*record].values(), [json!(1)]);
    }
    for record in &records[1..] {
        net.unsubscribe(*record);
    }
    net.run_for(ms(100));
    assert_eq!(upstream(&net), 1, "one is left");
    net.unsubscribe(records[0]);
    net.run_for(ms(100));
    assert_eq!(upstream(&net), 0);
}

#[test]
fn equal_debounces_wait_once() {
    let mut net = network();
    let records = [0, 1].map(|_| net.subscribe(0, "job:1", Flow::debounce(ms(300))));
    net.run_for(ms(100));
    let began = publish_each(&mut net, 100, 3);
    net.run_for(secs(2));
    for record in records {
        assert_eq!(timeline(&net, record, began), [(500, 3)]);
    }
}

#[test]
fn equal_throttles_add_no_delay_of_their_own() {
    let edges = |leading, trailing| Flow {
        pace: Pace::Throttle {
            every: ms(200),
            leading,
            trailing,
        },
        ..Flow::IMMEDIATE
    };
    for (flow, expected) in [
        (
            edges(true, true),
            vec![(0, 1), (200, 4), (400, 8), (600, 10)],
        ),
        (edges(false, true), vec![(200, 4), (400, 8), (600, 10)]),
        (edges(true, false), vec![(0, 1), (200, 5), (400, 9)]),
    ] {
        let mut net = network();
        let records = [0, 1].map(|_| net.subscribe(0, "job:1", flow));
        net.run_for(ms(100));
        let began = publish_each(&mut net, 50, 10);
        net.run_for(secs(2));
        for record in records {
            assert_eq!(timeline(&net, record, began), expected, "{flow:?}");
        }
    }
}

#[test]
fn of_two_throttles_the_finer_goes_up_and_each_is_paced_as_it_asked() {
    let mut net = network();
    let fine = net.subscribe(0, "job:1", Flow::throttle(ms(100)));
    let coarse = net.subscribe(0, "job:1", Flow::throttle(ms(300)));
    net.run_for(ms(100));
    let frames = net.frames(0, Direction::Down);
    let began = publish_each(&mut net, 10, 60);
    net.run_for(secs(1));
    assert_eq!(
        net.frames(0, Direction::Down) - frames,
        7,
        "at 0, 100, … 600"
    );
    let fine: Vec<u64> = timeline(&net, fine, began)
        .iter()
        .map(|(at, _)| *at)
        .collect();
    assert_eq!(fine, [0, 100, 200, 300, 400, 500, 600]);
    let coarse = timeline(&net, coarse, began);
    let times: Vec<u64> = coarse.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 300, 600], "as if it were alone");
    assert_eq!(coarse.last(), Some(&(600, 60)), "the last value arrives");
}

#[test]
fn who_wants_everything_gets_everything_and_the_others_are_paced_here() {
    let mut net = network();
    let paced = net.subscribe(0, "job:1", Flow::throttle(ms(200)));
    net.run_for(ms(100));
    let all = net.subscribe(0, "job:1", Flow::IMMEDIATE);
    net.run_for(ms(100));
    let began = publish_each(&mut net, 50, 10);
    net.run_for(secs(1));
    assert_eq!(net.records[all].values().len(), 10);
    assert_eq!(
        timeline(&net, paced, began),
        [(0, 1), (200, 4), (400, 8), (600, 10)]
    );
}

#[test]
fn when_the_finer_leaves_less_is_sent_and_the_pace_is_kept() {
    let mut net = network();
    let paced = net.subscribe(0, "job:1", Flow::throttle(ms(500)));
    let all = net.subscribe(0, "job:1", Flow::IMMEDIATE);
    net.run_for(ms(100));
    publish_each(&mut net, 70, 10);
    net.unsubscribe(all);
    net.run_for(ms(50));
    let frames = net.frames(0, Direction::Down);
    publish_each(&mut net, 10, 100);
    let sent = net.frames(0, Direction::Down) - frames;
    assert!(sent <= 3, "{sent} frames in a second");
    net.run_for(secs(1));
    net.records[paced].check_pace();
    net.check_converged();
}

#[test]
fn a_change_of_flow_goes_up_too() {
    let mut net = network();
    let record = net.subscribe(0, "job:1", Flow::IMMEDIATE);
    net.run_for(ms(100));
    net.set_flow(record, Flow::debounce(ms(100)));
    net.run_for(ms(100));
    let frames = net.frames(0, Direction::Down);
    let began = publish_each(&mut net, 10, 20);
    net.run_for(secs(1));
    assert_eq!(net.frames(0, Direction::Down) - frames, 1);
    assert_eq!(timeline(&net, record, began), [(290, 20)]);
}

#[test]
fn a_pace_is_kept_whatever_becomes_of_the_connection() {
    let mut net = network();
    let flow = Flow::throttle(secs(1));
    let record = net.subscribe(0, "job:1", flow);
    net.run_for(ms(100));
    for number in 0..100_u64 {
        net.publish("job:1", number).unwrap();
        if number % 7 == 0 {
            net.cut(0, Cut::Both);
        }
        net.run_for(ms(90));
    }
    net.run_for(secs(30));
    net.check_converged();
    assert!(net.records[record].values().len() >= 4);
}

#[test]
fn a_terminal_flushes_every_gate_and_ends_every_subscriber() {
    let mut net = network();
    let flows = [
        Flow::IMMEDIATE,
        Flow::throttle(secs(60)),
        Flow::debounce(secs(60)),
        collect(),
    ];
    let records = flows.map(|flow| net.subscribe(0, "job:1", flow));
    net.run_for(ms(100));
    let values = [json!(1), json!(2), json!({ "status": "Failed" })];
    for value in &values {
        net.publish("job:1", value.clone()).unwrap();
    }
    net.run_for(ms(DELAY));
    for record in records {
        let record = &net.records[record];
        let seen = record.values();
        assert_eq!(seen[seen.len() - 2..], values[1..], "{:?}", record.flow);
        let (_, end) = record.seen.last().unwrap();
        assert_eq!(*end, Seen::Ended(EndReason::Failed));
    }
    assert_eq!(upstream(&net), 0);
    let again = net.subscribe(0, "job:1", Flow::debounce(secs(60)));
    net.run_for(ms(100));
    assert_eq!(net.records[again].values(), values[2..]);
    assert!(net.records[again].is_over());
}

#[test]
fn with_its_last_topic_ended_a_client_does_not_connect_again() {
    let mut net = network();
    net.subscribe(0, "job:1", Flow::IMMEDIATE);
    net.run_for(ms(100));
    net.publish("job:1", json!({ "status": "COMPLETE" }))
        .unwrap();
    net.run_for(ms(100));
    let states = net.peers[0].states.len();
    net.cut(0, Cut::Both);
    net.run_for(secs(120));
    assert_eq!(
        net.peers[0].states.len(),
        states + 1,
        "only the loss is told"
    );
    assert_eq!(net.peers[0].hub.poll_timeout(), None);
}

#[test]
fn a_refusal_reaches_all_subscribers_of_the_pattern_and_no_others() {
    let mut config = ServerConfig::new(1);
    config.session.subscriptions_max = 1;
    let mut net = Network::with_config(config);
    net.connected_peer(Quality::delayed(ms(DELAY)));
    let first = net.subscribe(0, "job:1", Flow::IMMEDIATE);
    let refused = [0, 1].map(|_| net.subscribe(0, "job:2", Flow::IMMEDIATE));
    net.run_for(ms(100));
    for record in refused {
        let (_, last) = net.records[record].seen.last().unwrap();
        assert_eq!(*last, Seen::Refused(ErrorCode::TooManySubscriptions));
    }
    net.unsubscribe(first);
    let again = net.subscribe(0, "job:2", Flow::IMMEDIATE);
    net.publish("job:2", 1).unwrap();
    net.run_for(ms(100));
    assert_eq!(net.records[again].values(), [json!(1)]);
}

#[test]
fn a_loss_is_told_to_those_who_lost_something() {
    let mut config = ServerConfig::new(1);
    config.outbox_bytes_max = 2_000;
    let mut net = Network::with_config(config);
    net.connected_peer(Quality {
        per_frame: ms(5),
        ..Quality::delayed(ms(DELAY))
    });
    let all = [0, 1].map(|_| net.subscribe(0, "job:1", Flow::IMMEDIATE));
    let latest = net.subscribe(0, "job:1", Flow::throttle(ms(50)));
    net.run_for(ms(100));
    for number in 0..200 {
        net.publish("job:1", number).unwrap();
    }
    net.run_for(secs(5));
    for record in all {
        let record = &net.records[record];
        assert!(record.missed() > 0);
        assert_eq!(record.missed() + record.values().len() as u64, 200);
    }
    assert_eq!(net.records[latest].losses(), 0);
    net.check_converged();
}

#[test]
fn a_subscriber_who_wants_everything_beside_a_paced_one_is_told_what_was_conflated_on_the_way() {
    let mut net = network();
    net.subscribe(0, "job:1", Flow::throttle(ms(100)));
    net.run_for(ms(100));
    for number in 0..5 {
        net.publish("job:1", number).unwrap();
    }
    net.run_for(ms(20));
    let all = net.subscribe(0, "job:1", Flow::IMMEDIATE);
    net.run_for(ms(300));
    let record = &net.records[all];
    assert_eq!(record.values(), [json!(0), json!(4)]);
    assert_eq!(record.missed(), 3);
}

#[test]
fn who_adds_up_beside_one_who_wants_the_latest_adds_up_everything_since_it_came() {
    let mut net = network();
    net.subscribe(0, "job:1", Flow::throttle(ms(100)));
    net.run_for(ms(100));
    for number in 0..5 {
        net.publish("job:1", number).unwrap();
    }
    net.run_for(ms(20));
    let sums = Flow::throttle(ms(50)).with_conflate(Conflate::Sum);
    let sums = net.subscribe(0, "job:1", sums);
    net.run_for(ms(80));
    for number in 5..9 {
        net.publish("job:1", number).unwrap();
        net.run_for(ms(5));
    }
    net.run_for(ms(300));
    let record = &net.records[sums];
    let total: u64 = record.values().iter().filter_map(Value::as_u64).sum();
    assert_eq!((total, record.losses()), (4 + 5 + 6 + 7 + 8, 0));
}

#[test]
fn a_dashboard_of_many_topics_is_sent_what_it_shows_and_no_more() {
    const TOPICS: u64 = 200;
    const SECONDS: u64 = 4;
    let mut net = network();
    let everything = net.connected_peer(Quality::delayed(ms(DELAY)));
    let names: Vec<String> = (0..TOPICS).map(|number| format!("job:{number}")).collect();
    let shown: Vec<usize> = names
        .iter()
        .map(|name| net.subscribe(0, name, Flow::throttle(secs(1))))
        .collect();
    net.subscribe(everything, "job:*", Flow::IMMEDIATE);
    net.run_for(ms(100));
    let before = [0, everything].map(|peer| net.sent(peer));
    for number in 0..50 * SECONDS {
        for name in &names {
            let data = json!({ "progress": number, "message": "resizing photographs" });
            net.publish(name, data).expect("the topic is open");
        }
        net.run_for(ms(20));
    }
    net.run_for(secs(2));
    let paced = net.sent(0) - before[0];
    let all = net.sent(everything) - before[1];
    println!("{paced:?} of {all:?}");
    // At 0, 1, 2, 3 s, and the last.
    assert_eq!(paced.frames, TOPICS * (SECONDS + 1));
    assert_eq!(all.frames, TOPICS * 50 * SECONDS);
    assert!(paced.bytes * 39 < all.bytes, "{paced:?} of {all:?}");
    for record in shown {
        assert_eq!(net.records[record].values().len() as u64, SECONDS + 1);
    }
    net.check_converged();
}
