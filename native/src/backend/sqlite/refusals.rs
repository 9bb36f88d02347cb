//! Logs refused rows and failures, but seldom enough that a broken publisher doesn't fill the log.

use std::time::{Duration, Instant};

use super::writing::Refusal;
use crate::backend::BackendError;

/// The shortest time between two messages.
const EVERY: Duration = Duration::from_secs(10);

/// Logs rows that were refused, and work that fails.
pub(super) struct Refusals {
    backend: String,
    next: Option<Instant>,
    untold: u64,
    next_fault: Option<Instant>,
}

impl Refusals {
    pub(super) const fn new(backend: String) -> Self {
        Self {
            backend,
            next: None,
            untold: 0,
            next_fault: None,
        }
    }

    /// Logs one of the rows, and how many there were since the last message.
    pub(super) fn log(&mut self, refused: &[Refusal]) {
        let Some(first) = refused.first() else { return };
        if !is_due(&mut self.next) {
            self.untold += refused.len() as u64;
            return;
        }
        let more = self.untold + refused.len() as u64 - 1;
        self.untold = 0;
        tracing::warn!(
            "{}: a row of pubsub_events for {:?} was refused, and {more} more: {}. Insert it again once that is mended; \
             refused rows have seq -1",
            self.backend,
            first.channel,
            first.reason
        );
    }

    /// Logs that something could not be done, and will be tried again.
    pub(super) fn log_fault(&mut self, error: &BackendError) {
        if is_due(&mut self.next_fault) {
            tracing::warn!("{error}; it is tried again");
        }
    }
}

fn is_due(next: &mut Option<Instant>) -> bool {
    let now = Instant::now();
    let is_due = next.is_none_or(|next| next <= now);
    if is_due {
        *next = Some(now + EVERY);
    }
    is_due
}
