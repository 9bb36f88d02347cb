//! The core of Tidegate, bound to JavaScript.
//!
//! # The boundary
//! - Calls pass numbers. A payload is a slot of a table on the JavaScript side ([`slot`]), a topic a small
//!   integer ([`topics`]); texts and objects cross only in what is called once.
//! - No callback of a user is ever called from here. What is due is written as numbers into one list
//!   ([`records`]), which JavaScript reads through a view of this memory once the call has returned.
//! - What is imported from JavaScript are functions of the package itself, which touch its slots and nothing else.
//!
//! # When it panics
//! The panic hook hands the message over and has the module instantiated anew before the next call
//! ([`panic`]). Every handle of the old instance is void then; the package makes new ones.

mod client;
mod clock;
mod due;
mod errors;
mod gates;
mod hub;
mod panic;
mod records;
mod slot;
mod spec;
mod topics;

pub use client::ClientHub;
pub use gates::FunctionGates;
pub use hub::LocalHub;
pub use panic::{module_memory, panic_on_purpose, restart, start};
pub use records::{records_at, take_notes};
pub use topics::{intern_topic, sweep_topics};
