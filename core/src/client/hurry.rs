//! Retrying at once when somebody is waiting for the connection, or the network is back.

use core::time::Duration;

use super::{Client, State};
use crate::payload::Payload;
use crate::time::Instant;

/// A client hurries no more often than this, however often it is asked to, so that a server that is down doesn't hear
/// from everyone who reloads the page.
const HURRY_EVERY: Duration = Duration::from_secs(2);

impl<P: Payload + Clone> Client<P> {
    /// Somebody is waiting for the connection, or the network is back: if the client is waiting to retry, it retries
    /// now, or two seconds after it last hurried. If the attempt fails, the backoff starts over.
    pub fn handle_hurry(&mut self, now: Instant) {
        let State::Waiting { until } = self.state else {
            return;
        };
        let soonest = self.hurried.map_or(now, |at| now.max(at + HURRY_EVERY));
        if soonest <= now {
            self.hurried = Some(now);
            self.handle_reachable(now);
        } else {
            self.state = State::Waiting {
                until: until.min(soonest),
            };
        }
    }
}
