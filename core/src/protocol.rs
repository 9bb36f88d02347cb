//! The frames of the wire, generic over the payload. There is no codec here: hosts encode and decode.
//!
//! `docs/PROTOCOL.md` describes them. A frame is one JSON object with a `type`; a message is a frame or an array of
//! frames. A subscription on a connection is identified by its pattern.
//!
//! The machines use [`ClientFrame`] and [`ServerFrame`]. [`ClientEnvelope`] and [`ServerEnvelope`] are the same frames
//! as flat serde structures, which hosts encode and decode.

mod envelope;
mod error;
mod flow;
mod message;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::durable::DurableName;
use crate::flow::{Flow, Slow};
use crate::lifecycle::{EndReason, StatedEnd};
use crate::presence::{Key, PresenceDiff, PresenceState};
use crate::publication::{Position, Publication};
use crate::rate::Rate;
use crate::tabs::Term;
use crate::topic::{Pattern, Topic};

pub use envelope::{
    ClientEnvelope, ClientFrameType, FrameError, PresentEnvelope, ServerEnvelope, ServerFrameType,
};
pub use error::{ErrorCode, WireError};
pub use flow::FlowSpec;
pub use message::MessageRoom;

/// The WebSocket subprotocol that stands for these frames and their encoding.
pub const SUBPROTOCOL: &str = "tidegate.v1.json";

/// A topic, and a subscriber's position in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPosition {
    /// The topic.
    pub topic: Topic,
    /// The position of the last publication seen.
    #[serde(flatten)]
    pub position: Position,
}

/// A request to publish, wherever it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishRequest<P> {
    /// The topic.
    pub topic: Topic,
    /// The payload.
    pub payload: P,
    /// Whether the publication is terminal. If absent, the terminal rule examines the payload, once, where the
    /// publication enters the system. From then on, only this counts.
    pub end: Option<StatedEnd>,
    /// Idempotency key: a publish that repeats a key on the same topic is answered with the position of the first.
    pub id: Option<String>,
    /// Starts the topic anew, in a new epoch, if it has ended, instead of failing.
    pub restart: bool,
}

impl<P> PublishRequest<P> {
    /// A plain publish of `payload` to `topic`.
    pub const fn new(topic: Topic, payload: P) -> Self {
        Self {
            topic,
            payload,
            end: None,
            id: None,
            restart: false,
        }
    }

    /// The reason for which the publication ends its topic, if it does.
    pub fn end_reason(&self) -> Option<EndReason> {
        self.end.and_then(StatedEnd::reason)
    }
}

/// A request to subscribe, wherever it comes from.
///
/// [`SubscribeRequest::new`] takes the pattern and the flow. Everything else is a member:
///
/// ```
/// use core::time::Duration;
/// use tidegate_core::flow::Flow;
/// use tidegate_core::protocol::{Start, SubscribeRequest};
/// use tidegate_core::topic::Pattern;
///
/// let request = SubscribeRequest {
///     start: Start::New,
///     ..SubscribeRequest::new(Pattern::new("job:*")?, Flow::throttle(Duration::from_secs(1)))
/// };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeRequest {
    /// The topic or pattern.
    pub pattern: Pattern,
    /// The flow, within the range that [`Flow::validate`] checks.
    pub flow: Flow,
    /// Where to start. A durable subscription starts at its cursor, unless the subscriber has seen more.
    pub start: Start,
    /// The name of a durable subscription, under which the server remembers what was processed when the connection is
    /// gone. At most [`DURABLE_NAME_BYTES_MAX`](crate::limits::DURABLE_NAME_BYTES_MAX) bytes. A hub without connections
    /// remembers nothing.
    pub durable: Option<DurableName>,
    /// What happens to its publications while the connection is slow; `None` for what the flow implies. Not with
    /// [`durable`](Self::durable): a subscriber that has to process each publication can't miss any.
    pub slow: Option<Slow>,
}

impl SubscribeRequest {
    /// A plain subscription to `pattern`, which starts with the latest value.
    pub const fn new(pattern: Pattern, flow: Flow) -> Self {
        Self {
            pattern,
            flow,
            start: Start::Latest,
            durable: None,
            slow: None,
        }
    }
}

/// Where a new subscription starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the retained latest value of each topic, then everything new. The default.
    Latest,
    /// With what is published from now on.
    New,
    /// After these positions: what was missed is recovered exactly, or reported as lost.
    Since(Vec<TopicPosition>),
}

impl Start {
    /// The part of it that concerns the topics of a pattern.
    #[must_use]
    pub fn of(&self, pattern: &Pattern) -> Self {
        match self {
            Self::Latest => Self::Latest,
            Self::New => Self::New,
            Self::Since(known) => {
                let known = known.iter().filter(|known| pattern.matches(&known.topic));
                Self::Since(known.cloned().collect())
            }
        }
    }
}

/// Identifies a connection that a browser's tabs share, and its place in the sequence of such connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupTerm {
    /// The tabs' secret: a random text of 1 to [`GROUP_BYTES_MAX`](crate::limits::GROUP_BYTES_MAX) bytes that nobody
    /// else knows.
    pub group: String,
    /// The leadership that the connection belongs to. The server closes connections of earlier terms.
    pub term: Term,
}

