//! Why a presence was refused.

use crate::protocol::{ErrorCode, WireError};

/// Why [`Tracker::handle_track`](super::Tracker::handle_track) refused a presence. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrackError {
    /// The meta is larger than allowed.
    #[error("the meta has {bytes} bytes; at most {bytes_max} are allowed; publish the rest")]
    MetaTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The topic has reached its limit on presences.
    #[error(
        "the topic has {metas_max} presences and takes no more; split it, or raise topic_metas_max"
    )]
    TopicFull {
        /// The limit.
        metas_max: usize,
    },
    /// The session has reached its limit on presences.
    #[error("a session may have {tracks_max} presences; untrack some, or raise session_tracks_max")]
    SessionFull {
        /// The limit.
        tracks_max: usize,
    },
    /// The node has reached its limit on presences.
    #[error("the server holds {tracks_max} presences and takes no more; raise tracks_max")]
    NodeFull {
        /// The limit.
        tracks_max: usize,
    },
    /// The node is shutting down.
    #[error("the server is going away; connect again")]
    ShuttingDown,
}

impl TrackError {
    /// The error in the form that is sent to clients.
    pub fn to_wire(&self) -> WireError {
        let code = match self {
            Self::MetaTooLarge { .. } => ErrorCode::TooLarge,
            Self::TopicFull { .. } | Self::SessionFull { .. } | Self::NodeFull { .. } => {
                ErrorCode::TooManyPresences
            }
            Self::ShuttingDown => ErrorCode::Draining,
        };
        WireError::new(code, alloc::format!("{self}"))
    }
}
