//! What a server knows of a connection.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::delta::Bases;
use crate::hub::SubscriptionId;
use crate::outbox::Outbox;
use crate::session::Session;
use crate::time::Instant;
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

    /// None comes before it,
    pub(super) const FIRST: Self = Self {
        index: 0,
        generation: 0,
    };

    /// and none after this one.
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
    /// What it was sent last, where it may be sent deltas.
    pub(super) bases: Option<Box<Bases<P>>>,
}

#[derive(Debug)]
pub(super) enum Downlink<P> {
    Session(Box<Session<P>>),
    Local(Local),
}

impl<P> Downlink<P> {
    /// Who it leads to, where that is known.
    pub(super) fn user(&self) -> Option<&Arc<str>> {
        match self {
            Self::Session(session) => session.user(),
            Self::Local(local) => local.user.as_ref(),
        }
    }
}

/// What subscribes by calls.
#[derive(Debug, Default)]
pub(super) struct Local {
    pub(super) subscriptions: Vec<SubscriptionId>,
    /// Asked for, and not answered yet.
    pub(super) pending: Vec<Pattern>,
    /// Boxed, because few have one.
    pub(super) room: Option<Box<Room>>,
    /// Who it is on behalf of, where that is known: the cursors of its durable subscriptions are theirs.
    pub(super) user: Option<Arc<str>>,
    /// When it was asked who that is.
    pub(super) since: Instant,
    /// Whether it is on behalf of a client elsewhere.
    pub(super) is_guest: bool,
    /// Whether its end is among the outputs.
    pub(super) is_ending: bool,
}

/// What a local connection is in beside what it asks for.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) pattern: Pattern,
    pub(super) subscription: Option<SubscriptionId>,
}

impl Local {
    /// A subscription stands.
    pub(super) fn begin(&mut self, pattern: &Pattern, id: SubscriptionId) {
        self.subscriptions.push(id);
        if let Some(room) = &mut self.room
            && room.pattern == *pattern
            && room.subscription.is_none()
        {
            room.subscription = Some(id);
        }
    }

    /// Whether there may be more of what it asked for. Its room alone keeps nobody.
    pub(super) fn is_wanted(&self) -> bool {
        let room = self.room.as_deref();
        let mut pending = self.pending.iter();
        let mut subscriptions = self.subscriptions.iter();
        pending.any(|pattern| room.is_none_or(|room| room.pattern != *pattern))
            || subscriptions.any(|id| room.is_none_or(|room| room.subscription != Some(*id)))
    }
}
