//! Why a hub refuses.

use crate::flow::FlowError;
use crate::lifecycle::EndReason;
use crate::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use crate::protocol::{ErrorCode, WireError};

/// Why a publish was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The topic has ended.
    #[error("the topic has ended ({0}); publish with restart to start it anew")]
    Ended(EndReason),
    /// The payload is larger than the hub allows.
    #[error("the payload has {bytes} bytes; at most {bytes_max} are allowed")]
    PayloadTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The hub has as many topics as it may have.
    #[error(
        "the hub holds {topics_max} topics and takes no more; end or forget some, or raise topics_max"
    )]
    TooManyTopics {
        /// The limit.
        topics_max: usize,
    },
    /// The payloads that the hub retains fill their limit.
    #[error(
        "the hub retains {bytes_max} bytes of payloads and takes no more; end or forget topics, or raise retained_bytes_max"
    )]
    Full {
        /// The limit.
        bytes_max: usize,
    },
    /// The idempotency key is longer than allowed.
    #[error(
        "the idempotency key has {bytes} bytes; at most {IDEMPOTENCY_KEY_BYTES_MAX} are allowed"
    )]
    KeyTooLong {
        /// Its length.
        bytes: usize,
    },
    /// Where topics live could not be reached within the time that a publication may wait, or too many wait already.
    #[error(
        "the backend can't be reached, and the publication was not stored; publish it again later"
    )]
    Unavailable,
    /// The link to where topics live broke before the answer came, and did not come back in time.
    #[error(
        "the backend did not confirm the publication, which may have been stored; publish it again with the same id"
    )]
    Unconfirmed,
    /// Where topics live has no room left.
    #[error("the backend is full, and the publication was not stored; make room there")]
    BackendFull,
}

impl PublishError {
    /// The error as the wire tells it.
    pub fn to_wire(&self) -> WireError {
        let code = match self {
            Self::Ended(_) => ErrorCode::TopicEnded,
            Self::PayloadTooLarge { .. } | Self::KeyTooLong { .. } => ErrorCode::TooLarge,
            Self::TooManyTopics { .. } | Self::Full { .. } => ErrorCode::TooManyTopics,
            Self::Unavailable | Self::Unconfirmed | Self::BackendFull => ErrorCode::Unavailable,
        };
        WireError::new(code, alloc::format!("{self}"))
    }
}

/// Why a subscription was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The flow is out of range.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// The hub has as many subscriptions as it may have.
    #[error(
        "the hub holds {subscriptions_max} subscriptions and takes no more; raise subscriptions_max"
    )]
    TooManySubscriptions {
        /// The limit.
        subscriptions_max: usize,
    },
    /// The hub has as many topics as it may have.
    #[error(
        "the hub holds {topics_max} topics and takes no more; end or forget some, or raise topics_max"
    )]
    TooManyTopics {
        /// The limit.
        topics_max: usize,
    },
}

impl SubscribeError {
    /// The error as the wire tells it.
    pub fn to_wire(&self) -> WireError {
        let code = match self {
            Self::Flow(_) => ErrorCode::BadFlow,
            Self::TooManySubscriptions { .. } => ErrorCode::TooManySubscriptions,
            Self::TooManyTopics { .. } => ErrorCode::TooManyTopics,
        };
        WireError::new(code, alloc::format!("{self}"))
    }
}
