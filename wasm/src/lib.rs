//! The core of Tidegate, bound to JavaScript.
//!
//! # The boundary
//! - Calls pass numbers. A payload is a slot of a table on the JavaScript side (`slot`), a topic a small integer
//!   (`topics`); texts cross only in calls that are rare.
//! - No callback of a user is ever called from here. Outputs are written as numbers to one list (`records`), which
//!   JavaScript reads through a view of this memory once the call has returned.
//! - The only imports from JavaScript are functions of the package itself, which touch nothing but its slots.
//!
//! # When it panics
//! It traps, and the package instantiates the module again before the next call ([`panic`]). All handles of the old
//! instance are invalid then; the package makes new ones.
//!
//! # What it must not use
//! No standard library, no `serde`, and no formatting of arbitrary values: each would weigh more than the whole
//! binding. `cargo xtask wasm` shows the module's size.

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

/// The hub of a client. In a module without sharing, it always has a connection of its own.
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
