//! Leaving a server that is about to go: not all of its clients at once, and none of them later than it must.

use core::time::Duration;

use super::{Client, Open, State};
use crate::payload::Payload;
use crate::time::Instant;

impl<P: Payload + Clone> Client<P> {
    /// The server goes. Until a random part of the time that it gives is over, it serves still.
    pub(super) fn handle_drain(&mut self, now: Instant, within_ms: u64) {
        let leaves = now + self.backoff.part_of(Duration::from_millis(within_ms));
        match &mut self.state {
            State::Open(open) if within_ms > 0 => {
                open.leaves = Some(open.leaves.map_or(leaves, |earlier| earlier.min(leaves)));
            }
            State::Open(Open { link, .. }) => {
                let link = *link;
                self.abandon(now, link);
            }
            State::Idle { .. } | State::Waiting { .. } | State::Opening { .. } | State::Closed => {}
        }
    }

    /// Whether the server can be asked for something new. One that goes would refuse it, and is left at once.
    pub(super) const fn may_ask(&mut self) -> bool {
        match &mut self.state {
            State::Open(Open {
                leaves: Some(leaves),
                since,
                ..
            }) => {
                *leaves = *since;
                false
            }
            State::Open(Open { leaves: None, .. }) => true,
            State::Idle { .. } | State::Waiting { .. } | State::Opening { .. } | State::Closed => {
                false
            }
        }
    }
}
