//! Fuzz targets: one function for each place where untrusted bytes enter.
//!
//! A target takes any bytes, and panics when something breaks that must hold. `tests/corpus.rs` gives each of them the inputs that are kept in
//! `corpus/`, and thousands of damaged copies; `cargo xtask fuzz` lets libFuzzer look for new ones.

mod source;
pub mod targets;

pub use source::Source;

/// A place where untrusted bytes enter.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 11] = [
    Target {
        name: "server",
        run: targets::server::run,
    },
    Target {
        name: "client",
        run: targets::client::run,
    },
    Target {
        name: "servers",
        run: targets::servers::run,
    },
    Target {
        name: "topics",
        run: targets::topics::run,
    },
    Target {
        name: "messages",
        run: tidegate::fuzzing::messages,
    },
    Target {
        name: "events-query",
        run: tidegate::fuzzing::events_query,
    },
    Target {
        name: "websocket",
        run: tidegate::fuzzing::websocket,
    },
    Target {
        name: "deflate",
        run: tidegate::fuzzing::deflate,
    },
    Target {
        name: "stream-entries",
        run: tidegate::fuzzing::stream_entries,
    },
    Target {
        name: "token",
        run: targets::token::run,
    },
    Target {
        name: "merge",
        run: targets::merge::run,
    },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
