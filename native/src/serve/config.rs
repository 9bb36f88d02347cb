//! The limits of the serving loop.

use std::time::Duration;

use crate::access::Proxies;

/// The smallest number of bytes that the head of a request may be limited to.
pub(super) const HEAD_BYTES_MIN: usize = 8 * 1024;

/// Limits on how long clients may take, how much they may send before they are known, and how many there may be.
///
/// These limits apply to connections that the loop itself has: those that are in a handshake, send a request, wait for
/// an answer, or are idle between requests. WebSockets, and event streams that a hub has taken over, belong to the hub,
/// and count [there](crate::AccessConfig::limits).
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The most connections at once. Further ones are answered with 503, if they accept it, and closed. 10,000.
    pub connections_max: usize,
    /// The most connections at once from one address; for IPv6, from one network of 64 bits. Connections count from the
    /// moment that they are accepted, even if they never send anything. Connections of this machine and of
    /// [proxies](Self::proxies) don't count. 1,000.
    pub per_address_max: usize,
    /// How long a TLS handshake may take. 10 s.
    pub handshake_timeout: Duration,
    /// How long the head of a request may take from its first byte, and the first request of a connection from the
    /// connection's start. A request that has begun by then is answered with 408, and the connection is closed. 10 s.
    pub head_timeout: Duration,
    /// How long a connection may wait for its next request. 75 s.
    pub idle_timeout: Duration,
    /// How long the body of a request may take after its head. After that, the endpoint that reads it refuses the
    /// request. 30 s.
    pub body_timeout: Duration,
    /// How long a client may accept nothing of what it is sent before its connection is closed. 60 s.
    pub write_timeout: Duration,
    /// The most bytes of a request's head. A larger one is answered with 431, and the connection is closed. 16 KiB, and
    /// at least 8 KiB.
    pub head_bytes_max: usize,
    /// The most headers of a request. More are answered with 431, and the connection is closed. 64.
    pub headers_max: usize,
    /// The most requests at once on one HTTP/2 connection. 128.
    pub streams_max: u32,
    /// How long connections may continue once the loop is told to stop; the rest is then closed. 10 s.
    pub stop_grace: Duration,
    /// Proxies, which stand for many clients, so that their connections aren't counted by address. None.
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
