//! What is told in the log of publications that a backend does not take.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tidegate_core::topic::Topic;

use super::BackendError;

/// The shortest time between two warnings.
const WARNING_EVERY: Duration = Duration::from_secs(10);

/// Tells of them seldom enough that a publisher of nothing else doesn't fill the log.
#[derive(Debug, Default)]
pub(crate) struct RefusedLog(Mutex<Told>);

/// When the log was told last, and how many there were since.
#[derive(Debug, Default)]
struct Told {
    last: Option<Instant>,
    others: u64,
}

impl RefusedLog {
    /// One publication is not taken for what it is.
    pub(crate) fn tell(&self, topic: &Topic, error: &BackendError) {
        if let Some(others) = self.others() {
            tracing::warn!(%topic, %error, others, "a publication is refused");
        }
    }

    /// None is taken, because there is no room.
    pub(crate) fn tell_full(&self, error: &BackendError) {
        if let Some(others) = self.others() {
            tracing::warn!(%error, others, "publications are refused");
        }
    }

    /// Another one is refused: how many there were since the log was told last, if it is to be told again.
    pub(crate) fn others(&self) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last.is_some_and(|last| last.elapsed() < WARNING_EVERY) {
            told.others += 1;
            return None;
        }
        told.last = Some(Instant::now());
        Some(std::mem::take(&mut told.others))
    }
}
