//! Signs of life that are no frames.

use super::{Session, State};
use crate::limits::PART_BYTES_MIN;
use crate::time::Instant;

impl<P> Session<P> {
    /// Bytes came of a message that is not complete yet. Where they are as many as [`PART_BYTES_MIN`] since the last sign of life, its
    /// client lives, so that a long message may take longer than a heartbeat. They open no session.
    pub fn handle_part(&mut self, now: Instant, bytes: usize) {
        self.part_bytes = self.part_bytes.saturating_add(bytes);
        if self.part_bytes >= PART_BYTES_MIN {
            self.handle_control(now);
        }
    }

    /// A control frame of the transport came, while no message was unfinished. It shows that its client lives, and opens no session.
    pub fn handle_control(&mut self, now: Instant) {
        match self.state {
            State::Open { .. } => {
                self.handle_sign_of_life(now);
            }
            State::Opening { .. } | State::Draining { .. } | State::Closed => {}
        }
    }
}
