//! What a candidate asks its tab to do.

/// A step on the way to becoming the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tabs) enum Step {
    RequestLock {
        request: u32,
        steal: bool,
    },
    ReleaseLock {
        request: u32,
    },
    /// Ask all tabs for a sign of life.
    Probe,
    /// Forget the other tabs: none of them has answered, so they are assumed gone.
    Forget,
    /// Tell all tabs that this one claims the lead.
    Claim,
    /// Start the worker of this generation, and detach from any earlier one.
    SpawnWorker {
        generation: u64,
    },
    /// Lead.
    Lead,
}
