//! Subscribers that ask for deltas: what goes over the wire, and that they get whole values.

use serde_json::{Value, json};
use tidegate_core::client::ClientEvent;
use tidegate_core::flow::{Conflate, Flow};
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{ClientFrame, PublishRequest, ServerFrame, Start, SubscribeRequest};
use tidegate_tests::bench::{Bench, known, position, publication};
use tidegate_tests::json::Json;
use tidegate_tests::network::{Cut, Network, Quality};
use tidegate_tests::wire::{Wire, kinds};
use tidegate_tests::{ms, pattern, topic};

/// Most of it stays.
fn state(done: u64) -> Value {
    json!({ "done": done, "of": 500, "title": "photographs of harbours, second series", "by": { "ada": done, "bob": 3 } })
}

fn delta(flow: Flow) -> Flow {
    flow.with_delta(true)
}

/// A connection that has subscribed to `pattern`, and was told so.
fn subscribed(wire: &mut Wire, pattern: &str, flow: &Value) -> ConnectionId {
    let id = wire.open();
    wire.send(
        id,
        &json!({"type":"subscribe","pattern":pattern,"flow":flow}),
    );
    assert_eq!(kinds(&wire.receive(id)), ["welcome", "subscribed"]);
    id
}

#[test]
fn a_whole_value_comes_first_and_then_what_has_changed() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let id = subscribed(&mut wire, "job:1", &json!({ "delta": true }));
    wire.publish("job:1", state(46));
    wire.publish("job:1", state(47));
    let frames = wire.receive(id);
    assert_eq!(frames[0]["data"], state(46));
    let expected = json!({
        "type": "pub", "topic": "job:1", "epoch": frames[0]["epoch"], "offset": 2,
        "base": 1, "delta": { "done": 47, "by": { "ada": 47 } },
    });
    assert_eq!(frames[1], expected);
}

#[test]
fn the_base_is_what_this_subscriber_was_sent_last() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let every = subscribed(&mut wire, "job:1", &json!({ "delta": true }));
    let some = subscribed(
        &mut wire,
        "job:*",
        &json!({ "delta": true, "throttle_ms": 100 }),
    );
    let mut frames = Vec::new();
    for done in 1..=5 {
        wire.publish("job:1", state(done));
        wire.receive(every);
        frames.append(&mut wire.receive(some));
    }
    wire.publish("job:2", state(9));
    wire.pass(ms(100));
    frames.append(&mut wire.receive(some));
    let told = |frame: &Value| {
        (
            frame["topic"].clone(),
            frame["base"].clone(),
            frame["offset"].clone(),
        )
    };
    let told: Vec<_> = frames.iter().map(told).collect();
    let expected = [
        (json!("job:1"), Value::Null, json!(1)),
        (json!("job:2"), Value::Null, json!(1)),
        (json!("job:1"), json!(1), json!(5)),
    ];
    assert_eq!(told, expected);
    assert_eq!(frames[2]["via"], "job:*");
}

#[test]
fn what_waits_for_a_slow_connection_is_conflated_before_it_is_compared() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let id = subscribed(
        &mut wire,
        "job:1",
        &json!({ "delta": true, "throttle_ms": 10 }),
    );
    wire.publish("job:1", state(1));
    assert_eq!(wire.receive(id).len(), 1);
    for done in 2..=50 {
        wire.publish("job:1", state(done));
        wire.pass(ms(10));
    }
    let frames = wire.receive(id);
    assert_eq!(frames.len(), 1);
    assert_eq!(
        (&frames[0]["base"], &frames[0]["offset"]),
        (&json!(1), &json!(50))
    );
}

#[test]
fn the_whole_comes_where_it_is_shorter_or_no_patch_can_say_it_and_at_the_end() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let id = subscribed(&mut wire, "job:1", &json!({ "delta": true }));
    let mut with_null = state(2);
    with_null["title"] = Value::Null;
    for data in [
        json!(1),
        json!(2),
        json!({"a":1}),
        json!({"a":2}),
        state(1),
        with_null.clone(),
        state(2),
    ] {
        wire.publish("job:1", data);
    }
    let end = PublishRequest {
        end: Some(EndReason::Complete.into()),
        ..PublishRequest::new(topic("job:1"), state(3).into())
    };
    wire.server
        .handle_publish(wire.now, end)
        .expect("the topic is open");
    let frames = wire.receive(id);
    let whole: Vec<bool> = frames[..8]
        .iter()
        .map(|frame| frame.get("data").is_some())
        .collect();
    assert_eq!(whole, [true, true, true, true, true, true, false, true]);
    assert_eq!(frames[7]["end"], "complete");
}

