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

extern crate alloc;

mod above;
mod client;
mod clock;
mod due;
mod errors;
mod frames;
mod gates;
mod hub;
mod json;
mod panic;
mod presence;
mod records;
mod screen;
mod single;
mod slot;
mod spec;
mod tabs;
mod topics;

pub use client::ClientHub;
pub use gates::FunctionGates;
pub use hub::LocalHub;
pub use panic::{module_memory, panic_on_purpose, restart};
pub use records::{records_at, take_texts};
pub use spec::{stage_flow, stage_position};
pub use topics::{intern_topic, sweep_topics};

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
