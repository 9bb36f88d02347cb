//! The targets that are more than a call.

pub mod client;
pub mod merge;
pub mod server;
pub mod servers;
pub mod token;
pub mod topics;
