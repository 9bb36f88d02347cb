//! The limits of a server.

use crate::durable::CursorLimits;
use crate::flow::FlowFloor;
use crate::hub::HubConfig;
use crate::presence::{NodeId, TrackerConfig};
use crate::random::Random;
use crate::session::SessionConfig;

/// The limits of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The limits of the hub.
    pub hub: HubConfig,
    /// The limits and timings of each session.
    pub session: SessionConfig,
    /// The limits and timings of presences.
    pub presence: TrackerConfig,
    /// The most bytes that may wait for one connection before its oldest publications are dropped.
    pub outbox_bytes_max: usize,
    /// The most bytes that may wait for all slow connections together. At the limit, the connections with the most
    /// waiting lose their oldest publications first; if that isn't enough, they are closed.
    pub waiting_bytes_max: usize,
    /// The finest pace that clients are granted.
    pub floor: FlowFloor,
    /// The limits on durable subscriptions, if topics live in this hub.
    pub cursors: CursorLimits,
}

impl ServerConfig {
    /// The defaults: 1 MiB of waiting bytes for a connection and 1 GiB for all, and any pace that clients ask for.
    pub fn new(seed: u64) -> Self {
        Self {
            hub: HubConfig::new(seed),
            session: SessionConfig::default(),
            presence: TrackerConfig::new(NodeId::new(Random::new(seed).next_u64())),
            outbox_bytes_max: 1024 * 1024,
            waiting_bytes_max: 1024 * 1024 * 1024,
            floor: FlowFloor::none(),
            cursors: CursorLimits::default(),
        }
    }
}
