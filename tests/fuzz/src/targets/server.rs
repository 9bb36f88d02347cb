//! Clients that send anything, beside one that behaves.

use serde_json::{Value, json};
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_tests::ms;
use tidegate_tests::wire::Wire;

use crate::Source;

/// The number of clients that misbehave.
const CLIENTS: usize = 3;

/// The choices for the time that passes: some are longer than a client may be silent.
const WAITS_MS: [u64; 6] = [0, 1, 50, 999, 26_000, 50_000];

const TOPICS: [&str; 4] = ["job:1", "job:2", "user:7", "job:1:log"];

const PATTERNS: [&str; 6] = ["job:1", "job:*", "**", "user:7", "job:*:log", "job::"];

/// Whatever clients send, whenever: the server goes on, one that behaves is sent each publication once and in order, no frame
/// says something that can't be said, and when all have gone nothing is left.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut wire = Wire::new(ServerConfig::new(1));
    let mut clients: Vec<ConnectionId> = (0..CLIENTS).map(|_| wire.open()).collect();
    let mut bystander = Bystander::new(&mut wire);
    while source.has_more() {
        let client = source.below(CLIENTS);
        match source.below(12) {
            0 => {
                let mut left = *source.one_of(&WAITS_MS);
                while left > 0 {
                    let part = left.min(10_000);
                    wire.pass(ms(part));
                    bystander.look(&mut wire);
                    left -= part;
                }
            }
            1 => {
                wire.server.handle_closed(wire.now, clients[client]);
                clients[client] = wire.open();
            }
            2 => bystander.publish(&mut wire),
            3 => drop(wire.receive(clients[client])),
            _ => {
                let frame = any_frame(&mut source);
                wire.send(clients[client], &source.damaged(frame));
            }
        }
        for (id, _) in wire.closes() {
            wire.server.handle_closed(wire.now, id);
            for client in clients.iter_mut().filter(|client| **client == id) {
                *client = wire.open();
            }
        }
        bystander.look(&mut wire);
    }
    for id in clients.into_iter().chain([bystander.id]) {
        wire.server.handle_closed(wire.now, id);
    }
    wire.pass(ms(50_000));
    assert_eq!(wire.server.connections(), 0);
    assert_eq!(wire.server.counts().subscriptions, 0);
    assert_eq!(wire.server.counts().gates, 0);
    assert_eq!(wire.server.presence_counts().metas, 0);
}

/// A client that behaves: it gets its own publications, on a topic that no other client may touch.
struct Bystander {
    id: ConnectionId,
    published: u64,
    seen: u64,
}

impl Bystander {
    const TOPIC: &'static str = "bystander";

    fn new(wire: &mut Wire) -> Self {
        let id = wire.open();
        wire.send(
            id,
            &json!({ "type": "subscribe", "pattern": Self::TOPIC, "latest": false }),
        );
        Self {
            id,
            published: 0,
            seen: 0,
        }
    }

    fn publish(&mut self, wire: &mut Wire) {
        self.published += 1;
        wire.publish(Self::TOPIC, self.published);
    }

    fn look(&mut self, wire: &mut Wire) {
        for frame in wire.receive(self.id) {
            match frame["type"].as_str() {
                Some("pub") => {
                    self.seen += 1;
                    assert_eq!(frame["data"], json!(self.seen));
                }
                Some("welcome" | "subscribed" | "pong") => {}
                _ => panic!("what did the bystander do to hear this? {frame}"),
            }
        }
        assert_eq!(self.seen, self.published);
        // The client that behaves sends heartbeats.
        wire.send(self.id, &json!({ "type": "ping" }));
    }
}

/// The valid frames of a client.
fn any_frame(source: &mut Source<'_>) -> Value {
    let pattern = *source.one_of(&PATTERNS);
    let topic = *source.one_of(&TOPICS);
    let number = source.below(4);
    match source.below(14) {
        0 => {
            json!({ "type": "hello", "client": "x", "group": "g", "term": number, "tab": source.below(3) })
        }
        1 | 2 => json!({ "type": "subscribe", "pattern": pattern, "flow": any_flow(source) }),
        3 => {
            let since = [json!({ "topic": topic, "epoch": source.value(), "offset": number })];
            json!({ "type": "subscribe", "pattern": pattern, "since": since })
        }
        4 => json!({ "type": "unsubscribe", "pattern": pattern }),
        5 => json!({ "type": "flow", "pattern": pattern, "flow": any_flow(source) }),
        6 | 7 => {
            json!({ "type": "publish", "ref": number, "topic": topic, "data": source.value() })
        }
        8 => {
            json!({ "type": "publish", "ref": number, "topic": topic, "data": 1, "end": "failed", "id": "k", "restart": true })
        }
        9 => {
            json!({ "type": "track", "ref": number, "topic": topic, "key": "ada", "data": source.value() })
        }
        10 => json!({ "type": "untrack", "ref": number }),
        11 => json!({ "type": "watch", "ref": number, "topic": topic }),
        12 => json!({ "type": "unwatch", "topic": topic }),
        _ => json!({ "type": "pong" }),
    }
}

fn any_flow(source: &mut Source<'_>) -> Value {
    match source.below(6) {
        0 => json!({}),
        1 => json!({ "throttle_ms": 100 }),
        2 => json!({ "debounce_ms": 50, "max_wait_ms": 200 }),
        3 => json!({ "throttle_ms": 1_000, "conflate": "collect", "max": 3 }),
        4 => json!({ "throttle_ms": 20, "conflate": "merge", "leading": false }),
        _ => json!({ "debounce_ms": source.value(), "conflate": "sum" }),
    }
}
