//! Why a client has no connection.

use tidegate_core::protocol::{ErrorCode, ServerFrame, WireError};

use super::HandshakeError;
use crate::json::Json;

/// Why an attempt to connect failed or a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The function that supplies tokens failed.
    #[error("could not get a token: {0}")]
    NoToken(String),
    /// The server did not prove who it is.
    #[error(transparent)]
    Insecure(HandshakeError),
    /// The server has announced that it ends the connection, and why. Connecting again may succeed.
    #[error(transparent)]
    Server(WireError),
    /// Anything else that the system or the server said.
    #[error("{0}")]
    Link(String),
}

impl Fault {
    /// The reason that a frame announces for the end of the connection, if it does.
    pub(super) fn announced_by(frame: &ServerFrame<Json>) -> Option<Self> {
        match frame {
            ServerFrame::Error(error) if error.fatal || error.code == ErrorCode::Draining => {
                Some(Self::Server(error.clone()))
            }
            ServerFrame::Drain { .. } => Some(Self::Link("the server is about to stop".to_owned())),
            _ => None,
        }
    }

    /// Returns whether this is about the token. If so, another token is tried, or the client is closed.
    pub(super) const fn is_about_token(&self) -> bool {
        matches!(
            self,
            Self::Server(WireError {
                code: ErrorCode::Unauthorized | ErrorCode::TokenExpired,
                ..
            })
        )
    }
}
