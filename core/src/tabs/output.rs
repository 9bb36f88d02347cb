//! What the machine of a tab asks of its host, and passes to the tab's own hub.

use alloc::string::String;

use super::message::Message;
use crate::client::ConnectionState;
use crate::protocol::{ClientFrame, ServerFrame};

/// A tab's role among the tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Not taking part: frozen, leaving, superseded or not asked to connect.
    Away,
    /// Another tab has the connection, or none does.
    Follower,
    /// This tab has the connection.
    Leader,
}

/// What a tab's host must do, or pass on.
#[derive(Debug, PartialEq, Eq)]
pub enum TabsOutput<P> {
    /// Request the lock, and report the outcome to `handle_granted` or `handle_lost` with this number.
    RequestLock {
        /// The number of the request.
        request: u32,
        /// Whether to steal it from its holder.
        steal: bool,
    },
    /// Abort that request if it is waiting, or release the lock if it was granted.
    ReleaseLock {
        /// The number of the request.
        request: u32,
    },
    /// Post this to the other tabs. Several in a row may be posted together, in their order.
    Post(Message<P>),
    /// Open a transport to the server, and report the outcome to `handle_uplink_opened` or `handle_uplink_closed`.
    OpenUplink {
        /// The number of the transport.
        link: u32,
    },
    /// Close that transport; whatever else arrives on it is ignored.
    CloseUplink {
        /// The number of the transport.
        link: u32,
    },
    /// Get a new token, and pass it to `handle_token` with this number.
    AskToken {
        /// The leader's number of the question.
        request: u32,
    },
    /// Send a frame over the open transport.
    SendUplink(ClientFrame<P>),
    /// Detach from any worker of an earlier generation, and attach to the worker of this one, starting it if necessary.
    /// Store the number for future tabs.
    SpawnWorker {
        /// The generation.
        generation: u64,
        /// The group name under which the server knows the tabs, for the worker's configuration.
        group: String,
    },
    /// This worker has been superseded by another, and may close.
    Retire,
    /// This tab's role has changed.
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
    /// For the tab's hub: there is a leader, so it can reconnect without waiting.
    Reachable,
    /// For the tab's hub: a frame arrived over its link.
    Frame {
        /// The hub's number of the link.
        link: u32,
        /// The frame.
        frame: ServerFrame<P>,
    },
    /// The state of the leader's connection has changed.
    State(ConnectionState),
}
