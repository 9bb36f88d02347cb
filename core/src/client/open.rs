//! The state of an open connection: its last sign of life, and what is unanswered.

use core::time::Duration;

use super::ClientConfig;
use crate::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) link: u32,
    pub(super) since: Instant,
    pub(super) heard: Instant,
    /// How long the server lets a connection be silent; unknown until the welcome.
    pub(super) heartbeat: Option<Duration>,
    /// Whether requests wait for the welcome, which says how many and how long messages may be.
    pub(super) awaits_welcome: bool,
    pub(super) probed: Option<Instant>,
    /// When to leave a draining server.
    pub(super) leaves: Option<Instant>,
    /// Whether the server has lost its link to the backend. If so, an answered ping doesn't mean that everything has
    /// arrived.
    pub(super) is_stale: bool,
    /// How many pings were sent.
    pub(super) pings: u32,
    /// How many of them were answered. Answers arrive in order, and after everything sent for earlier requests.
    pub(super) pongs: u32,
}

impl Open {
    pub(super) const fn new(now: Instant, link: u32, awaits_welcome: bool) -> Self {
        Self {
            link,
            since: now,
            heard: now,
            heartbeat: None,
            awaits_welcome,
            probed: None,
            leaves: None,
            is_stale: false,
            pings: 0,
            pongs: 0,
        }
    }

    /// When the silence must end in a ping or, if one is unanswered, in giving up the connection.
    pub(super) fn silence_ends(&self, config: &ClientConfig) -> Instant {
        match (self.probed, self.heartbeat) {
            (Some(at), _) => at + config.probe_timeout,
            // The server pings after a heartbeat of silence; another half allows for the transit time.
            (None, Some(heartbeat)) => self.heard + heartbeat + heartbeat / 2,
            (None, None) => self.since + config.connect_timeout,
        }
    }
}
