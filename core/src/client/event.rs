//! What a client tells its host.

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
    /// Connected, but the server has lost touch with its backend: values may be out of date.
    Stale,
    /// Closed, until it is asked to connect again.
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

/// What there is to tell of presences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresenceEvent<P> {
    /// The presences of a topic that is watched were told, for the first time or anew after a lost connection. Only what
    /// differs from what was known is a change; there may be none.
    State {
        /// The topic.
        topic: Topic,
        /// What differs.
        changes: Vec<KeyChange<P>>,
    },
    /// Some came, went, or have other metas.
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
    /// A topic can't be watched, and is not watched any more.
    WatchRefused {
        /// The topic.
        topic: Topic,
        /// Why.
        error: WireError,
    },
}

/// What a client's host must do or tell.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientEvent<P> {
    /// Come by a new token, and hand it over by `handle_token` with this number.
    AskToken {
        /// The number of the question.
        request: u32,
    },
    /// Open a transport, and tell by `handle_opened` or `handle_closed` with this number.
    Connect {
        /// The number of the attempt.
        link: u32,
    },
    /// Close that transport; nothing more of it is wanted.
    Disconnect {
        /// The number of the attempt.
        link: u32,
    },
    /// Send a frame over the open transport.
    Send(ClientFrame<P>),
    /// The connection's state has changed.
    State(ConnectionState),
    /// A subscription stands.
    Subscribed {
        /// Which one.
        pattern: Pattern,
        /// Where its topic stands, for a pattern without wildcards.
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
    /// What a subscription that goes back has seen comes again from here on, and what is new after it. Said anew where the connection was
    /// lost meanwhile.
    Rewinding {
        /// The subscription.
        pattern: Pattern,
        /// Whether all comes that lies after the cursor of a durable subscription, and not what those start with who have joined.
        to_cursor: bool,
    },
    /// A publication that was seen before, of a subscription that goes back.
    Repeat {
        /// The subscription.
        pattern: Pattern,
        /// The publication, as it was published.
        publication: Arc<Publication<P>>,
        /// Whether it is what was seen last of its topic.
        is_latest: bool,
    },
    /// What a device missed of a topic is lost, and what is left of it comes. Others have seen that already.
    RepeatReset {
        /// The subscription.
        pattern: Pattern,
        /// The topic.
        topic: Topic,
        /// Where what is left begins.
        position: Position,
    },
    /// All that was to come again has come.
    Rewound {
        /// The subscription.
        pattern: Pattern,
    },
    /// A ping was answered, and everything has come that was sent before.
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
        /// Where the topic stands.
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
        /// Where it stands, or why it failed.
        result: Result<Position, WireError>,
    },
}
