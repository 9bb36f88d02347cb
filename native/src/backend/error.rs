//! The errors of backends.

/// Why a backend did not do what it was asked to. No message contains a password.
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
    /// It was reached, and refuses: because of credentials, rights, or a version that is too old.
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
    /// It works, but doesn't accept something that was to be stored, and won't accept it later.
    #[error("{backend} rejects the publication: {reason}")]
    Content {
        /// Which backend, and where.
        backend: String,
        /// What it said, and what to do.
        reason: String,
    },
    /// It answered something that Tidegate doesn't understand, or contains something that Tidegate didn't write.
    #[error("{backend} holds something unexpected: {reason}")]
    Unexpected {
        /// Which backend, and where.
        backend: String,
        /// What, and where.
        reason: String,
    },
    /// The address is not that of a backend.
    #[error("{address:?} is not a backend: {reason}")]
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
