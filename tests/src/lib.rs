//! Tests across crates: behaviour vectors, and the two sides of the protocol against each other.
//!
//! [`network::Network`] holds a server, its clients and the links between them, in virtual time. It breaks links on
//! request, and checks the invariants after every step. [`wire::Wire`] is a server with bare connections, for tests
//! that write each frame themselves.

pub mod asking;
pub mod backend_model;
pub mod bench;
pub mod combined;
pub mod durable_model;
pub mod explore;
pub mod json;
pub mod network;
pub mod presence_model;
pub mod record;
pub mod restless;
pub mod scale;
pub mod simulation;
pub mod tab_model;
pub mod trace;
pub mod wire;

use core::time::Duration;

use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};

/// A topic that is written correctly.
///
/// # Panics
/// If it is not.
pub fn topic(text: &str) -> Topic {
    Topic::new(text).expect("tests write correct topics")
}

/// A pattern that is written correctly.
///
/// # Panics
/// If it is not.
pub fn pattern(text: &str) -> Pattern {
    Pattern::new(text).expect("tests write correct patterns")
}

/// A duration in milliseconds.
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A duration in seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The instant this many milliseconds after the origin.
pub const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}