#[test]
fn deltas_are_asked_for_and_given_up_on_a_live_subscription() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let id = subscribed(&mut wire, "job:1", &json!({}));
    let is_delta = |wire: &mut Wire, done| {
        wire.publish("job:1", state(done));
        wire.receive(id)[0].get("delta").is_some()
    };
    assert!(!is_delta(&mut wire, 1));
    let flow = |delta: bool| json!({"type":"flow","pattern":"job:1","flow":{"delta":delta}});
    wire.send(id, &flow(true));
    assert!(!is_delta(&mut wire, 2), "the first is whole");
    assert!(is_delta(&mut wire, 3));
    wire.send(id, &flow(false));
    assert!(!is_delta(&mut wire, 4));
}

#[test]
fn what_is_collected_is_whole() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let id = wire.open();
    let flow = json!({"throttle_ms":100,"conflate":"collect","delta":true});
    wire.send(
        id,
        &json!({"type":"subscribe","pattern":"job:1","flow":flow}),
    );
    let frames = wire.receive(id);
    assert_eq!(kinds(&frames), ["welcome", "error bad_flow"]);
    let message = frames[1]["message"].as_str().expect("an error says why");
    assert!(message.contains("batches are sent whole"), "{message}");
}

#[test]
fn subscribers_are_handed_whole_values_through_cuts_and_changes_of_flow() {
    let mut net = Network::new(1);
    let peer = net.connected_peer(Quality::delayed(ms(10)));
    let every = net.subscribe(peer, "job:1", delta(Flow::IMMEDIATE));
    let some = net.subscribe(peer, "job:*", delta(Flow::throttle(ms(100))));
    net.run_for(ms(100));
    for done in 1..=60 {
        net.publish("job:1", state(done))
            .expect("the topic is open");
        net.run_for(ms(20));
        match done {
            20 => net.cut(peer, Cut::Both),
            30 => net.set_flow(some, delta(Flow::throttle(ms(50)))),
            40 => net.set_flow(every, Flow::IMMEDIATE),
            _ => {}
        }
    }
    net.run_for(ms(30_000));
    let expected: Vec<Value> = (1..=60).map(state).collect();
    assert_eq!(net.records[every].values(), expected);
    assert_eq!(net.records[some].values().last(), expected.last());
    assert!(net.sent(peer).deltas > 40, "{:?}", net.sent(peer));
    net.check_converged();
}

#[test]
fn sums_and_merges_are_sent_as_deltas_too() {
    for conflate in [Conflate::Sum, Conflate::Merge] {
        let mut net = Network::new(1);
        let peer = net.connected_peer(Quality::delayed(ms(10)));
        let flow = Flow::throttle(ms(100)).with_conflate(conflate);
        let whole = net.subscribe(peer, "job:1", flow);
        let other = net.connected_peer(Quality::delayed(ms(10)));
        let as_deltas = net.subscribe(other, "job:1", delta(flow));
        net.run_for(ms(100));
        for done in 1..=60 {
            net.publish("job:1", state(done))
                .expect("the topic is open");
            net.run_for(ms(20));
        }
        net.run_for(ms(1_000));
        assert_eq!(net.records[as_deltas].values(), net.records[whole].values());
        assert!(net.sent(other).deltas >= 10 && net.sent(peer).deltas == 0);
    }
}

#[test]
fn tabs_of_different_wishes_share_one_subscription_with_deltas() {
    let mut net = Network::new(1);
    let peer = net.connected_peer(Quality::delayed(ms(10)));
    let plain = net.subscribe(peer, "job:1", Flow::IMMEDIATE);
    let other = net.subscribe(peer, "job:1", delta(Flow::IMMEDIATE));
    net.run_for(ms(100));
    for done in 1..=10 {
        net.publish("job:1", state(done))
            .expect("the topic is open");
        net.run_for(ms(20));
    }
    assert_eq!(net.sent(peer).deltas, 9);
    assert_eq!(net.records[plain].values(), net.records[other].values());
    net.unsubscribe(other);
    net.run_for(ms(100));
    net.publish("job:1", state(11)).expect("the topic is open");
    net.run_for(ms(100));
    assert_eq!(net.sent(peer).deltas, 9, "nobody asks for them any more");
    assert_eq!(net.records[plain].values().len(), 11);
}

