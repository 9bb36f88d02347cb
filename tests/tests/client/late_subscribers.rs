//! Subscribers who join others of the same client: what they start with, whatever they know already.

use serde_json::json;
use tidegate_core::flow::Flow;
use tidegate_core::protocol::{Start, TopicPosition};
use tidegate_core::publication::Position;
use tidegate_tests::network::{Network, Quality};
use tidegate_tests::{ms, topic};

/// A server and a client that is connected, half a second after the origin.
fn network() -> Network {
    let mut net = Network::new(1);
    net.connected_peer(Quality::delayed(ms(10)));
    net
}

#[test]
fn a_late_subscriber_starts_with_the_latest_seen_unless_it_wants_only_new() {
    let mut net = network();
    net.subscribe(0, "job:*", Flow::IMMEDIATE);
    net.run_for(ms(100));
    for (to, number) in [("job:1", 1), ("job:1", 2), ("job:2", 3)] {
        net.publish(to, number).unwrap();
    }
    net.run_for(ms(100));
    let late = net.subscribe(0, "job:*", Flow::IMMEDIATE);
    let new = net.subscribe_from(0, "job:*", Flow::IMMEDIATE, Start::New);
    assert_eq!(net.records[late].values(), [json!(2), json!(3)]);
    net.publish("job:1", 4).unwrap();
    net.run_for(ms(100));
    assert_eq!(net.records[late].values(), [json!(2), json!(3), json!(4)]);
    assert_eq!(net.records[new].values(), [json!(4)]);
}

#[test]
fn a_late_subscriber_with_a_position_is_caught_up_or_told_that_it_is_not() {
    let mut net = network();
    net.subscribe(0, "job:1", Flow::IMMEDIATE);
    net.run_for(ms(100));
    let mut top = Position::default();
    for number in 1..=5 {
        top = net.publish("job:1", number).unwrap();
    }
    net.run_for(ms(100));
    let mut resumed = |position: Position| {
        let since = vec![TopicPosition {
            topic: topic("job:1"),
            position,
        }];
        let record = net.subscribe_from(0, "job:1", Flow::IMMEDIATE, Start::Since(since));
        (net.records[record].resets(), net.records[record].values())
    };
    let at = |offset| Position { offset, ..top };
    assert_eq!(resumed(at(5)), (0, vec![]));
    assert_eq!(resumed(at(4)), (0, vec![json!(5)]));
    for lost in [at(3), at(6), Position::default()] {
        assert_eq!(resumed(lost), (1, vec![json!(5)]), "{lost}");
    }
    net.publish("job:1", 6).unwrap();
    net.run_for(ms(100));
    net.check_converged();
}

#[test]
fn whoever_resumes_beside_others_what_has_not_begun_is_not_reset() {
    let mut net = network();
    let first = net.subscribe(0, "job:9", Flow::IMMEDIATE);
    net.run_for(ms(100));
    let known = vec![TopicPosition {
        topic: topic("job:9"),
        position: Position::default(),
    }];
    let second = net.subscribe_from(0, "job:9", Flow::IMMEDIATE, Start::Since(known));
    net.run_for(ms(100));
    net.publish("job:9", 1).unwrap();
    net.run_for(ms(100));
    for record in [first, second] {
        assert_eq!(net.records[record].resets(), 0);
        assert_eq!(net.records[record].values(), [json!(1)]);
    }
}
