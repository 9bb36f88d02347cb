//! Which opening of a backend counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers openings and closings: an opening that takes longer than the next one must not replace its link, whose feed would never
/// learn of it.
#[derive(Debug, Default)]
pub(super) struct Openings(AtomicU64);

impl Openings {
    /// Another one begins, or the backend is closed; those before no longer count.
    pub(super) fn begin(&self) -> u64 {
        1 + self.0.fetch_add(1, Ordering::SeqCst)
    }

    /// Whether none has begun since this one.
    pub(super) fn is_last(&self, opening: u64) -> bool {
        self.0.load(Ordering::SeqCst) == opening
    }
}
