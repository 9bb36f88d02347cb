//! What can go wrong with a client.

use std::io;

use tidegate_core::hub;
use tidegate_core::protocol::WireError;
use tidegate_core::topic::TopicError;

use super::UrlError;
use crate::backend::BackendError;
use crate::{JsonError, PresenceError, SubscribeError};

/// Why a client could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address of the server is not one.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The first attempt to connect failed.
    #[error("cannot reach {url}: {reason}; is a server running there? (tidegate serve)")]
    Unreachable {
        /// Where to.
        url: String,
        /// What the system or the server said.
        reason: String,
    },
    /// The first token that was asked for could not be had.
    #[error("{reason}")]
    NoToken {
        /// What whoever was asked has said.
        reason: String,
    },
    /// No backend could be chosen, or the one that was named can't be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The system gave no thread to work in.
    #[error("the client could not start: {0}")]
    Start(#[from] io::Error),
    /// A topic or pattern breaks the syntax.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The payload has no JSON form.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It was refused by the server, or by the backend.
    #[error(transparent)]
    Refused(#[from] WireError),
    /// The subscription was refused before it was sent.
    #[error(transparent)]
    Subscribe(#[from] hub::SubscribeError),
    /// Nobody is present, or can be.
    #[error(transparent)]
    Presence(#[from] PresenceError),
    /// Servers tell each other who is present; a client of a backend is none.
    #[error("presence needs a server: connect to one, or take the hub of this process")]
    NoPresence,
    /// A durable subscription needs a server, which remembers what was dealt with; a client of a backend is none.
    #[error(
        "a durable subscription needs a server: connect to one, or start since the positions that you keep"
    )]
    NotDurable,
    /// The client was closed while publications that were queued had no answer. They may or may not have happened.
    #[error(
        "{count} publications were not confirmed within {seconds} s; publish them again with the same ids"
    )]
    Unanswered {
        /// How many.
        count: usize,
        /// How long it was waited for them.
        seconds: u64,
    },
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}

impl From<SubscribeError> for ClientError {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Pattern(error) => Self::Topic(error),
            SubscribeError::Refused(error) => Self::Subscribe(error),
            SubscribeError::Flow(error) => Self::Subscribe(error.into()),
            SubscribeError::NotDurable => Self::NotDurable,
            SubscribeError::Stopped(_) => Self::Closed,
        }
    }
}
