//! A host may poll outputs early or late, and may write some deliveries to its connections directly. Every subscription
//! without conflation gets the same frames in the same order nevertheless.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::flow::Flow;
use tidegate_core::hub::{ConnectionId, ServerConfig, ServerOutput};
use tidegate_core::protocol::{ServerFrame, SubscribeRequest};
use tidegate_tests::wire::{Wire, kinds, text_of};

const TOPICS: [&str; 2] = ["job:1", "job:2"];

/// The index of the connection that is local to the process.
const LOCAL: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    /// This many publications at one instant, by a connection or by the server itself.
    Publish {
        topic: usize,
        count: usize,
        by_client: bool,
    },
    End {
        topic: usize,
    },
    Subscribe {
        connection: usize,
        topic: usize,
    },
    Unsubscribe {
        connection: usize,
        topic: usize,
    },
    Close {
        connection: usize,
    },
    Pass {
        millis: u64,
    },
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let topics = 0..TOPICS.len();
    let step = prop_oneof![
        8 => (topics.clone(), 1..6_usize, any::<bool>())
            .prop_map(|(topic, count, by_client)| Step::Publish { topic, count, by_client }),
        1 => topics.clone().prop_map(|topic| Step::End { topic }),
        2 => (0..LOCAL, topics.clone())
            .prop_map(|(connection, topic)| Step::Subscribe { connection, topic }),
        1 => (0..LOCAL, topics)
            .prop_map(|(connection, topic)| Step::Unsubscribe { connection, topic }),
        1 => (0..=LOCAL).prop_map(|connection| Step::Close { connection }),
        3 => (0..40_u64).prop_map(|millis| Step::Pass { millis }),
    ];
    prop::collection::vec(step, 0..40)
}

/// What a host polls, and when.
#[derive(Clone, Debug, PartialEq)]
enum Manner {
    /// Outputs, after every call.
    Prompt,
    /// Outputs, but only when time passes.
    Late,
    /// First the connections that it may write to directly, then outputs, after every call. The fields say which writes
    /// succeed (the list is repeated), how many connections it writes to before it polls outputs, and how often it does
    /// both before something else happens.
    Direct {
        takes: Vec<bool>,
        at_once: usize,
        rounds: usize,
    },
}

/// A server and its host.
struct Host {
    wire: Wire,
    manner: Manner,
    /// How many connections the server let it write to directly.
    recipients: usize,
    publisher: ConnectionId,
    connections: Vec<ConnectionId>,
    /// The frames that each connection got, by subscription.
    received: Vec<BTreeMap<String, Vec<Value>>>,
    published: u64,
}

impl Host {
    fn new(manner: Manner) -> Self {
        let mut wire = Wire::new(ServerConfig::new(7));
        let publisher = wire.open();
        let mut host = Self {
            connections: (0..4).map(|_| wire.open()).collect(),
            received: vec![BTreeMap::new(); 5],
            wire,
            manner,
            recipients: 0,
            publisher,
            published: 0,
        };
        for (index, frame) in [
            json!({ "type": "subscribe", "pattern": "job:1" }),
            json!({ "type": "subscribe", "pattern": "job:*" }),
            json!({ "type": "subscribe", "pattern": "job:1", "flow": { "throttle_ms": 20, "conflate": "collect" } }),
            json!({ "type": "subscribe", "pattern": "**", "flow": { "throttle_ms": 20, "conflate": "collect" } }),
        ]
        .iter()
        .enumerate()
        {
            host.wire.send(host.connections[index], frame);
        }
        let local = host.wire.server.handle_open_local(usize::MAX / 4);
        host.connections.push(local);
        subscribe_locally(&mut host.wire, local, "job:1");
        subscribe_locally(&mut host.wire, local, "job:*");
        host.drain();
        host
    }

    /// What a host does before it waits for something to happen.
    fn drain(&mut self) {
        self.do_some(usize::MAX);
    }

    /// What a host does after each call.
    fn go_on(&mut self) {
        match self.manner {
            Manner::Prompt => self.drain(),
            Manner::Late => {}
            Manner::Direct { rounds, .. } => self.do_some(rounds),
        }
    }

    fn do_some(&mut self, rounds: usize) {
        for _ in 0..rounds {
            let has_spread = self.spread();
            while let Some(output) = self.wire.server.poll_output() {
                let (ServerOutput::Ready(id) | ServerOutput::Close(id, _)) = output;
                let frames = self.wire.receive(id);
                self.note(id, frames);
            }
            if !has_spread {
                return;
            }
        }
    }

