//! The core of Tidegate, bound to JavaScript.
//!
//! # The boundary
//! - Calls pass numbers. A payload is a slot of a table on the JavaScript side ([`slot`]), a topic a small
//!   integer ([`topics`]); texts cross only in what is called once.
//! - No callback of a user is ever called from here. What is due is written as numbers into one list
//!   ([`records`]), which JavaScript reads through a view of this memory once the call has returned.
//! - What is imported from JavaScript are functions of the package itself, which touch its slots and nothing else.
//!
//! # When it panics
//! It traps, and the package has the module instantiated anew before the next call ([`panic`]). Every handle of
//! the old instance is void then; the package makes new ones.
//!
//! # What it must not use
//! No standard library, no `serde`, and nothing that formats an arbitrary value: each would weigh more than all that
//! is done here. `cargo xtask wasm` shows the module's size.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![cfg_attr(
    not(all(feature = "tabs", feature = "hub")),
    allow(dead_code, unused_imports, reason = "what only other modules need")
)]

extern crate alloc;

#[cfg(not(feature = "worker"))]
mod above;
#[cfg(target_arch = "wasm32")]
mod blocks;
#[cfg(feature = "client")]
mod client;
mod clock;
mod due;
mod errors;
mod exports;
#[cfg(feature = "client")]
mod frames;
#[cfg(feature = "hub")]
mod gates;
#[cfg(feature = "hub")]
mod hub;
mod json;
mod machines;
mod panic;
#[cfg(feature = "client")]
mod presence;
mod records;
#[cfg(not(feature = "worker"))]
mod screen;
mod single;
mod slot;
mod spec;
#[cfg(any(feature = "tabs", feature = "follower", feature = "worker"))]
mod tabs;
mod texts;
mod topics;

/// What a client is of: a hub that has its connection alone, where tabs can't share one.
#[cfg(all(
    feature = "client",
    not(any(feature = "tabs", feature = "follower", feature = "worker"))
))]
type AnyHub = tidegate_core::hub::ClientHub<slot::Handle>;
#[cfg(any(feature = "tabs", feature = "follower", feature = "worker"))]
use tabs::AnyHub;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: blocks::Blocks = blocks::Blocks::new();
