//! How a client connects.

use core::time::Duration;

use alloc::string::String;

use super::Client;
use crate::payload::Payload;
use crate::protocol::GroupTerm;

/// How a client proves who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenSource {
    /// Not at all.
    #[default]
    None,
    /// By this token, for as long as it lasts.
    Fixed(String),
    /// By tokens that the host is asked for: for each connection, and before the last one ends.
    Asked,
}

/// How a client connects and how much it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Seeds jitter and idempotency keys. Give each client another one.
    pub seed: u64,
    /// Where the token comes from that is sent in hello.
    pub token: TokenSource,
    /// Sent in hello: names the client's software.
    pub name: Option<String>,
    /// Sent in hello: which of the connections that a browser's tabs share this is.
    pub group: Option<GroupTerm>,
    /// The first wait before connecting again lies between 0 and this; each further one may be twice as long.
    pub backoff_base: Duration,
    /// The longest wait before connecting again.
    pub backoff_max: Duration,
    /// A connection that lasted this long makes the next wait short again.
    pub stable_after: Duration,
    /// How long a connection may take to open and to be welcomed.
    pub connect_timeout: Duration,
    /// How long a silent connection has to answer a ping, and a server to look at another token.
    pub probe_timeout: Duration,
    /// How long the host may take to come by a token.
    pub token_timeout: Duration,
    /// The most publishes that wait for their answer.
    pub requests_max: usize,
}

impl ClientConfig {
    /// Waits of up to 250 ms, doubling up to 20 s; 10 s to connect or to answer, 30 s for a token; 1,024 publishes.
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
    /// Which of the connections that a browser's tabs share this is, from the next time that it opens.
    pub fn set_group(&mut self, group: GroupTerm) {
        self.config.group = Some(group);
    }
}
