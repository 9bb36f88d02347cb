//! Presences: between nodes, between servers, over connections, and as clients see them.

mod client;
mod connection;
mod limits;
mod local;
mod nodes;
mod refused;
mod scene;
mod servers;
