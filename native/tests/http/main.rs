//! The HTTP endpoints: event streams, access, and what operators see.

#[path = "../support/mod.rs"]
mod support;

mod access;
mod bodies;
mod debug;
mod devices;
mod disconnect;
mod endpoints;
mod event_streams;
mod event_streams_on_sockets;
mod event_streams_resume;
mod hosts;
mod key_set;
mod metrics;
mod other_origins;
mod presence;
mod publish_batch;
mod publish_rate;
mod questions;
mod reading;
mod reading_costs;
mod tickets;
mod unknown_topics;
mod user_rooms;
