//! A connection that waits to be tried again is tried at once where somebody has come who waits for it, or the network is back.

use core::time::Duration;

use super::{Client, State};
use crate::payload::Payload;
use crate::time::Instant;

/// A client is in a hurry no more often than this, however many ask for it: a server that is down must not have to hear from all who reload
/// their page.
const HURRY_EVERY: Duration = Duration::from_secs(2);

impl<P: Payload + Clone> Client<P> {
    /// Somebody has come who waits for the connection, or the network is back: if it waits to be tried again, it is tried now, or two seconds
    /// after it was last asked for that. Where that fails, the waits begin anew.
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
