//! The examples: as programs, as applications with pages, and as their documents show them.

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

mod applications;
mod backends;
mod documents;
mod labeling;
mod programs;
mod task_chat;
