//! How a client connects.

use core::time::Duration;

use alloc::string::String;

use super::Client;
use crate::payload::Payload;
use crate::protocol::GroupTerm;

/// How a client authenticates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenSource {
    /// Not at all.
    #[default]
    None,
    /// With this token, for as long as it is valid.
    Fixed(String),
    /// With tokens that the host is asked for: for each connection, and before the current one expires.
    Asked,
}

/// How a client connects, and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Seeds jitter and idempotency keys. Use a different one for each client.
    pub seed: u64,
    /// The source of the token that is sent in `hello`.
    pub token: TokenSource,
    /// The name of the client's software, sent in `hello`.
    pub name: Option<String>,
    /// The group and term of a connection that a browser's tabs share, sent in `hello`.
    pub group: Option<GroupTerm>,
    /// The ceiling of the first random wait before reconnecting; it doubles with each further attempt.
    pub backoff_base: Duration,
    /// The longest wait before connecting again.
    pub backoff_max: Duration,
    /// After a connection that lasted this long, the backoff starts over.
    pub stable_after: Duration,
    /// How long a connection may take to open and to be welcomed.
    pub connect_timeout: Duration,
    /// How long a silent connection may take to answer a ping, and a server to check a new token.
    pub probe_timeout: Duration,
    /// How long the host may take to get a token.
    pub token_timeout: Duration,
    /// The most publishes that may be waiting for their answer.
    pub requests_max: usize,
}

impl ClientConfig {
    /// Waits of up to 250 ms, doubling up to 20 s; 10 s to connect or to answer, 30 s to get a token; 1,024 publishes.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            token: TokenSource::None,
            name: None,
            group: None,
            backoff_base: Duration::from_millis(250),
            backoff_max: Duration::from_secs(20),
            stable_after: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(10),
            token_timeout: Duration::from_secs(30),
            requests_max: 1024,
        }
    }
}

impl<P: Payload + Clone> Client<P> {
    /// Sets the group and term of the connection that a browser's tabs share, from the next connection on.
    pub fn set_group(&mut self, group: GroupTerm) {
        self.config.group = Some(group);
    }
}
