//! What a server knows about a connection.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::delta::Bases;
use crate::hub::SubscriptionId;
use crate::outbox::Outbox;
use crate::session::Session;
use crate::time::Instant;
use crate::topic::Pattern;

/// Identifies a connection of one server. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl ConnectionId {
    /// The id's index: dense, and reused after the connection has gone.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// The smallest id, for ranges.
    pub(super) const FIRST: Self = Self {
        index: 0,
        generation: 0,
    };

    /// The largest id, for ranges.
    pub(super) const LAST: Self = Self {
        index: u32::MAX,
        generation: u32::MAX,
    };

    #[cfg(test)]
    pub(crate) const fn of(index: u32) -> Self {
        let generation = 0;
        Self { index, generation }
    }
}

#[derive(Debug)]
pub(super) struct Connection<P> {
    pub(super) generation: u32,
    pub(super) outbox: Outbox<P>,
    pub(super) is_ready: bool,
    pub(super) downlink: Downlink<P>,
    /// The last publications that it was sent, if it may be sent deltas.
    pub(super) bases: Option<Box<Bases<P>>>,
}

#[derive(Debug)]
pub(super) enum Downlink<P> {
    Session(Box<Session<P>>),
    Local(Local),
}

impl<P> Downlink<P> {
    /// The user whose connection it is, if known.
    pub(super) fn user(&self) -> Option<&Arc<str>> {
        match self {
            Self::Session(session) => session.user(),
            Self::Local(local) => local.user.as_ref(),
        }
    }
}

/// A connection whose owner subscribes by calls.
#[derive(Debug, Default)]
pub(super) struct Local {
    pub(super) subscriptions: Vec<SubscriptionId>,
    /// Patterns of subscriptions that have been requested but not answered.
    pub(super) pending: Vec<Pattern>,
    /// Boxed, because few connections have one.
    pub(super) room: Option<Box<Room>>,
    /// The user on whose behalf it is, if known. The cursors of its durable subscriptions belong to that user.
    pub(super) user: Option<Arc<str>>,
    /// When the user's authentication was requested.
    pub(super) since: Instant,
    /// Whether it is on behalf of a client outside this process.
    pub(super) is_guest: bool,
    /// Whether its end has been emitted.
    pub(super) is_ending: bool,
}

/// A room that a local connection is in without having requested it.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) pattern: Pattern,
    pub(super) subscription: Option<SubscriptionId>,
}

impl Local {
    /// A subscription has started.
    pub(super) fn begin(&mut self, pattern: &Pattern, id: SubscriptionId) {
        self.subscriptions.push(id);
        if let Some(room) = &mut self.room
            && room.pattern == *pattern
            && room.subscription.is_none()
        {
            room.subscription = Some(id);
        }
    }

    /// Returns whether anything may still arrive that was requested. A room alone doesn't keep the connection open.
    pub(super) fn is_wanted(&self) -> bool {
        let room = self.room.as_deref();
        let mut pending = self.pending.iter();
        let mut subscriptions = self.subscriptions.iter();
        pending.any(|pattern| room.is_none_or(|room| room.pattern != *pattern))
            || subscriptions.any(|id| room.is_none_or(|room| room.subscription != Some(*id)))
    }
}
