//! Errors as they are sent to clients: a stable code, a sentence for people, and what they concern.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::topic::Pattern;

/// Why a request or a session failed. The codes are stable: clients may act on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The frame is not JSON, lacks a member, or a member has the wrong type.
    BadFrame,
    /// A topic or pattern has invalid syntax.
    BadTopic,
    /// A flow is contradictory or out of range.
    BadFlow,
    /// The connection already has a subscription with this pattern.
    AlreadySubscribed,
    /// The connection has no subscription with this pattern.
    NotSubscribed,
    /// The session or the hub has reached its limit on subscriptions.
    TooManySubscriptions,
    /// The hub has reached its limit on topics.
    TooManyTopics,
    /// A limit on connections is reached: in total, of the address, or of the user.
    TooManyConnections,
    /// Requests come too fast, or too many publishes of a client are unanswered.
    TooManyRequests,
    /// The topic, the session or the server has reached its limit on presences.
    TooManyPresences,
    /// The frame or the payload is larger than allowed.
    TooLarge,
    /// The topic has ended; publish with `restart` to start it anew.
    TopicEnded,
    /// The server requires a valid token.
    Unauthorized,
    /// The token has expired: get a new one.
    TokenExpired,
    /// The request is not allowed.
    Forbidden,
    /// No frame, or no complete request, arrived in time.
    Timeout,
    /// The connection was too slow for too long.
    SlowConsumer,
    /// The server is shutting down.
    Draining,
    /// Another tab has taken over the shared connection.
    Superseded,
    /// The connections of the user were ended: connect with a new token.
    Disconnected,
    /// The connection closed before the answer arrived.
    ConnectionLost,
    /// The backend can't be reached or is full. Publish again with the same idempotency key.
    Unavailable,
    /// The backend doesn't accept the publication because of its content, and won't accept it later; or it refuses to answer a question.
    Refused,
    /// Something went wrong in the server; also a code that this version doesn't know.
    #[serde(other)]
    Internal,
}

impl ErrorCode {
    /// The code as it is sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadFrame => "bad_frame",
            Self::BadTopic => "bad_topic",
            Self::BadFlow => "bad_flow",
            Self::AlreadySubscribed => "already_subscribed",
            Self::NotSubscribed => "not_subscribed",
            Self::TooManySubscriptions => "too_many_subscriptions",
            Self::TooManyTopics => "too_many_topics",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyRequests => "too_many_requests",
            Self::TooManyPresences => "too_many_presences",
            Self::TooLarge => "too_large",
            Self::TopicEnded => "topic_ended",
            Self::Unauthorized => "unauthorized",
            Self::TokenExpired => "token_expired",
            Self::Forbidden => "forbidden",
            Self::Timeout => "timeout",
            Self::SlowConsumer => "slow_consumer",
            Self::Draining => "draining",
            Self::Superseded => "superseded",
            Self::Disconnected => "disconnected",
            Self::ConnectionLost => "connection_lost",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::Internal => "internal",
        }
    }
}

/// An error as it is sent to clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct WireError {
    /// The stable code.
    pub code: ErrorCode,
    /// What was wrong, where, and what to do about it.
    pub message: String,
    /// The pattern of the subscription, if the error concerns one.
    pub pattern: Option<Pattern>,
    /// The number of the request, if the error concerns one.
    pub request: Option<u64>,
    /// Whether the server closes the connection after it.
    pub fatal: bool,
}

impl WireError {
    /// An error that concerns no particular request, and leaves the session open.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            pattern: None,
            request: None,
            fatal: false,
        }
    }

    /// The same error about a subscription.
    #[must_use]
    pub fn about_pattern(self, pattern: Pattern) -> Self {
        Self {
            pattern: Some(pattern),
            ..self
        }
    }

    /// The same error about a request with this number.
    #[must_use]
    pub fn about_request(self, request: u64) -> Self {
        Self {
            request: Some(request),
            ..self
        }
    }

    /// The same error, after which the connection closes.
    #[must_use]
    pub fn fatal(self) -> Self {
        Self {
            fatal: true,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_a_later_version_is_taken_for_a_fault_of_the_server() {
        assert_eq!(
            serde_json::from_str::<ErrorCode>(r#""topic_ended""#).unwrap(),
            ErrorCode::TopicEnded
        );
        assert_eq!(
            serde_json::from_str::<ErrorCode>(r#""of_tomorrow""#).unwrap(),
            ErrorCode::Internal
        );
        assert_eq!(
            serde_json::to_string(&ErrorCode::Internal).unwrap(),
            r#""internal""#
        );
    }
}
