//! The configuration of a session, and what it asks of its owner.

use core::time::Duration;

use alloc::string::String;
use alloc::vec::Vec;

use super::SharedBy;
use crate::flow::Flow;
use crate::hub::SubscriptionId;
use crate::presence::Key;
use crate::protocol::{PublishRequest, ServerFrame, SubscribeRequest, TopicPosition};
use crate::rate::Rate;
use crate::tabs::Term;
use crate::topic::{Pattern, Topic};

/// The limits and timings of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// How long a new connection may take to send its first frame.
    pub hello_timeout: Duration,
    /// How long a client may be silent before it is asked for a sign of life.
    pub heartbeat: Duration,
    /// How long it may then take to respond.
    pub pong_timeout: Duration,
    /// The longest time over which clients spread their reconnecting when the server shuts down: each waits for a
    /// random part of it. It is shorter if there are few clients.
    pub drain_window: Duration,
    /// How long a client may take to leave when the server shuts down. This must be longer than the window.
    pub drain_grace: Duration,
    /// The most subscriptions of one session.
    pub subscriptions_max: usize,
    /// How often one session may publish; `None` for no limit. Hosts apply the same rate to publishes without a
    /// session: over HTTP, for example, per user.
    pub publish_rate: Option<Rate>,
    /// The longest message that the transport accepts, in bytes, to be reported to clients; `None` if it isn't
    /// reported.
    pub message_bytes_max: Option<u64>,
}

impl Default for SessionConfig {
    /// 10 s for the first frame, a ping after 25 s, 20 s to answer it, up to 5 s to spread the leaving clients and 8 s
    /// for all to have left, 1,000 subscriptions, and no limit on publishes.
    fn default() -> Self {
        Self {
            hello_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(20),
            drain_window: Duration::from_secs(5),
            drain_grace: Duration::from_secs(8),
            subscriptions_max: 1_000,
            publish_rate: None,
            message_bytes_max: None,
        }
    }
}

/// Why a connection is being closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client was silent for too long.
    Timeout,
    /// The client broke the protocol.
    Protocol,
    /// The client has not authenticated, or not again in time.
    Unauthorized,
    /// The user has reached their limit on connections.
    TooManyConnections,
    /// The client could not be authenticated at the moment.
    Unavailable,
    /// The connection was too slow for too long.
    SlowConsumer,
    /// The tabs that shared it have a later one.
    Superseded,
    /// The connections of its user were ended.
    Disconnected,
    /// The server is shutting down.
    Drained,
    /// Everything that it subscribed to has ended.
    Ended,
}

/// What a session asks of its owner.
#[derive(Debug)]
pub enum SessionOutput<P> {
    /// Queue this frame for the client.
    Send(ServerFrame<P>),
    /// Find out what the bearer of this token may do, and report it to
    /// [`Session::handle_authenticated`](super::Session::handle_authenticated).
    Authenticate(String),
    /// Subscribe, and report the result to [`Session::handle_subscribed`](super::Session::handle_subscribed).
    Subscribe(SubscribeRequest),
    /// A durable subscription's device has processed everything up to these positions.
    Ack {
        /// Its pattern.
        pattern: Pattern,
        /// The positions, one for each topic.
        positions: Vec<TopicPosition>,
    },
    /// Delete the cursor of a durable subscription, which ends.
    Forget(Pattern),
    /// Unsubscribe.
    Unsubscribe(SubscriptionId),
    /// End a subscription that was replaced by a durable one. What is waiting for it is still sent.
    Replaced(SubscriptionId),
    /// Withdraw a subscription that has not been answered yet.
    Withdraw(Pattern),
    /// Change the flow of a subscription that has not been answered yet.
    FlowAhead {
        /// Its pattern.
        pattern: Pattern,
        /// The new flow.
        flow: Flow,
    },
    /// Change a flow. If that fails, report it to
    /// [`Session::handle_flow_refused`](super::Session::handle_flow_refused).
    Flow {
        /// The subscription.
        subscription: SubscriptionId,
        /// Its pattern.
        pattern: Pattern,
        /// The new flow.
        flow: Flow,
    },
    /// Publish, and report the result to [`Session::handle_published`](super::Session::handle_published).
    Publish {
        /// The client's number of the request.
        request: u64,
        /// What to publish.
        publish: PublishRequest<P>,
    },
    /// Track a presence. If that fails, report it to
    /// [`Session::handle_track_refused`](super::Session::handle_track_refused).
    Track {
        /// The client's number for the presence.
        request: u64,
        /// The topic.
        topic: Topic,
        /// The key.
        key: Key,
        /// The meta.
        meta: P,
    },
    /// End a presence.
    Untrack {
        /// The client's number for the presence.
        request: u64,
    },
    /// The client's grant has changed: pass its presences to [`Session::handle_tracks`](super::Session::handle_tracks),
    /// and end those that it returns.
    ReviewTracks,
    /// Send the connection the presences of a topic, and their changes.
    Watch(Topic),
    /// Stop sending them.
    Unwatch(Topic),
    /// The connection is shared by a browser's tabs: it replaces those of earlier terms, and gives way to one of a
    /// later term ([`Session::handle_superseded`](super::Session::handle_superseded)).
    Lead(SharedBy, Term),
    /// Close the connection once everything queued has been sent. The last output.
    Close(CloseReason),
}
