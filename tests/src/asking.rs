//! A server that authenticates its clients, and clients that show tokens.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_core::access::Grant;
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_core::protocol::WireError;
use tidegate_core::session::Access;
use tidegate_core::topic::Pattern;

use crate::wire::{Wire, kinds};

/// A server with the default limits.
pub fn wire() -> Wire {
    Wire::new(ServerConfig::new(1))
}

/// Patterns that are written correctly.
///
/// # Panics
/// If one is not.
pub fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts
        .iter()
        .map(|text| Pattern::new(text).expect("a pattern"))
        .collect()
}

/// The rights of an authenticated user.
pub fn grant(user: &str, subscribe: &[&str], publish: &[&str]) -> Grant {
    Grant {
        user: Some(user.into()),
        subscribe: patterns(subscribe),
        publish: patterns(publish),
        ..Grant::nothing()
    }
}

/// A connection whose client has yet to authenticate itself.
pub fn asked(wire: &mut Wire) -> ConnectionId {
    wire.server.handle_open_as(wire.now, &Access::asked())
}

/// A first frame that shows a token.
pub fn hello(token: &str) -> Value {
    json!({ "type": "hello", "token": token })
}

/// A frame that publishes.
pub fn publish(topic: &str) -> Value {
    json!({ "type": "publish", "ref": 1, "topic": topic, "data": 1 })
}

/// Answers the server's only question: whose token this is.
///
/// # Panics
/// If it asks about another token, or none.
pub fn answer(wire: &mut Wire, expected: &str, result: Result<Grant, WireError>) {
    let (id, token) = wire.server.poll_token().expect("the server asks");
    assert_eq!(token, expected);
    assert_eq!(wire.server.poll_token(), None, "the server asks once");
    wire.server
        .handle_authenticated(wire.now, id, result.map(Arc::new));
}

/// A connection whose client has authenticated itself, and has these rights.
///
/// # Panics
/// If the server says anything but welcome.
pub fn granted(wire: &mut Wire, grant: Grant) -> ConnectionId {
    let id = asked(wire);
    wire.send(id, &hello("t"));
    answer(wire, "t", Ok(grant));
    assert_eq!(kinds(&wire.receive(id)), ["welcome"]);
    id
}