    /// Writes a publication directly to some of the next connections that get it.
    fn spread(&mut self) -> bool {
        let Manner::Direct { takes, at_once, .. } = self.manner.clone() else {
            return false;
        };
        let Some(spread) = self.wire.server.poll_spread() else {
            return false;
        };
        let frame = ServerFrame::Publication {
            publication: Arc::clone(&spread.publication),
            via: spread.via.clone(),
        };
        let named = std::iter::from_fn(|| self.wire.server.poll_recipient()).take(at_once);
        for recipient in named.collect::<Vec<_>>() {
            self.recipients += 1;
            if takes[self.recipients % takes.len()] {
                self.note(recipient.connection, vec![text_of(&frame)]);
            } else {
                let now = self.wire.now;
                self.wire.server.handle_untaken(now, recipient, &spread);
            }
        }
        true
    }

    fn note(&mut self, id: ConnectionId, frames: Vec<Value>) {
        if let Some(index) = self.connections.iter().position(|known| *known == id) {
            for frame in frames {
                let names = ["via", "pattern", "topic"].map(|member| frame[member].as_str());
                let subscription = names.into_iter().flatten().next().unwrap_or_default();
                let known = self.received[index].entry(subscription.to_owned());
                known.or_default().push(frame);
            }
        }
    }

    fn publish(&mut self, topic: usize, by_client: bool, end: bool) {
        self.published += 1;
        let mut frame = json!({
            "type": "publish", "ref": self.published, "topic": TOPICS[topic],
            "data": self.published, "restart": true,
        });
        if end {
            frame["end"] = json!("complete");
        }
        if by_client || end {
            self.wire.send(self.publisher, &frame);
        } else if self
            .wire
            .server
            .latest(&tidegate_tests::topic(TOPICS[topic]))
            .is_none_or(|latest| latest.end.is_none())
        {
            self.wire.publish(TOPICS[topic], json!(self.published));
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Publish {
                topic,
                count,
                by_client,
            } => {
                for _ in 0..count {
                    self.publish(topic, by_client, false);
                    self.go_on();
                }
            }
            Step::End { topic } => self.publish(topic, true, true),
            Step::Subscribe { connection, topic } => {
                let frame = json!({ "type": "subscribe", "pattern": TOPICS[topic] });
                self.wire.send(self.connections[connection], &frame);
            }
            Step::Unsubscribe { connection, topic } => {
                let frame = json!({ "type": "unsubscribe", "pattern": TOPICS[topic] });
                // Closing it would drop the frames that wait for it.
                self.drain();
                self.wire.send(self.connections[connection], &frame);
            }
            Step::Close { connection } => {
                self.drain();
                let id = self.connections[connection];
                self.wire.server.handle_closed(self.wire.now, id);
            }
            Step::Pass { millis } => {
                self.drain();
                self.wire.pass(Duration::from_millis(millis));
                self.drain();
            }
        }
        self.go_on();
    }
}

fn subscribe_locally(wire: &mut Wire, id: ConnectionId, pattern: &str) {
    let request = SubscribeRequest::new(pattern.parse().expect("valid"), Flow::IMMEDIATE);
    let (server, now) = (&mut wire.server, wire.now);
    server.handle_subscribe(now, id, request).expect("room");
}

proptest! {
    #[test]
    fn a_late_host_hands_over_the_same_frames(steps in any_steps()) {
        prop_assert_eq!(received(Manner::Prompt, &steps), received(Manner::Late, &steps));
    }

    #[test]
    fn a_host_that_writes_to_connections_directly_hands_over_the_same_frames(
        steps in any_steps(),
        takes in prop::collection::vec(any::<bool>(), 1..8),
        at_once in 1..6_usize,
        rounds in 1..3_usize,
    ) {
        let direct = Manner::Direct { takes, at_once, rounds };
        prop_assert_eq!(received(Manner::Prompt, &steps), received(direct, &steps));
    }
}

/// Runs the steps, and returns the frames of each connection, by subscription.
fn received(manner: Manner, steps: &[Step]) -> Vec<BTreeMap<String, Vec<Value>>> {
    let mut host = Host::new(manner);
    for step in steps {
        host.take(step);
    }
    host.drain();
    host.received
}

/// Watchers of a publication don't wait for the answer to its publisher, and the answer waits for no more than 64 of
/// them.
#[test]
fn the_first_watchers_go_before_the_publishers_answer() {
    for (watchers, before_the_answer) in [(0, 0), (1, 1), (64, 64), (100, 64)] {
        let mut wire = Wire::new(ServerConfig::new(7));
        let publisher = wire.open();
        for _ in 0..watchers {
            let watcher = wire.open();
            wire.send(watcher, &json!({ "type": "subscribe", "pattern": "job:1" }));
        }
        for output in wire.outputs() {
            let (ServerOutput::Ready(id) | ServerOutput::Close(id, _)) = output;
            wire.receive(id);
        }
        let publish = json!({ "type": "publish", "ref": 1, "topic": "job:1", "data": 1 });
        wire.send(publisher, &publish);
        let outputs = wire.outputs();
        assert_eq!(outputs.len(), watchers + 1);
        let answer = outputs
            .iter()
            .position(|output| *output == ServerOutput::Ready(publisher));
        assert_eq!(answer, Some(before_the_answer), "{watchers} watchers");
    }
}

