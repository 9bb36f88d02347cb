//! Signs of life other than frames.

use super::{Session, State};
use crate::limits::PART_BYTES_MIN;
use crate::time::Instant;

impl<P> Session<P> {
    /// Bytes of an incomplete message arrived. [`PART_BYTES_MIN`] of them since the last sign of life are a sign of
    /// life, so a long message may take longer than a heartbeat. They don't open a session.
    pub fn handle_part(&mut self, now: Instant, bytes: usize) {
        self.part_bytes = self.part_bytes.saturating_add(bytes);
        if self.part_bytes >= PART_BYTES_MIN {
            self.handle_control(now);
        }
    }

    /// A control frame of the transport arrived, not within a message. It is a sign of life, but doesn't open a
    /// session.
    pub fn handle_control(&mut self, now: Instant) {
        match self.state {
            State::Open { .. } => {
                self.handle_sign_of_life(now);
            }
            State::Opening { .. } | State::Draining { .. } | State::Closed => {}
        }
    }
}
