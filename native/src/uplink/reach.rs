//! What the log is told of the links to a backend: when the first of them is lost, why, and when all stand again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::backend::BackendError;

/// Whether a shard reaches its backend, and how many of its siblings don't.
#[derive(Debug, Default)]
pub(super) struct Reach {
    is_away: AtomicBool,
    away: Arc<AtomicUsize>,
}

impl Reach {
    /// Of a shard whose siblings share `away`.
    pub(super) fn of(away: &Arc<AtomicUsize>) -> Self {
        Self {
            is_away: AtomicBool::new(false),
            away: Arc::clone(away),
        }
    }

    /// The link is lost, or could not be opened.
    pub(super) fn lost(&self, error: &BackendError) {
        let is_first = !self.is_away.swap(true, Ordering::Relaxed)
            && self.away.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first {
            tracing::warn!(%error, "subscribers are stale and publications wait until the backend is back");
        } else {
            tracing::debug!(%error, "the backend is still away");
        }
    }

    /// The link stands.
    pub(super) fn found(&self, backend: impl FnOnce() -> String) {
        let is_last = self.is_away.swap(false, Ordering::Relaxed)
            && self.away.fetch_sub(1, Ordering::Relaxed) == 1;
        if is_last {
            tracing::info!(backend = backend(), "the backend is back");
        }
    }
}
