//! Presences: between nodes, between servers, over connections, and as clients see them.

mod client;
mod connection;
mod limits;
mod nodes;
mod scene;
mod servers;
