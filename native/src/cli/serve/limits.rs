//! The limits on what clients may use of a server.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use tidegate::Config;
use tidegate::core::admission::AdmissionLimits;
use tidegate::core::durable::CursorLimits;
use tidegate::core::flow::FlowFloor;
use tidegate::core::rate::Rate;
use tidegate::core::topic::Pattern;

use super::values::{Bytes, OrOff, floor, time};

/// How much there may be of what clients can grow, and how long they may take.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// The maximum number of connections
    #[arg(long, value_name = "N", default_value_t = AdmissionLimits::default().total_max)]
    connections: usize,
    /// The maximum number of connections from one address (for IPv6, from one /64 network)
    #[arg(long, value_name = "N", default_value_t = AdmissionLimits::default().per_address_max)]
    connections_per_address: usize,
    /// The maximum number of connections per user
    #[arg(long, value_name = "N", default_value_t = AdmissionLimits::default().per_user_max)]
    connections_per_user: usize,
    /// The maximum number of topics
    #[arg(long, value_name = "N", default_value = "100000")]
    topics: usize,
    /// The maximum number of subscriptions of all connections
    #[arg(long, value_name = "N", default_value = "1000000")]
    subscriptions: usize,
    /// The maximum number of subscriptions per connection
    #[arg(long, value_name = "N", default_value = "1000")]
    subscriptions_per_connection: usize,
    /// The maximum number of durable subscriptions; set it to the same value on all servers of a backend
    #[arg(long, value_name = "N", default_value_t = CursorLimits::default().total_max)]
    durables: usize,
    /// The maximum number of durable subscriptions per user
    #[arg(long, value_name = "N", default_value_t = CursorLimits::default().per_user_max)]
    durables_per_user: usize,
    /// How long an unused durable subscription is remembered
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = time)]
    durable_age: Duration,
    /// The maximum size of a publication's payload
    #[arg(long, value_name = "BYTES", default_value = "1MiB")]
    payload_bytes: Bytes,
    /// The maximum size of a message from a client; off means the maximum payload plus 16 KiB
    #[arg(long, value_name = "BYTES", default_value = "off")]
    frame_bytes: OrOff<Bytes>,
    /// The maximum total size of all request bodies and WebSocket messages in progress, and of all answers to requests that read
    #[arg(long, value_name = "BYTES", default_value = "64MiB")]
    bodies_bytes: Bytes,
    /// The maximum total size of the payloads that all topics retain
    #[arg(long, value_name = "BYTES", default_value = "1GiB")]
    retained_bytes: Bytes,
    /// How many bytes may wait for a slow connection before its oldest publications are dropped
    #[arg(long, value_name = "BYTES", default_value = "1MiB")]
    outbox_bytes: Bytes,
    /// How many bytes may wait for all slow connections; beyond that, the connections with the most waiting lose their
    /// oldest publications first
    #[arg(long, value_name = "BYTES", default_value = "1GiB")]
    waiting_bytes: Bytes,
    /// How often a connection may publish per second; over HTTP, how often a user may, or an address if the user is
    /// unknown. After a pause, twice as many are allowed at once
    #[arg(long, value_name = "N", default_value = "off")]
    publish_rate: OrOff<NonZeroU32>,
    /// The fastest pace that subscribers may have, such as job:**=100ms; may be repeated
    #[arg(long, value_name = "PATTERN=TIME", value_parser = floor)]
    floor: Vec<(Pattern, Duration)>,
    /// How long a new connection may take to send its first frame
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    hello_timeout: Duration,
    /// How long a client may be silent before it is sent a ping
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = time)]
    heartbeat: Duration,
    /// How long it may take to answer the ping
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = time)]
    heartbeat_timeout: Duration,
}

impl LimitArgs {
    /// How many durable subscriptions are remembered, and for how long.
    pub(super) const fn cursors(&self) -> CursorLimits {
        CursorLimits {
            age_max: self.durable_age,
            per_user_max: self.durables_per_user,
            total_max: self.durables,
        }
    }

    pub(super) fn apply(&self, config: &mut Config) {
        config.access.limits = AdmissionLimits {
            total_max: self.connections,
            per_address_max: self.connections_per_address,
            per_user_max: self.connections_per_user,
        };
        config.frame_bytes_max = self.frame_bytes.0.map(|bytes| bytes.0);
        config.bodies_bytes_max = self.bodies_bytes.0;
        let server = &mut config.server;
        server.outbox_bytes_max = self.outbox_bytes.0;
        server.waiting_bytes_max = self.waiting_bytes.0;
        server.cursors = self.cursors();
        let floors = self.floor.iter().cloned();
        server.floor = floors.fold(FlowFloor::none(), |floor, (pattern, every)| {
            floor.with(pattern, every)
        });
        server.hub.topics_max = self.topics;
        server.hub.subscriptions_max = self.subscriptions;
        server.hub.payload_bytes_max = self.payload_bytes.0;
        server.hub.retained_bytes_max = self.retained_bytes.0;
        let session = &mut server.session;
        session.subscriptions_max = self.subscriptions_per_connection;
        session.hello_timeout = self.hello_timeout;
        session.heartbeat = self.heartbeat;
        session.pong_timeout = self.heartbeat_timeout;
        session.publish_rate = self.publish_rate.0.map(|per_second| Rate {
            per_second,
            burst: per_second.saturating_mul(NonZeroU32::MIN.saturating_add(1)),
        });
    }
}
