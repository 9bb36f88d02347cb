//! A server that drains sends its clients elsewhere: one by one, and in time.

use core::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use tidegate_core::client::{ClientConfig, ClientEvent, ConnectionState};
use tidegate_core::flow::Flow;
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_core::protocol::{ServerFrame, Start, SubscribeRequest};
use tidegate_core::session::CloseReason;
use tidegate_core::time::Instant;
use tidegate_tests::bench::{Bench, offsets, position, state_of};
use tidegate_tests::wire::{Wire, kinds, payloads, subscribe};
use tidegate_tests::{ms, pattern, secs};

fn drain(bench: &mut Bench, within_ms: u64) {
    bench.receive(ServerFrame::Drain { within_ms });
}

fn is_left(events: &[tidegate_tests::bench::Event], link: u32) -> bool {
    events.contains(&ClientEvent::Disconnect { link })
}

#[test]
fn a_draining_server_tells_its_clients_and_closes_them_after_a_grace() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let id = wire.welcomed();
    wire.send(id, &subscribe("job:1"));
    wire.receive(id);
    wire.server.handle_drain(wire.now);
    assert_eq!(
        wire.receive(id),
        [json!({ "type": "drain", "within_ms": 2 })],
        "one client need not wait for others"
    );
    wire.send(id, &subscribe("job:2"));
    assert_eq!(kinds(&wire.receive(id)), ["error draining"]);
    wire.send(
        id,
        &json!({ "type": "publish", "ref": 1, "topic": "job:1", "data": 1 }),
    );
    assert_eq!(
        kinds(&wire.receive(id)),
        ["published", "pub"],
        "what is on its way still counts"
    );
    wire.pass(ms(7_999));
    assert_eq!(wire.closes(), []);
    wire.pass(ms(1));
    assert_eq!(wire.closes(), [(id, CloseReason::Drained)]);
}

#[test]
fn who_connects_to_a_draining_server_is_sent_away_at_once() {
    let mut wire = Wire::new(ServerConfig::new(1));
    wire.server.handle_drain(wire.now);
    let id = wire.open();
    assert_eq!(
        wire.receive(id),
        [json!({ "type": "drain", "within_ms": 0 })]
    );
    wire.pass(secs(10));
    assert_eq!(wire.closes(), [(id, CloseReason::Drained)]);
}

#[test]
fn a_client_serves_its_time_at_a_server_that_goes_and_leaves_before_the_time_is_over() {
    for seed in 0..50 {
        let mut bench = Bench::new(ClientConfig::new(seed));
        bench.client.handle_connect(bench.now);
        bench.events();
        bench.subscribe("job:1", Start::Latest);
        bench.open();
        bench.confirm("job:1", Some(position(0)));
        drain(&mut bench, 10_000);
        bench.deliver(position(1));
        assert_eq!(
            offsets(&bench.events()),
            [1],
            "it is served until it leaves"
        );
        let told = bench.now;
        bench.wake();
        assert!(is_left(&bench.events(), 1));
        assert!(bench.now - told <= secs(10), "seed {seed}");
        bench.wake();
        assert!(bench.events().contains(&ClientEvent::Connect { link: 2 }));
    }
}

#[test]
fn a_server_that_gives_no_time_is_left_at_once() {
    let mut bench = Bench::subscribed();
    drain(&mut bench, 0);
    let events = bench.events();
    assert!(is_left(&events, 1));
    assert_eq!(state_of(&events), [ConnectionState::Disconnected]);
}

#[test]
fn a_client_that_wants_something_new_leaves_at_once() {
    let mut bench = Bench::subscribed();
    drain(&mut bench, 3_600_000);
    bench.subscribe("job:2", Start::Latest);
    let before = bench.now;
    bench.wake();
    assert_eq!(bench.now, before);
    let events = bench.events();
    let asked = |event: &_| matches!(event, ClientEvent::Send(_));
    assert!(!events.iter().any(asked), "it would be refused: {events:?}");
    assert!(is_left(&events, 1));
    assert_eq!(bench.reopen().len(), 3, "hello, and both subscriptions");
}

