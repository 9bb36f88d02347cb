//! The hub in a process: topics, rooms, presences, progress, shards.

#[path = "../support/mod.rs"]
mod support;

#[path = "../../../tests/servers/src/servers/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "the tests of the backends use more of it"
)]
mod servers;

mod broadcaster;
mod event_bus;
mod in_process;
mod presence;
mod progress;
mod reduce;
mod shards;
mod with_backend;
