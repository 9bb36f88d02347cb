//! What is told in the log of publications that a backend does not take, and of what it keeps and can't be read.

#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
use std::fmt::Display;
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

    /// Something that is kept, of a topic or a user, is damaged.
    #[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
    pub(crate) fn tell_damaged(&self, of: &dyn Display, error: &dyn Display) {
        if let Some(others) = self.others() {
            tracing::warn!(%of, %error, others, "what is kept is damaged; it is left out");
        }
    }

    /// There is no room even for what servers keep.
    #[cfg(feature = "redis")]
    pub(crate) fn tell_unwritten(&self, error: &BackendError) {
        if let Some(others) = self.others() {
            tracing::warn!(%error, others, "what servers keep could not be written; topics can be read, and publications are refused");
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
