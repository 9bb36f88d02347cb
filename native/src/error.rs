//! What can go wrong with a hub in this process.

use tidegate_core::flow::FlowError;
use tidegate_core::hub;
use tidegate_core::presence::{KeyError, TrackError};
use tidegate_core::topic::TopicError;

use crate::backend::BackendError;
pub use crate::shard::Stopped;

/// Why a hub with a chosen backend could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No backend could be chosen, or the one that was named can't be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The system gave no thread, or no way to wait for sockets.
    #[error("the hub could not start: {0}")]
    System(#[from] std::io::Error),
}

/// Why a publish failed. Nothing was published then, but for two cases in which nobody can say: the link to the backend broke before the
/// answer came ([`hub::PublishError::Unconfirmed`]), or the hub [stopped](Self::Stopped) while the backend had the request. A
/// publication with an [idempotency key](crate::Publish::id) can be repeated then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic breaks the syntax.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The payload has no JSON form.
    #[error(transparent)]
    Json(#[from] crate::json::JsonError),
    /// The hub refused it.
    #[error(transparent)]
    Refused(#[from] hub::PublishError),
    /// The hub is gone.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why nobody is present.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// The topic breaks the syntax.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The text is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The meta has no JSON form.
    #[error(transparent)]
    Json(#[from] crate::json::JsonError),
    /// The hub refused it.
    #[error(transparent)]
    Refused(#[from] TrackError),
    /// The hub is gone.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why nothing could be said of a user's devices, or done with them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The backend did not answer.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The hub is gone.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a subscription failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// A pattern breaks the syntax.
    #[error(transparent)]
    Pattern(#[from] TopicError),
    /// The hub refused it.
    #[error(transparent)]
    Refused(#[from] hub::SubscribeError),
    /// The flow is out of range.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// A durable subscription was asked of a hub itself.
    #[error(
        "a hub does not remember for its own process what was dealt with: be a client of a server, or start since the \
         positions that you keep"
    )]
    NotDurable,
    /// The hub is gone.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}