#[test]
fn a_client_without_the_base_subscribes_anew_after_what_it_saw() {
    let mut bench = Bench::wanted();
    let request = SubscribeRequest::new(pattern("job:1"), delta(Flow::IMMEDIATE));
    bench.client.handle_subscribe(bench.now, request);
    bench.open();
    bench.confirm("job:1", Some(position(5)));
    bench.deliver(position(5));
    bench.events();
    let lost = || ServerFrame::Delta {
        publication: publication("job:1", position(8)),
        base: 7,
        via: None,
    };
    bench.receive(lost());
    let events = bench.events();
    let [
        ClientEvent::Send(ClientFrame::Unsubscribe { .. }),
        ClientEvent::Send(ClientFrame::Subscribe(SubscribeRequest { start, .. })),
    ] = &events[..]
    else {
        panic!("nothing that can't be made whole is told: {events:?}");
    };
    assert_eq!(*start, Start::Since(vec![known("job:1", position(5))]));
    bench.receive(lost());
    assert!(
        bench.events().is_empty(),
        "what is still on its way is of the subscription that was given up"
    );
}

/// The bytes that a subscriber of `values`, sent one by one, gets: whole, and as deltas.
fn bytes(values: &[Value]) -> (u64, u64) {
    let measure = |flow| {
        let mut net = Network::new(1);
        let peer = net.connected_peer(Quality::delayed(ms(1)));
        net.subscribe(peer, "job:1", flow);
        net.run_for(ms(10));
        let before = net.sent(peer).bytes;
        for value in values {
            net.publish("job:1", Json(value.clone()))
                .expect("the topic is open");
            net.run_for(ms(10));
        }
        net.sent(peer).bytes - before
    };
    (measure(Flow::IMMEDIATE), measure(delta(Flow::IMMEDIATE)))
}

/// What `tidegate_core::progress` publishes about 500 labels by eight people, once a second.
fn progress_object(second: u64) -> Value {
    let names = ["ada", "bob", "cem", "dot", "eva", "fay", "gus", "hal"];
    let done = 40 + second;
    let by = |index: u64| 5 + (second + 7 - index) / 8;
    let sessions: serde_json::Map<String, Value> = names
        .iter()
        .zip(0_u64..)
        .map(|(name, index)| ((*name).to_owned(), by(index).into()))
        .collect();
    json!({
        "done": done, "target": 500, "remaining": 500 - done, "queued": 500 - done, "active": 8,
        "per_hour": 3_600, "per_second_milli": 1_000, "window_ms": 600_000,
        "eta_ms": (500 - done) * 1_000, "eta_earliest_ms": (500 - done) * 960, "eta_latest_ms": (500 - done) * 1_042,
        "started_ms": 1_790_000_000_000_u64, "sessions": sessions, "others": 0,
    })
}

/// Eighty panels of a dashboard, of which five change at a time: 10 KiB.
fn dashboard(step: u64) -> Value {
    let panel = |panel: u64| {
        let changes = (step + 79 - panel % 16) / 16;
        json!({
            "title": format!("Queue of the north-eastern depot, line {panel}"), "unit": "parcels/min",
            "value": 1_000 + changes, "low": 12, "high": 4_000 + panel, "state": "running",
        })
    };
    let panels: serde_json::Map<String, Value> = (0..80)
        .map(|at| (format!("panel-{at}"), panel(at)))
        .collect();
    Value::Object(panels)
}

#[test]
fn bytes_are_saved() {
    let progress: Vec<Value> = (0..100).map(progress_object).collect();
    let dashboards: Vec<Value> = (0..100).map(dashboard).collect();
    let size = dashboards[0].to_string().len();
    assert!((10_000..12_000).contains(&size), "{size}");
    for (name, values, percent_max) in [("progress", progress, 70), ("dashboard", dashboards, 6)] {
        let (whole, deltas) = bytes(&values);
        println!("{name}: {whole} bytes whole, {deltas} as deltas");
        assert!(
            deltas * 100 < whole * percent_max,
            "{name}: {deltas} of {whole}"
        );
    }
}
