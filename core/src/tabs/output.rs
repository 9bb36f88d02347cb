//! What the machine of a tab asks of its host, and of the tab's own hub.

use alloc::string::String;

use super::message::Message;
use crate::client::ConnectionState;
use crate::protocol::{ClientFrame, ServerFrame};

/// What a tab is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Not taking part: asleep, leaving, superseded or not asked to connect.
    Away,
    /// Somebody else has the connection, or nobody.
    Follower,
    /// This one has the connection.
    Leader,
}

/// What must be done for a tab to take part.
#[derive(Debug, PartialEq, Eq)]
pub enum TabsOutput<P> {
    /// Request the lock, and tell by `handle_granted` or `handle_lost` with this number.
    RequestLock {
        /// The number of the request.
        request: u32,
        /// Whether to take it from its holder.
        steal: bool,
    },
    /// Abort that request if it waits, let go of the lock if it was granted.
    ReleaseLock {
        /// The number of the request.
        request: u32,
    },
    /// Say this to the other tabs. Several in a row may leave as one, in their order.
    Post(Message<P>),
    /// Open a transport to the server, and tell by `handle_uplink_opened` or `handle_uplink_closed`.
    OpenUplink {
        /// The number of the transport.
        link: u32,
    },
    /// Close that transport; nothing more of it is wanted.
    CloseUplink {
        /// The number of the transport.
        link: u32,
    },
    /// Come by a new token, and tell by `handle_token` with this number.
    AskToken {
        /// The leader's number of the question.
        request: u32,
    },
    /// Send a frame over the open transport.
    SendUplink(ClientFrame<P>),
    /// Let go of any worker of an earlier generation, and attach to the one of this (which starts it, where it
    /// is not running). Remember the number for tabs to come.
    SpawnWorker {
        /// The generation.
        generation: u64,
        /// What the server is to know the tabs by: for the worker's configuration.
        group: String,
    },
    /// This worker is superseded by another: it may close.
    Retire,
    /// What this tab is to the others has changed.
    Role(Role),
    /// For the tab's hub: its link is open.
    Opened {
        /// The hub's number of the link.
        link: u32,
    },
    /// For the tab's hub: its link is closed.
    Closed {
        /// The hub's number of the link.
        link: u32,
    },
    /// For the tab's hub: somebody leads, so connecting again need not wait.
    Reachable,
    /// For the tab's hub: a frame came over its link.
    Frame {
        /// The hub's number of the link.
        link: u32,
        /// The frame.
        frame: ServerFrame<P>,
    },
    /// The state of the leader's connection has changed.
    State(ConnectionState),
}
