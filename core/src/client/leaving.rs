//! How a connection is left: it is lost, given up, or its server is draining. The clients of a draining server leave
//! spread over time, but none later than it must.

use core::time::Duration;

use super::{Client, ClientEvent, ConnectionState, Open, State};
use crate::payload::Payload;
use crate::time::Instant;

impl<P: Payload + Clone> Client<P> {
    /// The connection is gone: reconnects after a wait, if there is anything to do.
    pub(super) fn lose(&mut self, now: Instant) {
        let mut not_before = now;
        if let State::Open(open) = self.state {
            if now - open.since >= self.config.stable_after {
                self.backoff.reset();
            }
            // If the server closed ahead of time, its other clients have to reconnect, too, so the scheduled time is
            // kept.
            not_before = open.leaves.unwrap_or(now);
        }
        self.leaving.clear();
        self.requests.handle_lost();
        self.presences.handle_lost();
        self.tokens.handle_lost();
        self.state = if self.has_work() {
            State::Waiting {
                until: (now + self.backoff.next_wait()).max(not_before),
            }
        } else {
            State::Idle { is_wanted: true }
        };
        self.output
            .push_back(ClientEvent::State(ConnectionState::Disconnected));
    }

    pub(super) fn abandon(&mut self, now: Instant, link: u32) {
        self.output.push_back(ClientEvent::Disconnect { link });
        self.lose(now);
    }

    /// The server is draining, but goes on serving. The client leaves after a random part of the given time.
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
            State::Idle { .. }
            | State::Waiting { .. }
            | State::Asking { .. }
            | State::Opening { .. }
            | State::Closed => {}
        }
    }

    /// Returns whether new requests may be sent. A draining server would refuse them, so it is left at once.
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
            State::Open(Open {
                leaves: None,
                awaits_welcome,
                ..
            }) => !*awaits_welcome,
            State::Idle { .. }
            | State::Waiting { .. }
            | State::Asking { .. }
            | State::Opening { .. }
            | State::Closed => false,
        }
    }
}
