//! A connection that stands: when it was heard of last, and what was asked of it.

use core::time::Duration;

use super::ClientConfig;
use crate::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) link: u32,
    pub(super) since: Instant,
    pub(super) heard: Instant,
    /// How long the server lets a connection be silent; unknown until it has welcomed us.
    pub(super) heartbeat: Option<Duration>,
    /// Whether nothing is asked for until it has: how much it takes of us at once, and how long a message, is in its welcome.
    pub(super) awaits_welcome: bool,
    pub(super) probed: Option<Instant>,
    /// When the server, which is about to go, is left for another connection.
    pub(super) leaves: Option<Instant>,
    /// Whether the server has no link to where topics live: an answered ping does not mean that all has come.
    pub(super) is_stale: bool,
    /// How many pings were sent.
    pub(super) pings: u32,
    /// How many of them were answered: they are in their order, and after what was asked before.
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

    /// When it must be asked whether it stands still, or given up.
    pub(super) fn silence_ends(&self, config: &ClientConfig) -> Instant {
        match (self.probed, self.heartbeat) {
            (Some(at), _) => at + config.probe_timeout,
            // The server pings after a heartbeat's silence; half of one more is for the way.
            (None, Some(heartbeat)) => self.heard + heartbeat + heartbeat / 2,
            (None, None) => self.since + config.connect_timeout,
        }
    }
}