/// A frame from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame<P> {
    /// Opens the session. Optional: any other first frame opens it without a token.
    Hello {
        /// Authenticates the client.
        token: Option<String>,
        /// Names the client's software, for logs.
        client: Option<String>,
        /// Set if a browser's tabs share the connection.
        group: Option<GroupTerm>,
    },
    /// Subscribes to a pattern.
    Subscribe(SubscribeRequest),
    /// Ends a subscription.
    Unsubscribe {
        /// Its pattern.
        pattern: Pattern,
    },
    /// Everything up to these positions has been processed, and need not be sent again to this durable subscription.
    Ack {
        /// Its pattern.
        pattern: Pattern,
        /// The positions, one for each topic.
        positions: Vec<TopicPosition>,
    },
    /// Ends a durable subscription and deletes its cursor. Answered like [`ClientFrame::Unsubscribe`].
    Forget {
        /// Its pattern.
        pattern: Pattern,
    },
    /// Changes a subscription's flow.
    Flow {
        /// Its pattern.
        pattern: Pattern,
        /// The new flow.
        flow: Flow,
    },
    /// Publishes.
    Publish {
        /// The client's number for this request; the answer carries it.
        request: u64,
        /// What to publish.
        publish: PublishRequest<P>,
    },
    /// Makes a key present in a topic while the connection lasts. Another one with the same number replaces the
    /// presence.
    Track {
        /// The client's number for this presence; an error carries it.
        request: u64,
        /// The topic.
        topic: Topic,
        /// The key.
        key: Key,
        /// The meta, which describes the key there.
        meta: P,
    },
    /// Ends a presence.
    Untrack {
        /// The client's number for the presence.
        request: u64,
    },
    /// Watches who is present in a topic; answered by [`ServerFrame::PresenceState`].
    Watch {
        /// The client's number for this request; an error carries it.
        request: u64,
        /// The topic.
        topic: Topic,
    },
    /// Ends a watch.
    Unwatch {
        /// The topic.
        topic: Topic,
    },
    /// Asks for a [`ServerFrame::Pong`].
    Ping,
    /// Answers a [`ServerFrame::Ping`].
    Pong,
}

/// A frame from a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFrame<P> {
    /// The session is open, or continues with a new token.
    Welcome {
        /// How long a connection may be silent before the server asks for a sign of life, in milliseconds.
        heartbeat_ms: u64,
        /// How long the client's token remains valid, in milliseconds; absent if it doesn't expire.
        expires_in_ms: Option<u64>,
        /// The longest message that the server accepts, in bytes; absent if it isn't stated.
        message_bytes_max: Option<u64>,
        /// How often this connection may publish; absent if that isn't limited.
        publish_rate: Option<Rate>,
    },
    /// A subscription is active; what it recovers follows.
    Subscribed {
        /// Its pattern.
        pattern: Pattern,
        /// The topic's position, for a pattern without wildcards.
        position: Option<Position>,
        /// Whether everything missed since the given positions follows.
        recovered: bool,
        /// The flow that was granted.
        flow: Flow,
    },
    /// A subscription ended at the client's request.
    Unsubscribed {
        /// Its pattern.
        pattern: Pattern,
    },
    /// A publication.
    Publication {
        /// The publication, shared by all who get it.
        publication: Arc<Publication<P>>,
        /// The wildcard pattern that it came by; absent for an exact subscription.
        via: Option<Pattern>,
    },
    /// A publication that contains only what has changed since the last one of its topic that was sent on this
    /// subscription.
    Delta {
        /// The publication, with the merge patch (RFC 7396) for its payload. Shared by all who get it.
        publication: Arc<Publication<P>>,
        /// The offset of the publication to apply the patch to, in the same epoch.
        base: u64,
        /// The wildcard pattern that it came by; absent for an exact subscription.
        via: Option<Pattern>,
    },
    /// One emission of a collecting subscription.
    Batch {
        /// The publications, in order.
        items: Vec<Arc<Publication<P>>>,
        /// The wildcard pattern that they came by.
        via: Option<Pattern>,
    },
    /// Everything between the subscriber's position and this one is lost. The latest value follows, if there is one.
    Reset {
        /// The topic concerned.
        topic: Topic,
        /// The topic's current position.
        position: Position,
        /// The wildcard pattern of the subscription concerned.
        via: Option<Pattern>,
    },
    /// The connection was too slow for a subscription: publications were dropped, the oldest first.
    Lagged {
        /// The subscription.
        pattern: Pattern,
        /// How many.
        missed: u64,
    },
    /// The subscription's topic ended; its terminal publication came just before.
    End {
        /// The subscription.
        pattern: Pattern,
        /// Why.
        reason: EndReason,
    },
    /// Answers [`ClientFrame::Publish`].
    Published {
        /// The client's number of the request.
        request: u64,
        /// The position of the publication.
        position: Position,
    },
    /// Everyone who is present in a topic that the client watches.
    PresenceState(Arc<PresenceState<P>>),
    /// Who has joined and left since the state or the previous diff.
    PresenceDiff(Arc<PresenceDiff<P>>),
    /// A request or, if it is fatal, the session has failed.
    Error(WireError),
    /// Asks for a [`ClientFrame::Pong`].
    Ping,
    /// Answers a [`ClientFrame::Ping`].
    Pong,
    /// The server is shutting down: reconnect, perhaps to another server, after a random part of this time, so that its
    /// clients don't all reconnect at once.
    Drain {
        /// The time, in milliseconds.
        within_ms: u64,
    },
    /// The server has lost its link to the backend: values may be out of date until [`ServerFrame::Live`].
    Stale,
    /// The server's values are up to date again.
    Live,
}
