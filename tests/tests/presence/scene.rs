//! Connections that ask for presences, and what a server then knows.

use serde_json::{Value, json};
use tidegate_core::hub::ConnectionId;
use tidegate_core::presence::Roster;
use tidegate_tests::topic;
use tidegate_tests::wire::{Wire, kinds};

pub(crate) fn opened(wire: &mut Wire) -> ConnectionId {
    let id = wire.open();
    wire.send(id, &json!({ "type": "hello" }));
    wire.receive(id);
    id
}

pub(crate) fn watching(wire: &mut Wire, to: &str) -> ConnectionId {
    let id = opened(wire);
    wire.send(id, &watch(to));
    assert_eq!(kinds(&wire.receive(id)), ["presence_state"]);
    id
}

pub(crate) fn track(number: u64, to: &str, key: &str, data: &Value) -> Value {
    json!({ "type": "track", "ref": number, "topic": to, "key": key, "data": data })
}

pub(crate) fn watch(to: &str) -> Value {
    json!({ "type": "watch", "ref": 99, "topic": to })
}

/// Who is present in the topic for the server itself: keys and metas.
pub(crate) fn present(wire: &Wire, to: &str) -> Vec<(String, Value)> {
    let roster = wire.server.presence(&topic(to));
    let present = roster.into_iter().flat_map(Roster::present);
    present
        .map(|present| (present.key.to_string(), present.meta.0))
        .collect()
}
