//! Tells which opening of a backend is the latest.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers openings and closings. An opening that takes longer than the next one must not replace that one's link, whose feed would never
/// learn of it.
#[derive(Debug, Default)]
pub(super) struct Openings(AtomicU64);

impl Openings {
    /// Begins another opening, or closes the backend. Earlier openings no longer count.
    pub(super) fn begin(&self) -> u64 {
        1 + self.0.fetch_add(1, Ordering::SeqCst)
    }

    /// Whether none has begun since this one.
    pub(super) fn is_last(&self, opening: u64) -> bool {
        self.0.load(Ordering::SeqCst) == opening
    }
}
