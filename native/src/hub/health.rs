//! The state of a hub's backend, as its shards see it.

use crate::backend::BackendError;

/// The link between a hub and its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendLink {
    /// It is being opened for the first time.
    Opening,
    /// It is open.
    Live,
    /// It is lost, and opening it is tried again until it succeeds. Values may be out of date, and publications wait.
    Stale,
}

/// The state of a hub's backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendHealth {
    /// Which backend, and where. It never contains a password.
    pub name: String,
    /// The state of the link to it.
    pub link: BackendLink,
    /// Why the link was lost or could not be opened, until it is open again.
    pub last_error: Option<BackendError>,
}
