//! The sans-IO core of Tidegate: who gets which publication, and when.
//!
//! One implementation runs in the server, in Rust programs and in the browser. It is a set of state machines that do no
//! IO, read no clock, draw no randomness and parse no payload. The host tells a machine what happened and when, and
//! does what the machine asks for.
//!
//! # Driving a machine
//! Every machine has the same four verbs:
//! 1. `handle_*(now, input)`: something happened (a call, a frame, a lost connection).
//! 2. `poll_output()`: what the host must do next. Drain it until `None`.
//! 3. `poll_timeout()`: the latest time at which to call `handle_timeout`.
//! 4. `handle_timeout(now)`: that time has come. Calling it early does nothing; calling it late emits once, never a
//!    burst.
//!
//! # Example: a throttled subscriber
//! ```
//! use core::time::Duration;
//! use tidegate_core::flow::Flow;
//! use tidegate_core::hub::{Due, Hub, HubConfig};
//! use tidegate_core::protocol::{PublishRequest, SubscribeRequest};
//! use tidegate_core::time::Instant;
//! use tidegate_core::topic::{Pattern, Topic};
//!
//! let mut hub: Hub<()> = Hub::new(HubConfig::new(1));
//! let flow = Flow::throttle(Duration::from_secs(1));
//! let request = SubscribeRequest::new(Pattern::new("job:*")?, flow);
//! hub.handle_subscribe(Instant::ZERO, 0, &request)?;
//!
//! for _ in 0..3 {
//!     hub.handle_publish(Instant::ZERO, PublishRequest::new(Topic::new("job:42")?, ()))?;
//! }
//! assert!(matches!(hub.poll_output(), Some(Due::Deliver { .. })), "the leading edge");
//! assert!(hub.poll_output().is_none(), "the others wait");
//!
//! hub.handle_timeout(Instant::from_millis(1000));
//! assert!(matches!(hub.poll_output(), Some(Due::Deliver { .. })), "the latest of them");
//! assert!(hub.poll_output().is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The machines, smallest first
//!
//! - [`gate::Gate`] paces one subscription; [`history::History`] keeps one topic's publications; [`outbox::Outbox`]
//!   queues what waits for one connection.
//! - [`session::Session`] and [`client::Client`] are the two sides of a connection.
//! - [`hub::ServerHub`] and [`hub::ClientHub`] are what most hosts drive: in a server, and in a program or page that is
//!   its client. [`tabs::TabHub`] is a client that shares its connection with the other tabs of a browser.
//! - [`presence::Tracker`], [`progress::Tracker`] and [`intake::Intake`] coordinate several servers.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod access;
pub mod admission;
pub mod client;
mod delta;
pub mod durable;
pub mod event_stream;
pub mod flow;
pub mod gate;
pub mod history;
pub mod hub;
pub mod intake;
mod joining;
pub mod lifecycle;
pub mod limits;
mod names;
mod ordered;
pub mod outbox;
pub mod payload;
pub mod presence;
pub mod progress;
pub mod protocol;
pub mod publication;
pub mod random;
pub mod rate;
mod recent;
pub mod router;
pub mod session;
mod sorted;
pub mod tabs;
pub mod time;
pub mod timer;
pub mod topic;
pub mod uplink;
mod words;
