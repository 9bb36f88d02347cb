//! What a server knows of a connection.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::delta::Bases;
use crate::hub::SubscriptionId;
use crate::outbox::Outbox;
use crate::session::Session;
use crate::topic::Pattern;

/// Names a connection of one server. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl ConnectionId {
    /// The id's index: dense, and used again after the connection has gone.
    pub const fn index(self) -> u32 {
        self.index
    }
}

#[derive(Debug)]
pub(super) struct Connection<P> {
    pub(super) generation: u32,
    pub(super) outbox: Outbox<P>,
    pub(super) is_ready: bool,
    pub(super) downlink: Downlink<P>,
    /// What it was sent last, where it may be sent deltas.
    pub(super) bases: Option<Box<Bases<P>>>,
}

#[derive(Debug)]
pub(super) enum Downlink<P> {
    Session(Box<Session<P>>),
    Local {
        subscriptions: Vec<SubscriptionId>,
        /// Asked for, and not answered yet.
        pending: Vec<Pattern>,
        /// Whether it is on behalf of a client elsewhere.
        is_guest: bool,
        /// Whether its end is among the outputs.
        is_ending: bool,
    },
}
