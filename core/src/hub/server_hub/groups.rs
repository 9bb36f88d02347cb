//! Connections that browsers' tabs share: of each group's, only the one of the latest term stays.
//!
//! A tab that was frozen with its connection open can't close it, and nothing tells the server that nobody listens
//! there any more, until the next tab's hello does. That may reach another server: so servers tell each other.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use core::time::Duration;

use super::{ConnectionId, ServerHub};
use crate::payload::Payload;
use crate::session::{Claim, Session, SharedBy};
use crate::tabs::Term;
use crate::time::Instant;

/// For so long claims are gathered, so that servers to which a thousand browsers come back at once don't tell each other
/// of each by itself.
const GATHER: Duration = Duration::from_millis(50);

/// The most claims that are gathered. What is beyond them is not told: a connection that should go is then found silent.
const GATHERED_MAX: usize = 10_000;

/// What a claim has besides its texts when it is written down, roughly.
const CLAIM_BYTES: usize = 80;

/// The connection that each group has.
#[derive(Debug, Default)]
pub(super) struct Groups {
    latest: BTreeMap<SharedBy, (ConnectionId, Term)>,
    shared_by: BTreeMap<ConnectionId, SharedBy>,
    /// Whether other servers hear what this one says.
    is_linked: bool,
    /// What other servers are to be told,
    claims: VecDeque<Claim>,
    /// and when.
    tell_at: Option<Instant>,
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

    /// Other servers hear what this one says from now on. What they could not hear before is said now.
    pub(super) fn link(&mut self, now: Instant) {
        self.is_linked = true;
        self.claims.clear();
        let claim = |(shared_by, (_, term)): (&SharedBy, &(ConnectionId, Term))| Claim {
            shared_by: shared_by.clone(),
            term: *term,
        };
        let claims: Vec<Claim> = self.latest.iter().map(claim).collect();
        for claim in claims {
            self.tell(now, claim);
        }
    }

    fn tell(&mut self, now: Instant, claim: Claim) {
        if self.is_linked && self.claims.len() < GATHERED_MAX {
            self.claims.push_back(claim);
            self.tell_at.get_or_insert(now + GATHER);
        }
    }

    /// A connection of another server claims to be a group's only one. Returns which one of this server's has to go. Where
    /// that one's term is later, the other server is told of it. Of two in one term nobody here knows which came first.
    fn hear(&mut self, now: Instant, claim: Claim) -> Option<ConnectionId> {
        let (id, term) = *self.latest.get(&claim.shared_by)?;
        if term > claim.term {
            self.tell(now, Claim { term, ..claim });
        }
        if term >= claim.term {
            return None;
        }
        self.leave(id);
        Some(id)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.tell_at.is_some_and(|at| at <= now) {
            self.tell_at = None;
        }
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.tell_at
    }

    /// Claims that are due, as many as `bytes_max` have room for, but at least one.
    fn take(&mut self, bytes_max: usize) -> Vec<Claim> {
        if self.tell_at.is_some() {
            return Vec::new();
        }
        let mut bytes = 0;
        let fits = |claim: &&Claim| {
            bytes += CLAIM_BYTES + claim.text_bytes();
            bytes <= bytes_max
        };
        let count = self.claims.iter().take_while(fits).count().max(1);
        self.claims.drain(..count.min(self.claims.len())).collect()
    }
}

impl<P: Payload + Clone> ServerHub<P> {
    pub(super) fn lead(&mut self, now: Instant, id: ConnectionId, shared_by: SharedBy, term: Term) {
        let claim = Claim {
            shared_by: shared_by.clone(),
            term,
        };
        let superseded = self.groups.enter(id, shared_by, term);
        if superseded != Some(id) {
            self.groups.tell(now, claim);
        }
        self.supersede(now, superseded);
    }

    fn supersede(&mut self, now: Instant, superseded: Option<ConnectionId>) {
        if let Some(id) = superseded
            && let Some(session) = self.session(id)
        {
            Session::handle_superseded(session);
            self.drain_session(now, id);
        }
    }

    /// Another server has connections that tabs share. What this one said itself may come, too.
    pub fn handle_claims(&mut self, now: Instant, claims: Vec<Claim>) {
        self.settle();
        for claim in claims {
            let superseded = self.groups.hear(now, claim);
            self.supersede(now, superseded);
        }
        self.drain_hub(now);
    }

    /// What to tell all other servers of connections that tabs share; nothing where there is nothing to be told now. It may be lost, repeated
    /// or reordered.
    pub fn poll_claims(&mut self) -> Vec<Claim> {
        self.groups
            .take(self.config.presence.limits.message_bytes_max)
    }
}
