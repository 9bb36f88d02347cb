//! The commands that other threads send to a shard, and how they wake it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant as HostInstant};

use bytes::Bytes;
use mio::Waker;
use tidegate_core::durable::{CursorAnswer, CursorCall};
use tidegate_core::flow::{Flow, FlowError};
use tidegate_core::hub::{ConnectionId, HubCounts, PublishError, SubscriptionId, UplinkCounts};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::{Position, Publication};
use tidegate_core::session::Claim;
use tidegate_core::topic::Topic;
use tidegate_core::uplink::{CallId, Found, Lookup, LookupError, UplinkAnswer};
use tokio::sync::oneshot;

use super::bell::Bell;
use super::disconnects::DisconnectCommand;
use super::guest::Guest;
use super::local::Opening;
use super::presence::PresenceCommand;
use super::progress::ProgressCommand;
use super::totals::Totals;
use super::transport::Transport;
use crate::auth::{AuthError, Identity};
use crate::event_stream::Adoption;
use crate::json::Json;

/// The outcome of a lookup.
pub(crate) type LookedUp = Result<Found<Json>, LookupError>;

/// A request to the shard.
pub(crate) enum Command {
    Publish {
        request: PublishRequest<Json>,
        /// When it was accepted from the publisher.
        accepted: HostInstant,
        reply: oneshot::Sender<Result<Position, PublishError>>,
    },
    /// A WebSocket whose handshake is done, with what its client sent since.
    Connect {
        transport: Transport,
        received: Bytes,
        guest: Guest,
    },
    /// The answer to a question of who a client is.
    Authenticated {
        id: ConnectionId,
        /// Which question about the connection it answers.
        question: u64,
        known: Result<Identity, AuthError>,
    },
    OpenLocal(Opening),
    /// The shard is to write a stream to its socket that was read within the process until now. The connection stays
    /// the same one.
    Adopt(Box<Adoption>),
    /// The caller that opened the local connection with this token waits no longer.
    CancelOpening(u64),
    /// The reader of a local queue that was full has made room.
    ResumeLocal(ConnectionId),
    CloseLocal(ConnectionId),
    Flow {
        subscription: SubscriptionId,
        flow: Flow,
        reply: oneshot::Sender<Result<(), FlowError>>,
    },
    LookUp {
        lookup: Lookup,
        reply: oneshot::Sender<LookedUp>,
    },
    /// About cursors, where topics live in this shard.
    Cursors {
        calls: Vec<CursorCall>,
        reply: oneshot::Sender<Vec<CursorAnswer>>,
    },
    /// The backend announced a publication.
    Announced(Arc<Publication<Json>>),
    /// Announcements of the backend were dropped.
    Missed,
    /// The link to the backend is lost.
    Lost,
    /// The answer to a call to the backend.
    Answered(CallId, UplinkAnswer<Json>),
    Presence(PresenceCommand),
    Progress(ProgressCommand),
    Disconnect(DisconnectCommand),
    /// Another server or shard has connections that tabs share. The message had this number of bytes.
    Claims {
        claims: Vec<Claim>,
        bytes: usize,
    },
    Snapshot {
        reply: oneshot::Sender<Snapshot>,
    },
    Survey {
        most: usize,
        reply: oneshot::Sender<Vec<TopicSeen>>,
    },
    Drain,
    Stop,
}

/// A topic, as a shard sees it.
#[derive(Clone, Debug)]
pub(crate) struct TopicSeen {
    pub(crate) topic: Topic,
    pub(crate) position: Position,
    pub(crate) subscribers: usize,
    /// By how many publications the slowest of them is behind.
    pub(crate) lag: u64,
    /// The time since something was last published to it or requested of it.
    pub(crate) idle: Duration,
    pub(crate) latest: Option<Arc<Publication<Json>>>,
}

/// How much a shard holds.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) counts: HubCounts,
    pub(crate) uplink: UplinkCounts,
    pub(crate) connections: usize,
    /// Whether some of these come from outside this process.
    pub(crate) has_clients: bool,
    pub(crate) totals: Totals,
}

/// The sender of a shard's commands. Clones go to the same shard.
#[derive(Clone)]
pub(crate) struct CommandSender {
    sender: Sender<Command>,
    wake: Arc<Wake>,
}

struct Wake {
    waker: Waker,
    bell: Bell,
    /// Connections that the shard has, or is about to get.
    connections: AtomicUsize,
}

/// The shard has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hub has been stopped")]
pub struct Stopped;

impl CommandSender {
    pub(super) fn new(waker: Waker) -> (Self, Receiver<Command>) {
        let (sender, receiver) = mpsc::channel();
        let wake = Arc::new(Wake {
            waker,
            bell: Bell::new(),
            connections: AtomicUsize::new(0),
        });
        (Self { sender, wake }, receiver)
    }

    /// Hands a command to the shard.
    ///
    /// # Errors
    /// When the shard has stopped.
    pub(crate) fn send(&self, command: Command) -> Result<(), Stopped> {
        self.wake.bell.expect_one();
        self.sender.send(command).map_err(|_| Stopped)?;
        if self.wake.bell.must_ring() {
            self.wake.waker.wake().map_err(|_| Stopped)?;
        }
        Ok(())
    }

    /// Hands the shard a command that brings it a connection.
    ///
    /// # Errors
    /// When the shard has stopped.
    pub(crate) fn send_connection(&self, command: Command) -> Result<(), Stopped> {
        self.wake.connections.fetch_add(1, Ordering::Relaxed);
        self.send(command)
    }

    /// How many connections the shard has, or is about to get.
    pub(crate) fn connections(&self) -> usize {
        self.wake.connections.load(Ordering::Relaxed)
    }

    /// A connection of the shard has gone.
    pub(super) fn count_closed(&self) {
        self.wake.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// The shard is awake, and will find the next command by itself.
    pub(super) fn announce_waking(&self) {
        self.wake.bell.announce_waking();
    }

    pub(super) fn count_taken(&self) {
        self.wake.bell.count_taken();
    }

    /// Returns whether no command is waiting. If none is, the next one wakes the shard.
    pub(super) fn may_sleep(&self) -> bool {
        self.wake.bell.may_sleep()
    }
}
