//! The total backlog of slow connections: it is counted and reported, and only reduced if it is too much.

use serde_json::{Value, json};
use tidegate_core::flow::{Flow, FlowFloor, Slow};
use tidegate_core::hub::{Backlog, ConnectionId, ServerConfig};
use tidegate_core::outbox::Losses;
use tidegate_core::protocol::SubscribeRequest;
use tidegate_core::session::CloseReason;
use tidegate_tests::wire::{Wire, kinds, payloads, subscribe};
use tidegate_tests::{ms, pattern};

/// The size of a publication of [`text`], and how many of them a connection has room for.
const BYTES: usize = 1_000;
const ROOM: usize = 20;

fn wire(waiting_max: usize) -> Wire {
    let mut config = ServerConfig::new(1);
    config.outbox_bytes_max = ROOM * BYTES;
    config.waiting_bytes_max = waiting_max * BYTES;
    Wire::new(config)
}

fn text() -> Value {
    json!("x".repeat(BYTES - 120))
}

fn subscribed(wire: &mut Wire, to: &str) -> ConnectionId {
    let id = wire.welcomed();
    wire.answer(id, &subscribe(to));
    wire.outputs();
    id
}

fn publish(wire: &mut Wire, to: &str, count: usize) {
    for _ in 0..count {
        wire.publish(to, text());
    }
    wire.outputs();
}

/// One publication each of so many topics: each is the latest of its topic, and must stay.
fn publish_each(wire: &mut Wire, of: &str, count: usize) -> Vec<(ConnectionId, CloseReason)> {
    for number in 0..count {
        wire.publish(&format!("{of}:{number}"), text());
    }
    wire.closes()
}

#[test]
fn those_of_several_servers_are_added_up() {
    let of = |from: u64| Backlog {
        connections: usize::try_from(from).expect("it is small"),
        bytes: usize::try_from(from + 1).expect("it is small"),
        losses: Losses {
            conflated: from + 2,
            lagged: from + 3,
            shed_bytes: from + 4,
        },
        resets: from + 5,
        recovered: from + 6,
        slowed: from + 7,
    };
    let mut sum = of(100);
    sum.add(&of(50));
    // The steps between the numbers are in each of the two.
    let both = Backlog {
        bytes: 152,
        losses: Losses {
            conflated: 154,
            lagged: 156,
            shed_bytes: 158,
        },
        resets: 160,
        recovered: 162,
        slowed: 164,
        ..of(150)
    };
    assert_eq!(sum, both);
}

#[test]
fn a_connection_is_behind_while_more_waits_for_it_than_it_takes() {
    let mut wire = wire(1_000);
    let ids = ["slow", "quick"].map(|to| subscribed(&mut wire, to));
    (0..3).for_each(|_| publish(&mut wire, "slow", 1));
    let behind = ids.map(|id| wire.server.is_behind(id));
    assert_eq!(behind, [true, false]);
    assert_eq!(wire.server.backlog().connections, 1);
    wire.receive(ids[0]);
    assert!(!wire.server.is_behind(ids[0]));
}

#[test]
fn whoever_is_granted_a_slower_pace_is_counted() {
    let mut config = ServerConfig::new(1);
    config.floor = FlowFloor::none().with(pattern("job:*"), ms(100));
    let mut wire = Wire::new(config);
    let id = wire.welcomed();
    for (throttle, slowed) in [(10, 1), (1_000, 1), (20, 2)] {
        let frame = json!({ "type": "subscribe", "pattern": format!("job:{throttle}"), "flow": { "throttle_ms": throttle } });
        wire.answer(id, &frame);
        assert_eq!(wire.server.backlog().slowed, slowed);
    }
}

#[test]
fn nobody_loses_anything_below_the_limit_and_not_much_more_than_need_be_above() {
    let limit = 40;
    let mut wire = wire(limit);
    let ids = [(); 3].map(|()| subscribed(&mut wire, "job:1"));
    let mut losses = Vec::new();
    for _ in 0..15 {
        let before = wire.server.backlog();
        publish(&mut wire, "job:1", 1);
        let after = wire.server.backlog();
        if after.losses != before.losses {
            assert!(before.bytes + 4 * BYTES > limit * BYTES, "{before:?}");
            losses.push(after.bytes);
        }
        assert!(after.bytes <= limit * BYTES);
    }
    assert!(!losses.is_empty());
    // All but the latest of one after the other, until three quarters of the limit are left.
    assert!(
        losses.iter().all(|left| *left > limit * BYTES / 3),
        "{losses:?}"
    );
    let waiting = ids.map(|id| payloads(&wire.receive(id)).len());
    assert!(waiting.iter().any(|count| *count > 10), "{waiting:?}");
}

