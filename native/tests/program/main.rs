//! The program: its commands, its options, its listeners, and what others publish through it.

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

mod access;
mod anything_publishes;
mod backend_log;
mod backends;
mod commands;
mod config;
#[cfg(all(target_os = "linux", feature = "redis", feature = "sqlite"))]
mod deploy;
mod entrances;
mod get;
#[cfg(all(unix, feature = "tls"))]
mod key_set;
mod limits;
mod lines;
mod operation;
mod over_http;
mod payload_limit;
mod perseverance;
mod presences;
mod restore;
#[cfg(all(unix, feature = "tls"))]
mod secrecy;
mod telemetry;
mod unheard;
#[cfg(unix)]
mod usage;
