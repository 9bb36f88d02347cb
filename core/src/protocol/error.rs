//! Errors as the wire tells them: a stable code, a sentence for people, and what they are about.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::topic::Pattern;

/// Why a request or a session failed. The codes are stable: clients may act on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The frame is not JSON, lacks a member, or a member has the wrong type.
    BadFrame,
    /// A topic or pattern breaks the syntax.
    BadTopic,
    /// A flow is out of its range.
    BadFlow,
    /// The connection has a subscription with this pattern.
    AlreadySubscribed,
    /// The connection has no subscription with this pattern.
    NotSubscribed,
    /// The session has as many subscriptions as it may have.
    TooManySubscriptions,
    /// The hub has as many topics as it may have.
    TooManyTopics,
    /// There are as many connections as there may be: in all, from the address, or of the user.
    TooManyConnections,
    /// A client has as many unanswered publishes as it may have.
    TooManyRequests,
    /// The topic, the session or the server has as many presences as it may have.
    TooManyPresences,
    /// The frame or the payload is larger than allowed.
    TooLarge,
    /// The topic has ended; publish with `restart` to start it anew.
    TopicEnded,
    /// The server asks who its clients are, and this one has not shown it.
    Unauthorized,
    /// What the client showed has expired: show it anew.
    TokenExpired,
    /// The request is not allowed.
    Forbidden,
    /// The session came too late with its first frame, or gave no sign of life.
    Timeout,
    /// The connection took too little for too long.
    SlowConsumer,
    /// The server is going away.
    Draining,
    /// The tabs that shared the connection have a later one.
    Superseded,
    /// The connection ended before the answer came.
    ConnectionLost,
    /// Where topics live can't be reached, or is full. What was published may be published again, with the same id.
    Unavailable,
    /// Where topics live does not take what was published, and would not another time.
    Refused,
    /// Something broke on the server's side; also a code that this version does not know.
    #[serde(other)]
    Internal,
}

impl ErrorCode {
    /// The code as the wire carries it.
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
            Self::ConnectionLost => "connection_lost",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::Internal => "internal",
        }
    }
}

/// An error on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct WireError {
    /// The stable code.
    pub code: ErrorCode,
    /// What was wrong, where, and what to do.
    pub message: String,
    /// The subscription concerned.
    pub pattern: Option<Pattern>,
    /// The publish request concerned.
    pub request: Option<u64>,
    /// Whether the server closes the connection after it.
    pub fatal: bool,
}

impl WireError {
    /// An error about nothing in particular that leaves the session open.
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

    /// The same error about a publish request.
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
