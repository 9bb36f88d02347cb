//! Why a hub refuses a publish or a subscription.

use alloc::string::String;

use crate::flow::FlowError;
use crate::lifecycle::EndReason;
use crate::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use crate::protocol::{ErrorCode, WireError};
use crate::words::{decimal, sentence};

/// Why a publish was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum PublishError {
    /// The topic has ended.
    Ended(EndReason),
    /// The payload is larger than the hub allows.
    PayloadTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The hub has reached its limit on topics.
    TooManyTopics {
        /// The limit.
        topics_max: usize,
    },
    /// The hub has reached its limit on retained payload bytes.
    Full {
        /// The limit.
        bytes_max: usize,
    },
    /// The idempotency key is longer than allowed.
    KeyTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The backend could not be reached within the time that a publication may wait, or too many are waiting already.
    Unavailable,
    /// The link to the backend broke before the answer came, and was not restored in time.
    Unconfirmed,
    /// The backend has no room left.
    BackendFull,
    /// The backend doesn't accept this publication because of its content.
    Refused,
}

impl PublishError {
    /// What is wrong, and what to do about it, for people.
    pub fn message(&self) -> String {
        match *self {
            Self::Ended(reason) => sentence(&[
                "the topic has ended (",
                reason.as_str(),
                "); publish with restart to start it anew",
            ]),
            Self::PayloadTooLarge { bytes, bytes_max } => sentence(&[
                "the payload has ",
                &decimal(bytes),
                " bytes; at most ",
                &decimal(bytes_max),
                " are allowed",
            ]),
            Self::TooManyTopics { topics_max } => too_many_topics(topics_max),
            Self::Full { bytes_max } => sentence(&[
                "the hub retains ",
                &decimal(bytes_max),
                " bytes of payloads and takes no more; end or forget topics, or raise retained_bytes_max",
            ]),
            Self::KeyTooLong { bytes } => sentence(&[
                "the idempotency key has ",
                &decimal(bytes),
                " bytes; at most ",
                &decimal(IDEMPOTENCY_KEY_BYTES_MAX),
                " are allowed",
            ]),
            Self::Unavailable => {
                "the backend can't be reached, and the publication was not stored; publish it again later".into()
            }
            Self::Unconfirmed => {
                "the backend did not confirm the publication, which may have been stored; publish it again with the same id".into()
            }
            Self::BackendFull => {
                "the backend is full, and the publication was not stored; make room there".into()
            }
            Self::Refused => {
                "the backend rejected this publication; it was not stored; the server's log says why".into()
            }
        }
    }

    /// The error in the form that is sent to clients.
    pub fn to_wire(&self) -> WireError {
        let code = match self {
            Self::Ended(_) => ErrorCode::TopicEnded,
            Self::PayloadTooLarge { .. } | Self::KeyTooLong { .. } => ErrorCode::TooLarge,
            Self::TooManyTopics { .. } | Self::Full { .. } => ErrorCode::TooManyTopics,
            Self::Unavailable | Self::Unconfirmed | Self::BackendFull => ErrorCode::Unavailable,
            Self::Refused => ErrorCode::Refused,
        };
        WireError::new(code, self.message())
    }
}

/// Why a subscription was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum SubscribeError {
    /// The flow is out of range.
    Flow(#[from] FlowError),
    /// The hub has reached its limit on subscriptions.
    TooManySubscriptions {
        /// The limit.
        subscriptions_max: usize,
    },
    /// The hub has reached its limit on topics.
    TooManyTopics {
        /// The limit.
        topics_max: usize,
    },
    /// The backend doesn't support durable subscriptions.
    NoDurables,
    /// The limit on durable subscriptions is reached.
    TooManyDurables,
    /// The client has a durable subscription with this pattern and another name.
    OtherDurable,
    /// The subscription is, or would become, durable, and a policy for a slow connection was set for it.
    SlowDurable,
}

impl SubscribeError {
    /// What is wrong, and what to do about it, for people.
    pub fn message(&self) -> String {
        match *self {
            Self::Flow(error) => error.message(),
            Self::TooManySubscriptions { subscriptions_max } => sentence(&[
                "the hub holds ",
                &decimal(subscriptions_max),
                " subscriptions and takes no more; raise subscriptions_max",
            ]),
            Self::TooManyTopics { topics_max } => too_many_topics(topics_max),
            Self::NoDurables => {
                "this server's backend keeps no durable subscriptions; subscribe without".into()
            }
            Self::TooManyDurables => {
                "the limit on durable subscriptions is reached; forget one that is not needed"
                    .into()
            }
            Self::OtherDurable => "there is a durable subscription with this pattern under \
                                   another name here; use that one"
                .into(),
            Self::SlowDurable => "a durable subscription is given everything that it has not \
                                  acknowledged; subscribe without slow, or not durably"
                .into(),
        }
    }

    /// The error in the form that is sent to clients.
    pub fn to_wire(&self) -> WireError {
        let code = match self {
            Self::Flow(_) | Self::SlowDurable => ErrorCode::BadFlow,
            Self::TooManySubscriptions { .. } | Self::TooManyDurables => {
                ErrorCode::TooManySubscriptions
            }
            Self::NoDurables => ErrorCode::Unavailable,
            Self::OtherDurable => ErrorCode::AlreadySubscribed,
            Self::TooManyTopics { .. } => ErrorCode::TooManyTopics,
        };
        WireError::new(code, self.message())
    }
}

fn too_many_topics(topics_max: usize) -> String {
    sentence(&[
        "the hub holds ",
        &decimal(topics_max),
        " topics and takes no more; end or forget some, or raise topics_max",
    ])
}
