//! Live progress, from where work happens to where people watch.
//!
//! A [`Hub`] routes publications to subscribers: within this process as streams, and through [`axum`] to browsers and
//! programs, over WebSocket and Server-Sent Events. [`tidegate_core`] decides who gets what and when; this crate
//! provides sockets, threads, clocks and backends.
//!
//! ```no_run
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tidegate::serve::{ServeConfig, Server, stop_signal};
//!
//! let hub = tidegate::Hub::new(Default::default())?;
//! let app = axum::Router::new().nest("/live", tidegate::axum::router(hub.clone()));
//! let publisher = hub.clone();
//! tokio::spawn(async move {
//!     for done in 0..=100 {
//!         let _ = publisher.publish("job:42", &serde_json::json!({"done": done, "total": 100})).await;
//!     }
//! });
//! let server = Server::new(ServeConfig::default()).bind(&"127.0.0.1:8420".parse()?).await?;
//! server.run_with_hub(app, &hub, stop_signal()).await;
//! # Ok(()) }
//! ```
//!
//! # Where to start
//!
//! | to | use |
//! |---|---|
//! | publish, subscribe and see who is present, in this process | [`Hub`] |
//! | do so from another program, through a server or straight in a backend, also without async | [`Client`] |
//! | send and follow the updates of jobs | [`Broadcaster`] |
//! | handle events in rooms of tasks and users | [`EventBus`], [`TaskEvents`] |
//! | count work that several servers do together | [`progress`] |
//! | serve WebSockets and event streams in an application | [`mod@axum`], [`serve`] |
//! | find out who a client is | [`auth`], [`AccessConfig`] |
//! | choose where topics live | [`backend`] |
//!
//! # How to depend on it
//!
//! ```toml
//! tidegate = { version = "0.1", default-features = false, features = ["redis"] }
//! futures-util = "0.3"    # `StreamExt::next`, for subscriptions
//! ```
//!
//! | feature | what it is for |
//! |---|---|
//! | `postgres`, `redis`, `sqlite` | topics live there |
//! | `tls` | clients of `https://` servers, and [`serve`] with certificates |
//! | `cli` | the program `tidegate`; a library does without it |
//! | `opentelemetry` | the program sends its log to a collector |
//!
//! All are on by default. Everything else, including the memory backend, is always there. The crate contains the
//! dashboard if that was built before, with `cargo xtask wasm` in a clone of the repository.
//!
//! # Who may do what
//!
//! The server above doesn't ask its clients who they are, so every program that reaches it may do everything. Before
//! other machines can reach it, configure [whom it lets in](AccessConfig).
#![forbid(unsafe_code)]

pub mod access;
mod atomics;
pub mod auth;
pub mod axum;
pub mod backend;
pub mod broadcaster;
pub mod bus;
pub mod client;
mod decode;
mod deflate;
pub mod duration;
mod encode;
mod error;
mod event_stream;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hub;
mod json;
#[cfg(unix)]
mod lingering;
pub mod progress;
mod reduce;
pub mod run;
pub mod serve;
mod shard;
mod uplink;

pub use access::AccessConfig;
pub use broadcaster::{Broadcaster, JobUpdate};
pub use bus::{EventBus, TaskEvents};
pub use client::{BlockingClient, Client, Stop};
pub use error::{
    DeviceError, LookupError, PresenceError, PublishError, StartError, Stopped, SubscribeError,
};
pub use hub::{
    BackendHealth, BackendLink, Config, Counts, Disconnected, Event, Hub, Presence,
    PresenceChanges, Publication, Publish, Subscribe, Subscription, TopicHistory, Tracked,
};
pub use json::{Json, JsonError};
pub use reduce::Reducer;
pub use tidegate_core as core;
pub use tidegate_core::durable::DurableName;
pub use tidegate_core::flow::{Flow, Slow};
pub use tidegate_core::lifecycle::{EndReason, StatedEnd};
pub use tidegate_core::protocol::{ErrorCode, Start, TopicPosition};
pub use tidegate_core::publication::Position;
pub use tidegate_core::topic::{Pattern, Topic};

/// A seed that can't be guessed.
fn random_seed() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    u64::from_le_bytes(bytes)
}
