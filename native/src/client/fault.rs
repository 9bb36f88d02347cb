//! Why a client has no connection.

use tidegate_core::protocol::{ErrorCode, ServerFrame, WireError};

use super::HandshakeError;
use crate::json::Json;

/// Why an attempt to connect failed or a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Whoever was asked for a token has none.
    #[error("no token could be had: {0}")]
    NoToken(String),
    /// The server did not prove who it is.
    #[error(transparent)]
    Insecure(HandshakeError),
    /// The server has said that it ends the connection, and why. It may be tried again.
    #[error(transparent)]
    Server(WireError),
    /// Anything else that the system or the server said.
    #[error("{0}")]
    Link(String),
}

impl Fault {
    /// Why a connection is about to end, where the server tells that.
    pub(super) fn told(frame: &ServerFrame<Json>) -> Option<Self> {
        match frame {
            ServerFrame::Error(error) if error.fatal || error.code == ErrorCode::Draining => {
                Some(Self::Server(error.clone()))
            }
            ServerFrame::Drain { .. } => Some(Self::Link("the server is about to stop".to_owned())),
            _ => None,
        }
    }

    /// Whether another token is tried, or the client is closed.
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