#[test]
fn a_client_whose_server_goes_before_its_time_waits_for_it_all_the_same() {
    let mut waited = Vec::new();
    for seed in 0..50 {
        let mut bench = Bench::new(ClientConfig::new(seed));
        bench.client.handle_connect(bench.now);
        bench.events();
        bench.subscribe("job:1", Start::Latest);
        bench.open();
        drain(&mut bench, 60_000);
        bench.lose();
        let before = bench.now;
        bench.wake();
        waited.push(bench.now - before);
    }
    let late = waited.iter().filter(|waited| **waited > secs(1)).count();
    assert!(late > 40, "they come all at once: {waited:?}");
    assert!(waited.iter().all(|waited| *waited <= secs(60)));
}

/// When the clients of a draining server leave, and when its event streams are closed.
fn departures(seed: u64, clients: usize, streams: usize) -> (Vec<Duration>, Vec<Duration>) {
    let mut wire = Wire::new(ServerConfig::new(seed));
    let ids: Vec<ConnectionId> = (0..clients).map(|_| wire.welcomed()).collect();
    let mut guests = Vec::new();
    for _ in 0..streams {
        let id = wire.server.handle_open_local(10_000);
        wire.server.handle_guest(wire.now, id);
        let request = SubscribeRequest::new(pattern("job:1"), Flow::IMMEDIATE);
        let begun = wire.server.handle_subscribe(wire.now, id, request);
        assert!(begun.is_ok());
        guests.push(id);
    }
    let owned = wire.server.handle_open_local(10_000);
    let told = wire.now;
    wire.server.handle_drain(told);
    let mut left = Vec::new();
    for (at, &id) in ids.iter().enumerate() {
        let frames = wire.receive(id);
        let within = frames.last().unwrap()["within_ms"].as_u64().unwrap();
        let mut bench = Bench::new(ClientConfig::new(seed + at as u64));
        bench.client.handle_connect(bench.now);
        bench.events();
        bench.subscribe("job:1", Start::Latest);
        bench.open();
        drain(&mut bench, within);
        bench.wake();
        left.push(bench.now - Instant::ZERO);
    }
    let mut closed = Vec::new();
    while closed.len() < streams {
        wire.pass(ms(10));
        wire.publish("job:1", 1);
        for (id, reason) in wire.closes() {
            assert_eq!(reason, CloseReason::Drained);
            if guests.contains(&id) {
                assert!(
                    !payloads(&wire.receive(id)).is_empty(),
                    "it is served until then"
                );
                closed.push(wire.now - told);
            }
            assert_ne!(
                id, owned,
                "a stream of the process itself lasts as long as the hub"
            );
            wire.server.handle_closed(wire.now, id);
        }
        assert!(wire.now - told < secs(10), "{} of {streams}", closed.len());
    }
    for id in ids {
        assert!(wire.server.has_clients(), "somebody is left");
        wire.server.handle_closed(wire.now, id);
    }
    assert!(
        !wire.server.has_clients(),
        "all but the process itself have left"
    );
    assert_eq!(wire.server.connections(), 1);
    (left, closed)
}

/// The number in each tenth of the time.
fn tenths(times: &[Duration], window: Duration) -> [usize; 10] {
    let mut counts = [0; 10];
    for time in times {
        assert!(*time <= window + ms(10), "{time:?} of {window:?}");
        let tenth = (time.as_micros() * 10 / window.as_micros()).min(9);
        counts[usize::try_from(tenth).unwrap()] += 1;
    }
    counts
}

#[test]
fn many_clients_spread_over_a_time_that_grows_with_their_number_up_to_a_limit() {
    for (clients, window) in [(1_000, secs(2)), (4_000, secs(5))] {
        let (left, _) = departures(7, clients - 1, 0);
        let counts = tenths(&left, window);
        let fair = clients / 10;
        assert!(
            counts
                .iter()
                .all(|count| *count * 10 > fair * 7 && *count * 10 < fair * 13),
            "{counts:?} of {clients}"
        );
    }
}

#[test]
fn event_streams_are_closed_spread_over_the_same_time() {
    let (_, closed) = departures(7, 0, 999);
    let counts = tenths(&closed, secs(2));
    assert!(
        counts.iter().all(|count| (60..140).contains(count)),
        "{counts:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn nobody_leaves_later_than_told(seed in any::<u32>(), clients in 0..40_usize, streams in 0..40_usize) {
        let (left, closed) = departures(seed.into(), clients, streams);
        let window = ms(2) * u32::try_from(clients + streams + 1).unwrap();
        prop_assert!(left.iter().all(|left| *left <= window));
        prop_assert!(closed.iter().all(|closed| *closed <= window + ms(10)));
    }
}
