//! Servers that share a backend and broadcast anything.

use serde_json::{Value, json};
use tidegate_core::hub::{ConnectionId, DisconnectsEnvelope, ServerConfig};
use tidegate_core::presence::PresenceEnvelope;
use tidegate_core::session::ClaimsEnvelope;
use tidegate_tests::json::Json;
use tidegate_tests::wire::Wire;
use tidegate_tests::{ms, secs};

use crate::Source;

const WAITS_MS: [u64; 4] = [1, 50, 5_000, 16_000];

/// Whatever other servers broadcast, this one goes on, and once they are silent, their presences are removed and they
/// are forgotten.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut wire = Wire::new(ServerConfig::new(1));
    wire.server.handle_servers_linked(wire.now);
    let watcher = wire.open();
    wire.send(watcher, &json!({ "type": "watch", "ref": 1, "topic": "a" }));
    while source.has_more() {
        if source.below(6) == 0 {
            wire.pass(ms(*source.one_of(&WAITS_MS)));
        }
        let message = any_message(&mut source);
        hear(&mut wire, source.damaged(message));
        say(&mut wire, watcher);
    }
    wire.pass(secs(16));
    assert!(wire.server.presence(&tidegate_tests::topic("a")).is_none());
    wire.pass(secs(20 * 60));
    assert_eq!(wire.server.presence_counts().nodes, 0);
}

fn hear(wire: &mut Wire, message: Value) {
    if let Ok(claims) = serde_json::from_value::<ClaimsEnvelope>(message.clone()) {
        wire.server.handle_claims(wire.now, claims.into());
    } else if let Ok(told) = serde_json::from_value::<DisconnectsEnvelope>(message.clone()) {
        wire.server.handle_disconnects_heard(wire.now, told.into());
    } else if let Ok(said) = serde_json::from_value::<PresenceEnvelope<Json>>(message) {
        wire.server.handle_presence_heard(wire.now, said.into());
    }
}

fn say(wire: &mut Wire, watcher: ConnectionId) {
    while wire.server.poll_presence().is_some() {}
    while !wire.server.poll_claims().is_empty() {}
    assert!(
        wire.server.poll_disconnects(wire.now).is_empty(),
        "it was asked for none"
    );
    wire.send(watcher, &json!({ "type": "pong" }));
    wire.receive(watcher);
    for (id, _) in wire.closes() {
        wire.server.handle_closed(wire.now, id);
    }
}

fn any_message(source: &mut Source<'_>) -> Value {
    let node = source.below(4) + 1;
    let clocks = [(); 3].map(|()| source.below(12));
    let entry = json!({ "clock": clocks[0], "topic": "a", "key": "ada", "data": source.value() });
    match source.below(6) {
        0 => json!({ "type": "hello", "node": node }),
        1 => json!({ "type": "request", "node": node, "of": clocks[0], "since": clocks[1] }),
        2 => json!({ "type": "bye", "node": node }),
        3 => {
            let claim = json!({ "group": "g", "term": clocks[0], "tab": clocks[1] });
            json!({ "type": "claims", "claims": [claim] })
        }
        4 => {
            let told = json!({ "id": clocks[0], "user": "ada", "age_ms": clocks[1] });
            json!({ "type": "disconnects", "disconnects": [told] })
        }
        _ => json!({
            "type": "part", "node": node, "since": clocks[0], "until": clocks[1], "clock": clocks[2],
            "joins": [entry], "leaves": [clocks[1]],
        }),
    }
}
