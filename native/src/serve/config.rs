//! What the serving loop puts up with.

use std::time::Duration;

use crate::access::Proxies;

/// The smallest number of bytes that the head of a request may be limited to.
pub(super) const HEAD_BYTES_MIN: usize = 8 * 1024;

/// How long clients may take, how much they may send before they are known, and how many of them there may be.
///
/// What is counted here are connections that the loop has: those that shake hands, send a request, wait for an answer or
/// are idle between requests. A WebSocket, or an event stream that a hub has taken over, is the hub's, and counts
/// [there](crate::AccessConfig::limits).
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The most connections at once. Beyond them a connection is answered 503, if it takes a word, and closed. 10,000.
    pub connections_max: usize,
    /// The most connections at once from one address; of IPv6, from one network of 64 bits. Counted from the moment that
    /// they are accepted, so that those count, too, that never send anything. This machine's own don't, nor do those of
    /// [proxies](Self::proxies). 1,000.
    pub per_address_max: usize,
    /// How long a TLS handshake may take. 10 s.
    pub handshake_timeout: Duration,
    /// How long the head of a request may take from its first byte, and the first request of a connection from its
    /// beginning. Whoever has begun one is answered 408, and closed. 10 s.
    pub head_timeout: Duration,
    /// How long a connection may wait for its next request. 75 s.
    pub idle_timeout: Duration,
    /// How long the body of a request may take from its head on. What has come until then is refused by the endpoint that
    /// reads it. 30 s.
    pub body_timeout: Duration,
    /// How long a connection may take none of what it is sent. The connection is closed then. 60 s.
    pub write_timeout: Duration,
    /// The most bytes that the head of a request may have. A larger one is answered 431, and closed. 16 KiB, and no less
    /// than 8 KiB.
    pub head_bytes_max: usize,
    /// The most headers that a request may have. More are answered 431, and closed. 64.
    pub headers_max: usize,
    /// The most requests at once on one HTTP/2 connection. 128.
    pub streams_max: u32,
    /// How long connections may go on once the loop is told to stop. What is left then is closed. 10 s.
    pub stop_grace: Duration,
    /// Who stands in for many clients, so that connections from there aren't counted by address. None.
    pub proxies: Proxies,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            per_address_max: 1_000,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            head_bytes_max: 16 * 1024,
            headers_max: 64,
            streams_max: 128,
            stop_grace: Duration::from_secs(10),
            proxies: Proxies::default(),
        }
    }
}
