//! What can go wrong with a backend.

/// Why a backend did not do what was asked. No message holds a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// It can't be reached, or the link to it broke.
    #[error("{backend} can't be reached: {reason}")]
    Unreachable {
        /// Which backend, and where.
        backend: String,
        /// What the system or the library said.
        reason: String,
    },
    /// It was reached and refuses: credentials, rights, a version that is too old.
    #[error("{backend} refuses: {reason}")]
    Refused {
        /// Which backend, and where.
        backend: String,
        /// What it said, and what to do.
        reason: String,
    },
    /// It has no room left.
    #[error("{backend} is full: {reason}")]
    Full {
        /// Which backend, and where.
        backend: String,
        /// What it said.
        reason: String,
    },
    /// It stands, and does not take something of what was to be stored: not now, and not another time.
    #[error("{backend} does not take what was published: {reason}")]
    Content {
        /// Which backend, and where.
        backend: String,
        /// What it said, and what to do.
        reason: String,
    },
    /// It answered something that Tidegate does not understand, or holds what Tidegate did not write.
    #[error("{backend} holds something unexpected: {reason}")]
    Unexpected {
        /// Which backend, and where.
        backend: String,
        /// What, and where.
        reason: String,
    },
    /// The address names no backend.
    #[error("{address:?} is no backend: {reason}")]
    Address {
        /// The address, without its password.
        address: String,
        /// What is wrong with it, and what is expected.
        reason: String,
    },
    /// It was closed.
    #[error("{backend} has been closed")]
    Closed {
        /// Which backend, and where.
        backend: String,
    },
}
