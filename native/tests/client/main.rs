//! The Rust client: of a server and of a backend.

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

mod backend;
mod bulk;
mod durable;
mod given_up;
mod large;
mod lookups;
mod presence;
mod redis_tls;
mod server;
mod slow;
mod stalled;
mod tls;
mod tokens;
