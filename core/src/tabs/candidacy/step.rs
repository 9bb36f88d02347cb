//! What a candidate has its tab do.

/// What must be done so that this tab may come to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tabs) enum Step {
    RequestLock {
        request: u32,
        steal: bool,
    },
    ReleaseLock {
        request: u32,
    },
    /// Ask everybody for a sign of life.
    Probe,
    /// Nobody has heard, not even those who were there: they are taken for gone.
    Forget,
    /// Tell everybody that this tab would lead.
    Claim,
    /// Start the worker of this generation, and leave any earlier one.
    SpawnWorker {
        generation: u64,
    },
    /// Lead.
    Lead,
}