/// The same holds if the host writes to watchers directly.
#[test]
fn the_publisher_waits_for_the_first_watchers_that_are_written_to_directly() {
    for (watchers, before_the_answer) in [(0, 0), (1, 1), (64, 64), (100, 64)] {
        let mut wire = Wire::new(ServerConfig::new(7));
        let publisher = wire.open();
        for _ in 0..watchers {
            let watcher = wire.welcomed();
            wire.answer(watcher, &json!({ "type": "subscribe", "pattern": "job:1" }));
        }
        wire.outputs();
        let publish = json!({ "type": "publish", "ref": 1, "topic": "job:1", "data": 1 });
        wire.send(publisher, &publish);
        let mut turns = vec![];
        while wire.server.poll_spread().is_some() {
            let watchers = std::iter::from_fn(|| wire.server.poll_recipient());
            turns.extend(watchers.map(|it| it.connection));
            for output in wire.outputs() {
                assert_eq!(output, ServerOutput::Ready(publisher));
                wire.receive(publisher);
                turns.push(publisher);
            }
        }
        if watchers == 0 {
            assert_eq!(wire.outputs(), [ServerOutput::Ready(publisher)]);
            continue;
        }
        assert_eq!(turns.len(), watchers + 1);
        let answer = turns.iter().position(|turn| *turn == publisher);
        assert_eq!(answer, Some(before_the_answer), "{watchers} watchers");
    }
}

/// A delta depends on the value that was sent before, so connections that get deltas are not written to directly.
#[test]
fn who_is_sent_deltas_is_not_written_to_directly() {
    let mut wire = Wire::new(ServerConfig::new(7));
    let watcher = wire.welcomed();
    let delta = json!({ "type": "subscribe", "pattern": "job:1", "flow": { "delta": true } });
    wire.answer(watcher, &delta);
    wire.outputs();
    for done in [1, 2] {
        wire.publish("job:1", json!({ "done": done, "of": "a".repeat(100) }));
        while wire.server.poll_spread().is_some() {
            assert_eq!(wire.server.poll_recipient(), None);
        }
    }
    let frames = wire.receive(watcher);
    assert_eq!(frames[1]["delta"], json!({ "done": 2 }));
}

/// A connection that is closed has two outputs, so a batch of deliveries doesn't always end where it was meant to.
#[test]
fn what_is_too_much_for_some_watchers_goes_to_the_others() {
    let mut config = ServerConfig::new(7);
    config.outbox_bytes_max = 1_000;
    let mut wire = Wire::new(config);
    let publisher = wire.welcomed();
    let roomy = wire.server.handle_open_local(usize::MAX / 4);
    subscribe_locally(&mut wire, roomy, "job:1");
    for _ in 0..100 {
        let watcher = wire.open();
        wire.send(watcher, &json!({ "type": "subscribe", "pattern": "job:1" }));
    }
    for output in wire.outputs() {
        let (ServerOutput::Ready(id) | ServerOutput::Close(id, _)) = output;
        wire.receive(id);
    }
    let long = json!({ "type": "publish", "ref": 1, "topic": "job:1", "data": "x".repeat(5_000) });
    wire.send(publisher, &long);
    let outputs = wire.outputs();
    let closed = |output: &&ServerOutput| matches!(output, ServerOutput::Close(..));
    assert_eq!(outputs.iter().filter(closed).count(), 100);
    assert_eq!(kinds(&wire.receive(roomy)), ["pub"]);
    assert_eq!(kinds(&wire.receive(publisher)), ["published"]);
}

#[test]
fn what_several_topics_bring_is_at_hand_when_a_connection_is_ready() {
    let mut wire = Wire::new(ServerConfig::new(7));
    let watcher = wire.open();
    wire.send(watcher, &json!({ "type": "subscribe", "pattern": "job:*" }));
    wire.outputs();
    wire.receive(watcher);
    for topic in TOPICS {
        wire.publish(topic, 1);
    }
    let output = wire.server.poll_output();
    assert_eq!(output, Some(ServerOutput::Ready(watcher)));
    let kinds = kinds(&wire.receive(watcher));
    assert_eq!(kinds, ["pub", "pub"]);
}
