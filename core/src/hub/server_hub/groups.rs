//! Connections that browsers' tabs share: of each group's, only the one of the latest term stays.
//!
//! A tab that was frozen with its connection open can't close it, and nothing tells the server that nobody listens
//! there any more, until the next tab's hello does.

use alloc::collections::BTreeMap;

use super::{ConnectionId, ServerHub};
use crate::payload::Payload;
use crate::session::{Session, SharedBy};
use crate::tabs::Term;
use crate::time::Instant;

/// The connection that each group has.
#[derive(Debug, Default)]
pub(super) struct Groups {
    latest: BTreeMap<SharedBy, (ConnectionId, Term)>,
    shared_by: BTreeMap<ConnectionId, SharedBy>,
}

impl Groups {
    /// A connection is a group's from now on. Returns which one has to go: the one that the group had, or, where that is
    /// of a later term, this one. A tab that connects again in the same term has lost what it had.
    fn enter(&mut self, id: ConnectionId, shared_by: SharedBy, term: Term) -> Option<ConnectionId> {
        self.leave(id);
        let before = self.latest.get(&shared_by).copied();
        if before.is_some_and(|(_, latest)| latest > term) {
            return Some(id);
        }
        self.latest.insert(shared_by.clone(), (id, term));
        self.shared_by.insert(id, shared_by);
        let (before, _) = before?;
        self.shared_by.remove(&before);
        Some(before)
    }

    /// A connection is nobody's any more.
    pub(super) fn leave(&mut self, id: ConnectionId) {
        if let Some(shared_by) = self.shared_by.remove(&id) {
            self.latest.remove(&shared_by);
        }
    }
}

impl<P: Payload + Clone> ServerHub<P> {
    pub(super) fn lead(&mut self, now: Instant, id: ConnectionId, shared_by: SharedBy, term: Term) {
        if let Some(superseded) = self.groups.enter(id, shared_by, term)
            && let Some(session) = self.session(superseded)
        {
            Session::handle_superseded(session);
            self.drain_session(now, superseded);
        }
    }
}