#[test]
fn what_a_closed_connection_holds_costs_others_nothing() {
    let mut wire = wire(55);
    let closed = subscribed(&mut wire, "much:*");
    let other = subscribed(&mut wire, "job:1");
    let closes = publish_each(&mut wire, "much", 2 * ROOM + 2);
    assert_eq!(closes, [(closed, CloseReason::SlowConsumer)]);
    // Its host has not closed it yet.
    for _ in 0..17 {
        publish(&mut wire, "job:1", 1);
    }
    assert!(wire.server.backlog().bytes > 55 * BYTES);
    let frames = wire.receive(other);
    assert_eq!(payloads(&frames).len(), 17);
}

#[test]
fn a_connection_of_the_process_holds_what_must_stay() {
    let mut wire = wire(1_000);
    let id = wire.server.handle_open_local(ROOM * BYTES);
    let request = SubscribeRequest::new(pattern("much:*"), Flow::IMMEDIATE);
    let begun = wire.server.handle_subscribe(wire.now, id, request);
    assert!(begun.is_ok());
    assert_eq!(publish_each(&mut wire, "much", 3 * ROOM), []);
    let frames = wire.receive(id);
    assert_eq!(payloads(&frames).len(), 3 * ROOM);
    assert!(!kinds(&frames).contains(&"lagged".to_owned()));
}

#[test]
fn a_connection_of_the_process_that_would_rather_begin_anew_is_closed_once() {
    let mut wire = wire(1_000);
    let id = wire.server.handle_open_local(ROOM * BYTES);
    wire.server.handle_slow(id, Slow::Disconnect);
    let request = SubscribeRequest::new(pattern("*"), Flow::IMMEDIATE);
    let begun = wire.server.handle_subscribe(wire.now, id, request);
    assert!(begun.is_ok());
    for _ in 0..5 * ROOM {
        wire.publish("a", text());
    }
    let more = publish_each(&mut wire, "b", 0);
    assert_eq!(more, [(id, CloseReason::SlowConsumer)]);
    wire.publish("a", text());
    assert_eq!(wire.closes(), []);
}

/// Three connections, of whose publications each may drop all but the latest of a topic. The first has most, the last of which is made longer by
/// `more` bytes. Then there is too much.
fn crowded(bytes_max: usize, more: usize) -> (Wire, [ConnectionId; 3]) {
    let mut config = ServerConfig::new(1);
    config.waiting_bytes_max = bytes_max;
    let mut wire = Wire::new(config);
    let ids = ["a:*", "b:*", "c:*"].map(|to| subscribed(&mut wire, to));
    for (of, topics, count) in [("b", 1, 12), ("c", 1, 12), ("a", 4, 15)] {
        for number in 1..=count {
            let is_last = (of, number) == ("a", count);
            let length = BYTES + if is_last { more } else { 0 };
            wire.publish(
                &format!("{of}:{}", number % topics),
                json!("x".repeat(length)),
            );
            wire.outputs();
        }
    }
    (wire, ids)
}

/// The largest number up to the last one for which this holds, as it does for all below.
fn largest(last: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut fits, mut too_large) = (0, last + 1);
    while too_large - fits > 1 {
        let middle = fits.midpoint(too_large);
        if holds(middle) {
            fits = middle;
        } else {
            too_large = middle;
        }
    }
    fits
}

#[test]
fn room_is_made_beyond_the_limit_and_until_three_quarters_are_left_to_the_byte() {
    let all = crowded(usize::MAX, 0).0.server.backlog().bytes;
    let is_whole = |limit| crowded(limit, 0).0.server.backlog().losses.lagged == 0;
    assert_eq!([all - 1, all].map(is_whole), [false, true]);

    // Of the first one alone, while what it leaves is not too much.
    let limit = all - all % 100 - 300;
    let others_are_whole = |more| {
        let (mut wire, [_, second, third]) = crowded(limit, more);
        let count = |id| payloads(&wire.receive(id)).len();
        [second, third].map(count) == [12, 12]
    };
    let more = largest(20 * BYTES, others_are_whole);
    assert!((1..20 * BYTES).contains(&more));
    let left = crowded(limit, more).0.server.backlog().bytes;
    assert_eq!(left, limit / 100 * 75);
}

#[test]
fn connections_are_closed_where_more_than_the_limit_must_stay_to_the_byte() {
    // Of one connection with many topics, of which the first has one publication to give up.
    let run = |limit| {
        let mut config = ServerConfig::new(1);
        config.waiting_bytes_max = limit;
        let mut wire = Wire::new(config);
        subscribed(&mut wire, "a:*");
        let mut closes = publish_each(&mut wire, "a", 12);
        closes.extend(publish_each(&mut wire, "a", 1));
        (wire.server.backlog(), closes.len())
    };
    let (all, _) = run(usize::MAX);
    let closes = |limit: usize| run(limit).1 > 0;
    let too_small = largest(all.bytes, closes);
    let (left, closed) = run(too_small + 1);
    assert_eq!((left.bytes, closed), (too_small + 1, 0));
    assert_eq!(left.losses.lagged, 1);
}
