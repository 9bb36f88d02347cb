//! What a session allows, and what it wants done.

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
    /// How long it may then take to answer.
    pub pong_timeout: Duration,
    /// The longest time over which clients spread their reconnecting when the server shuts down: each waits for a
    /// random part of it. It is shorter if there are few clients.
    pub drain_window: Duration,
    /// How long a client has to leave when the server shuts down. Longer than the window.
    pub drain_grace: Duration,
    /// The most subscriptions of one session.
    pub subscriptions_max: usize,
    /// How often one session may publish. Hosts apply the same rate to publishes without a session, per user over HTTP,
    /// for example. `None` for no limit.
    pub publish_rate: Option<Rate>,
    /// The longest message that the transport accepts, in bytes, to be reported to clients; `None` if it isn't
    /// reported.
    pub message_bytes_max: Option<u64>,
}

impl Default for SessionConfig {
    /// 10 s for the first frame, a ping after 25 s, 20 s to answer it, up to 5 s to spread those who leave and 8 s for
    /// all to have left, 1,000 subscriptions, and no limit on publishes.
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

/// Why a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// It said nothing for too long.
    Timeout,
    /// It broke the protocol.
    Protocol,
    /// It has not shown who it is, or not again in time.
    Unauthorized,
    /// Its user has as many connections as one may have.
    TooManyConnections,
    /// Whoever has to be asked who it is could not be.
    Unavailable,
    /// It took too little for too long.
    SlowConsumer,
    /// The tabs that shared it have a later one.
    Superseded,
    /// The connections of its user were ended.
    Disconnected,
    /// The server is going away.
    Drained,
    /// Everything it asked for has ended.
    Ended,
}

/// What a session wants done.
#[derive(Debug)]
pub enum SessionOutput<P> {
    /// Queue this frame for the client.
    Send(ServerFrame<P>),
    /// Find out what the bearer of this token may do, and tell by
    /// [`Session::handle_authenticated`](super::Session::handle_authenticated).
    Authenticate(String),
    /// Subscribe, and tell by [`Session::handle_subscribed`](super::Session::handle_subscribed).
    Subscribe(SubscribeRequest),
    /// A durable subscription's device has dealt with everything up to these positions.
    Ack {
        /// Which one.
        pattern: Pattern,
        /// How far, by topic.
        positions: Vec<TopicPosition>,
    },
    /// Forget what is remembered of a durable subscription, which ends.
    Forget(Pattern),
    /// Unsubscribe.
    Unsubscribe(SubscriptionId),
    /// Unsubscribe from what a durable subscription has taken the place of. What waits of it is sent.
    Replaced(SubscriptionId),
    /// Subscribe no more to what has not been answered yet.
    Withdraw(Pattern),
    /// Change the flow of what has not been answered yet.
    FlowAhead {
        /// What it is to.
        pattern: Pattern,
        /// The flow from now on.
        flow: Flow,
    },
    /// Change a flow, and tell by [`Session::handle_flow_refused`](super::Session::handle_flow_refused) where that fails.
    Flow {
        /// The subscription.
        subscription: SubscriptionId,
        /// What it is to.
        pattern: Pattern,
        /// The flow from now on.
        flow: Flow,
    },
    /// Publish, and tell by [`Session::handle_published`](super::Session::handle_published).
    Publish {
        /// The client's number of the request.
        request: u64,
        /// What to publish.
        publish: PublishRequest<P>,
    },
    /// Track a presence, and tell by [`Session::handle_track_refused`](super::Session::handle_track_refused) where that fails.
    Track {
        /// The client's number for it.
        request: u64,
        /// Where.
        topic: Topic,
        /// Who.
        key: Key,
        /// What it says of itself.
        meta: P,
    },
    /// End a presence.
    Untrack {
        /// The client's number for it.
        request: u64,
    },
    /// The client may do something else from now on: tell what it is present in by
    /// [`Session::handle_tracks`](super::Session::handle_tracks), and end what that gives.
    ReviewTracks,
    /// Let the connection have the presences of a topic, and what changes about them.
    Watch(Topic),
    /// Let it have them no more.
    Unwatch(Topic),
    /// The connection is one that a browser's tabs share: it takes the place of those of earlier terms, and gives way to
    /// one of a later term ([`Session::handle_superseded`](super::Session::handle_superseded)).
    Lead(SharedBy, Term),
    /// Close the connection once what is queued is sent. The last output.
    Close(CloseReason),
}
