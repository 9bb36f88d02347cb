//! WebSockets: what they carry, how they break, and those that read too slowly.

#[path = "../support/mod.rs"]
mod support;

mod compression;
mod connections;
mod last_words;
mod long_messages;
mod stalled_readers;
mod superseded;
mod transport;
mod unfinished;
#[cfg(target_os = "linux")]
mod watchers_first;
