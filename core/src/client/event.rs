//! What a client emits to its host.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::lifecycle::EndReason;
use crate::presence::KeyChange;
use crate::protocol::{ClientFrame, WireError};
use crate::publication::{Position, Publication};
use crate::topic::{Pattern, Topic};

/// The state of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Not connected: there is nothing to do yet, or it waits to reconnect.
    Disconnected,
    /// A connection is being opened.
    Connecting {
        /// The number of failed attempts since the last stable connection.
        attempt: u32,
    },
    /// The server has welcomed the client.
    Connected,
    /// Connected, but the server has lost its link to the backend: values may be out of date.
    Stale,
    /// Closed until the client is told to connect again.
    Closed(ClosedReason),
}

/// Why a connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClosedReason {
    /// Its user closed it.
    ByUser,
    /// The server refused it for good.
    Refused(WireError),
}

/// Events about presences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresenceEvent<P> {
    /// The state of a watched topic arrived, for the first time or again after a lost connection. Only differences from
    /// what was known are changes; there may be none.
    State {
        /// The topic.
        topic: Topic,
        /// What differs.
        changes: Vec<KeyChange<P>>,
    },
    /// Presences joined, left, or replaced their metas.
    Changed {
        /// The topic.
        topic: Topic,
        /// Never empty.
        changes: Vec<KeyChange<P>>,
    },
    /// A presence was refused, and is over.
    TrackRefused {
        /// Its number.
        number: u64,
        /// Why.
        error: WireError,
    },
    /// A topic can't be watched, and the watch has ended.
    WatchRefused {
        /// The topic.
        topic: Topic,
        /// Why.
        error: WireError,
    },
}

/// What a client's host must do, or pass on.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientEvent<P> {
    /// Get a new token, and pass it to `handle_token` with this number.
    AskToken {
        /// The number of the question.
        request: u32,
    },
    /// Open a transport, and report the outcome to `handle_opened` or `handle_closed` with this number.
    Connect {
        /// The number of the attempt.
        link: u32,
    },
    /// Close that transport; whatever else arrives on it is ignored.
    Disconnect {
        /// The number of the attempt.
        link: u32,
    },
    /// Send a frame over the open transport.
    Send(ClientFrame<P>),
    /// The connection's state has changed.
    State(ConnectionState),
    /// The server has confirmed a subscription.
    Subscribed {
        /// Its pattern.
        pattern: Pattern,
        /// The topic's current position, for a pattern without wildcards.
        position: Option<Position>,
        /// Whether it was resumed without loss.
        recovered: bool,
    },
    /// A publication that was not seen before.
    Publication {
        /// The subscription.
        pattern: Pattern,
        /// The publication.
        publication: Arc<Publication<P>>,
    },
    /// A subscription goes back: from here on, publications that were seen before arrive again, followed by new ones.
    /// Repeated if the connection is lost meanwhile.
    Rewinding {
        /// The subscription.
        pattern: Pattern,
        /// Whether it goes back to the cursor of a durable subscription, and not to where newcomers start.
        to_cursor: bool,
    },
    /// A publication that was seen before, from a subscription that goes back.
    Repeat {
        /// The subscription.
        pattern: Pattern,
        /// The publication, as it was published.
        publication: Arc<Publication<P>>,
        /// Whether it is the last one that was seen of its topic.
        is_latest: bool,
    },
    /// What a device missed of a topic is lost; what is left of it follows. Other subscribers have seen that already.
    RepeatReset {
        /// The subscription.
        pattern: Pattern,
        /// The topic.
        topic: Topic,
        /// The position before what is left.
        position: Position,
    },
    /// Everything that had to be repeated has arrived.
    Rewound {
        /// The subscription.
        pattern: Pattern,
    },
    /// A ping was answered, so everything that the server sent before the answer has arrived.
    Answered {
        /// Its number.
        ping: u32,
    },
    /// One emission of a collecting subscription.
    Batch {
        /// The subscription.
        pattern: Pattern,
        /// The publications, in order.
        items: Vec<Arc<Publication<P>>>,
    },
    /// What was missed of a topic is lost.
    Reset {
        /// The subscription.
        pattern: Pattern,
        /// The topic.
        topic: Topic,
        /// The topic's current position.
        position: Position,
    },
    /// The connection was too slow: publications were dropped.
    Lagged {
        /// The subscription.
        pattern: Pattern,
        /// How many.
        missed: u64,
    },
    /// A subscription has ended with its topic.
    Ended {
        /// The subscription.
        pattern: Pattern,
        /// Why.
        reason: EndReason,
    },
    /// A subscription was refused, and is over.
    Refused {
        /// The subscription.
        pattern: Pattern,
        /// Why.
        error: WireError,
    },
    /// Something about presences.
    Presence(PresenceEvent<P>),
    /// A publish was answered.
    Published {
        /// Its number.
        request: u64,
        /// The publication's position, or why the publish failed.
        result: Result<Position, WireError>,
    },
}
