//! How a hub's backend is, as its shards take it.

use crate::backend::BackendError;

/// The link between a hub and its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendLink {
    /// It is being opened for the first time.
    Opening,
    /// It stands.
    Live,
    /// It is lost, and is opened again and again until it stands. Values may be old, and publications wait.
    Stale,
}

/// A hub's backend, and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendHealth {
    /// Which backend, and where. Never a password.
    pub name: String,
    /// How the link to it is.
    pub link: BackendLink,
    /// Why the link was lost or could not be opened, until it stands again.
    pub last_error: Option<BackendError>,
}
