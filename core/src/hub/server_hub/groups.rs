//! Connections shared by a browser's tabs: of each group, only the connection with the latest term stays.
//!
//! A tab that was frozen with its connection open can't close it, and nothing tells the server that nobody listens on
//! it any more until the next tab's `hello`. That may reach another server, so servers tell each other.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use core::time::Duration;

use super::{ConnectionId, ServerHub};
use crate::payload::Payload;
use crate::session::{Claim, Session, SharedBy};
use crate::tabs::Term;
use crate::time::Instant;

/// How long claims are gathered, so that when a thousand browsers reconnect at once, servers don't send one message for
/// each.
const GATHER: Duration = Duration::from_millis(50);

/// The most claims that are gathered. Those beyond are not announced; a superseded connection then ends when it is
/// found silent.
const GATHERED_MAX: usize = 10_000;

/// About how many bytes a claim takes when encoded, in addition to its texts.
const CLAIM_BYTES: usize = 80;

/// The connection of each group.
#[derive(Debug, Default)]
pub(super) struct Groups {
    latest: BTreeMap<SharedBy, (ConnectionId, Term)>,
    shared_by: BTreeMap<ConnectionId, SharedBy>,
    /// Whether the link to the other servers is up.
    is_linked: bool,
    /// Claims to announce to the other servers.
    claims: VecDeque<Claim>,
    /// When to announce them.
    announce_at: Option<Instant>,
}

impl Groups {
    /// Makes a connection its group's. Returns the one that has to be closed: the group's previous one, or this one if
    /// the previous has a later term. In an equal term, the new one wins: the tab reconnected because it lost the
    /// previous one.
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

    /// A connection no longer belongs to its group.
    pub(super) fn leave(&mut self, id: ConnectionId) {
        if let Some(shared_by) = self.shared_by.remove(&id) {
            self.latest.remove(&shared_by);
        }
    }

    /// The link to the other servers is up: announces what they could not hear before.
    pub(super) fn link(&mut self, now: Instant) {
        self.is_linked = true;
        self.claims.clear();
        let claim = |(shared_by, (_, term)): (&SharedBy, &(ConnectionId, Term))| Claim {
            shared_by: shared_by.clone(),
            term: *term,
        };
        let claims: Vec<Claim> = self.latest.iter().map(claim).collect();
        for claim in claims {
            self.announce(now, claim);
        }
    }

    fn announce(&mut self, now: Instant, claim: Claim) {
        if self.is_linked && self.claims.len() < GATHERED_MAX {
            self.claims.push_back(claim);
            self.announce_at.get_or_insert(now + GATHER);
        }
    }

    /// Another server claims a group for one of its connections. Returns the connection of this server that has to be
    /// closed. If that one's term is later, the claim is answered with it instead. If the terms are equal, neither
    /// server knows which came first, and both stay.
    fn handle_announced(&mut self, now: Instant, claim: Claim) -> Option<ConnectionId> {
        let (id, term) = *self.latest.get(&claim.shared_by)?;
        if term > claim.term {
            self.announce(now, Claim { term, ..claim });
        }
        if term >= claim.term {
            return None;
        }
        self.leave(id);
        Some(id)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.announce_at.is_some_and(|at| at <= now) {
            self.announce_at = None;
        }
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.announce_at
    }

    /// Takes the claims that are due, as many as fit into `bytes_max`, but at least one.
    fn take(&mut self, bytes_max: usize) -> Vec<Claim> {
        if self.announce_at.is_some() {
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
            self.groups.announce(now, claim);
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

    /// Another server announces connections shared by tabs. This server's own announcements may come back here, too.
    pub fn handle_claims(&mut self, now: Instant, claims: Vec<Claim>) {
        self.settle();
        for claim in claims {
            let superseded = self.groups.handle_announced(now, claim);
            self.supersede(now, superseded);
        }
        self.drain_hub(now);
    }

    /// The claims to announce to all other servers; empty if there are none at the moment. An announcement may be lost,
    /// repeated or reordered.
    pub fn poll_claims(&mut self) -> Vec<Claim> {
        self.groups
            .take(self.config.presence.limits.message_bytes_max)
    }
}
