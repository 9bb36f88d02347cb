//! The errors of a hub in this process.

use tidegate_core::flow::FlowError;
use tidegate_core::hub;
use tidegate_core::presence::{KeyError, TrackError};
use tidegate_core::topic::TopicError;
use tidegate_core::uplink;

use crate::backend::BackendError;
pub use crate::shard::Stopped;

/// Why a hub with a chosen backend could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No backend could be chosen, or the one that was named can't be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The system provided no thread, or no way to wait for sockets.
    #[error("the hub could not start: {0}")]
    System(#[from] std::io::Error),
}

/// Why a publish failed.
///
/// Nothing was published, except in two cases in which it is unknown: the link to the backend broke before the answer
/// came ([`hub::PublishError::Unconfirmed`]), or the hub [stopped](Self::Stopped) while the backend had the request. A
/// publication with an [idempotency key](crate::Publish::id) can then be repeated safely.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic has invalid syntax.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The payload can't be represented as JSON.
    #[error(transparent)]
    Json(#[from] crate::json::JsonError),
    /// The hub refused it.
    #[error(transparent)]
    Refused(#[from] hub::PublishError),
    /// The hub has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a presence could not be tracked or watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// The topic has invalid syntax.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The text is not a valid key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The meta can't be represented as JSON.
    #[error(transparent)]
    Json(#[from] crate::json::JsonError),
    /// The hub refused it.
    #[error(transparent)]
    Refused(#[from] TrackError),
    /// The hub has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a user's devices could not be listed or forgotten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The backend did not answer.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The hub has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a subscription failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// A pattern has invalid syntax.
    #[error(transparent)]
    Pattern(#[from] TopicError),
    /// The hub refused it.
    #[error(transparent)]
    Refused(#[from] hub::SubscribeError),
    /// The flow is out of range.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// A durable subscription was requested from a hub itself. Only clients of a server can have one.
    #[error(
        "a hub keeps no durable subscriptions for its own process: connect to a server as a client, or start after \
         positions that you keep (Subscribe::since)"
    )]
    NotDurable,
    /// The hub has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why what topics have published could not be looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The topic or pattern has invalid syntax.
    #[error(transparent)]
    Pattern(#[from] TopicError),
    /// The lookup failed.
    #[error(transparent)]
    Failed(#[from] uplink::LookupError),
    /// The hub has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}
