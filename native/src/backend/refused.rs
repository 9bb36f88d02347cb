//! Logs publications that a backend refuses, and stored data that can't be read.

#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tidegate_core::topic::Topic;

use super::BackendError;

/// The shortest time between two warnings.
const WARNING_EVERY: Duration = Duration::from_secs(10);

/// Limits warnings, so that a publisher of nothing but refused publications doesn't fill the log.
#[derive(Debug, Default)]
pub(crate) struct RefusedLog(Mutex<WarningState>);

/// When the last warning was logged, and how many were skipped since.
#[derive(Debug, Default)]
struct WarningState {
    last: Option<Instant>,
    others: u64,
}

impl RefusedLog {
    /// Logs that a publication is refused because of what it is.
    pub(crate) fn log_refused(&self, topic: &Topic, error: &BackendError) {
        if let Some(others) = self.others() {
            tracing::warn!(%topic, %error, others, "a publication is refused");
        }
    }

    /// Logs that publications are refused because there is no room.
    pub(crate) fn log_full(&self, error: &BackendError) {
        if let Some(others) = self.others() {
            tracing::warn!(%error, others, "publications are refused");
        }
    }

    /// Logs that the backend refuses to answer a lookup.
    pub(crate) fn log_unanswered(&self, error: &BackendError) {
        if let Some(others) = self.others() {
            tracing::warn!(%error, others, "the backend refuses to log_refused what it keeps");
        }
    }

    /// Logs that something stored about a topic or a user is damaged.
    #[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
    pub(crate) fn log_damaged(&self, of: &dyn Display, error: &dyn Display) {
        if let Some(others) = self.others() {
            tracing::warn!(%of, %error, others, "what is kept is damaged; it is left out");
        }
    }

    /// Logs that there is no room even for what servers keep.
    #[cfg(feature = "redis")]
    pub(crate) fn log_unwritten(&self, error: &BackendError) {
        if let Some(others) = self.others() {
            tracing::warn!(%error, others, "what servers keep could not be written; topics can be read, and publications are refused");
        }
    }

    /// Counts another one. If it is to be logged, returns how many were skipped since the last warning.
    pub(crate) fn others(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state
            .last
            .is_some_and(|last| last.elapsed() < WARNING_EVERY)
        {
            state.others += 1;
            return None;
        }
        state.last = Some(Instant::now());
        Some(std::mem::take(&mut state.others))
    }
}
