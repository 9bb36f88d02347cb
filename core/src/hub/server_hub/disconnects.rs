//! Ending all connections of a user: at this server and, through messages between servers, at all others.
//!
//! A message may be lost, for instance while a server has no link to the others. So the server that was asked remembers
//! the disconnect for a while, and announces it again when it is linked anew, when another server is, or when its host
//! reports a loss. A message says how long ago the disconnect was, so users who have signed in again since stay
//! connected.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use core::time::Duration;

use super::{Connection, ConnectionId, Downlink, ServerHub, ServerOutput};
use crate::access::Grant;
use crate::hub::Disconnect;
use crate::limits::{DISCONNECTS_KEPT_FOR, DISCONNECTS_MAX};
use crate::payload::Payload;
use crate::protocol::WireError;
use crate::session::{Access, CloseReason, Session, disconnected};
use crate::time::Instant;

/// How long to wait before announcing again, so that servers that are linked anew at the same time are told together.
const GATHER: Duration = Duration::from_secs(1);

/// The most bytes that a disconnect takes when encoded, in addition to its user.
const DISCONNECT_BYTES: usize = 64;

/// Who is connected, and which users' connections were ended.
#[derive(Debug, Default)]
pub(super) struct Disconnects {
    /// The connections of each user whose name is known.
    connected: BTreeSet<(Arc<str>, ConnectionId)>,
    ended: BTreeMap<Arc<str>, Ended>,
    /// What is remembered, oldest first. A user whose connections were ended again since has another, later entry.
    remembered: VecDeque<(Instant, u64, Arc<str>)>,
    /// Whether the link to the other servers is up.
    is_linked: bool,
    /// Users whose disconnects have to be announced now.
    unannounced: VecDeque<Arc<str>>,
    /// When to announce all of this server's disconnects again.
    announce_again_at: Option<Instant>,
}

/// The last time that a user's connections were ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    id: u64,
    at: Instant,
    /// Whether it is up to this server to tell the others.
    is_own: bool,
}

impl Disconnects {
    fn connections_of(&self, user: &Arc<str>) -> Vec<ConnectionId> {
        let (first, last) = (ConnectionId::FIRST, ConnectionId::LAST);
        let of_user = (Arc::clone(user), first)..=(Arc::clone(user), last);
        self.connected.range(of_user).map(|(_, id)| *id).collect()
    }

    /// Returns whether the connections of a user were ended after `asked`, the time at which a client's authentication
    /// was requested.
    fn has_ended_since(&self, user: Option<&Arc<str>>, asked: Instant) -> bool {
        let ended = user.and_then(|user| self.ended.get(user));
        ended.is_some_and(|ended| asked < ended.at)
    }

    fn remember(&mut self, now: Instant, user: Arc<str>, ended: Ended) {
        let order = (now, ended.id, Arc::clone(&user));
        self.remembered.push_back(order);
        self.ended.insert(user, ended);
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        while let Some((since, id, user)) = self.remembered.front()
            && (self.remembered.len() > DISCONNECTS_MAX || now - *since >= DISCONNECTS_KEPT_FOR)
        {
            if self.ended.get(user).is_some_and(|ended| ended.id == *id) {
                self.ended.remove(user);
            }
            self.remembered.pop_front();
        }
    }

    /// Another server announces a disconnect. Returns when it was, if it is news.
    fn handle_announced(&mut self, now: Instant, disconnect: &Disconnect) -> Option<Instant> {
        let age = u64::try_from(disconnect.age.as_micros()).unwrap_or(u64::MAX);
        let at = Instant::from_micros(now.as_micros().saturating_sub(age));
        let known = self.ended.get(&disconnect.user);
        if known.is_some_and(|known| known.id == disconnect.id || known.at >= at) {
            return None;
        }
        let ended = Ended {
            id: disconnect.id,
            at,
            is_own: false,
        };
        self.remember(now, Arc::clone(&disconnect.user), ended);
        Some(at)
    }

    /// The link to the other servers is up: announces soon what they could not hear before.
    pub(super) fn link(&mut self, now: Instant) {
        self.is_linked = true;
        self.unannounced.clear();
        self.announce_again(now);
    }

    /// Another server has joined and needs to hear what was announced before.
    pub(super) fn announce_again(&mut self, now: Instant) {
        if self.is_linked && self.ended.values().any(|ended| ended.is_own) {
            self.announce_again_at.get_or_insert(now + GATHER);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.announce_again_at.is_some_and(|at| at <= now) {
            self.announce_again_at = None;
            self.forget(now);
            let own = self.ended.iter().filter(|(_, ended)| ended.is_own);
            self.unannounced = own.map(|(user, _)| Arc::clone(user)).collect();
        }
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.announce_again_at
    }

    /// Takes disconnects to announce, as many as fit into `bytes_max`, but at least one.
    fn take(&mut self, now: Instant, bytes_max: usize) -> Vec<Disconnect> {
        let mut told = Vec::new();
        let mut bytes = 0;
        while let Some(user) = self.unannounced.front() {
            if let Some(Ended { id, at, .. }) = self.ended.get(user) {
                let disconnect = Disconnect {
                    id: *id,
                    user: Arc::clone(user),
                    age: now - *at,
                };
                bytes += DISCONNECT_BYTES + disconnect.text_bytes();
                if bytes > bytes_max && !told.is_empty() {
                    break;
                }
                told.push(disconnect);
            }
            self.unannounced.pop_front();
        }
        told
    }
}

impl<P: Payload + Clone> ServerHub<P> {
    /// Ends the connections of a user: those of sessions, each with a fatal `disconnected`, and those of guests. A
    /// client whose authentication was requested before this, and which turns out later to be that user, is refused.
    /// Returns how many connections were ended here.
    ///
    /// `id` must be different each time. If it is up to this server to tell the others (`tells`),
    /// [`ServerHub::poll_disconnects`] returns what to tell them.
    pub fn handle_disconnect(
        &mut self,
        now: Instant,
        id: u64,
        user: &Arc<str>,
        tells: bool,
    ) -> usize {
        self.settle();
        let ended = Ended {
            id,
            at: now,
            is_own: tells,
        };
        self.disconnects.remember(now, Arc::clone(user), ended);
        if tells && self.disconnects.is_linked {
            self.disconnects.unannounced.push_front(Arc::clone(user));
        }
        let count = self.end_connections(now, user, now);
        self.drain_hub(now);
        count
    }

    /// Another server was asked to end the connections of users. This server's own announcements may come back here,
    /// too.
    pub fn handle_disconnects_heard(&mut self, now: Instant, heard: Vec<Disconnect>) {
        self.settle();
        for disconnect in heard {
            if let Some(at) = self.disconnects.handle_announced(now, &disconnect) {
                self.end_connections(now, &disconnect.user, at);
            }
        }
        self.drain_hub(now);
    }

    /// The disconnects to announce to all other servers; empty if there are none at the moment. An announcement may be
    /// lost, repeated or reordered.
    pub fn poll_disconnects(&mut self, now: Instant) -> Vec<Disconnect> {
        let bytes_max = self.config.presence.limits.message_bytes_max;
        self.disconnects.take(now, bytes_max)
    }

    /// An announcement from [`ServerHub::poll_disconnects`] could not be sent: it is repeated soon.
    pub fn handle_disconnects_lost(&mut self, now: Instant) {
        self.disconnects.announce_again(now);
    }

    /// Ends those connections of a user whose authentication was requested by the time `at`.
    fn end_connections(&mut self, now: Instant, user: &Arc<str>, at: Instant) -> usize {
        let all = self.disconnects.connections_of(user).into_iter();
        all.filter(|id| self.end_connection(now, *id, at)).count()
    }

    fn end_connection(&mut self, now: Instant, id: ConnectionId, at: Instant) -> bool {
        match &mut self.connections[id.index as usize].downlink {
            Downlink::Session(session) if session.since() <= at => {
                session.handle_disconnected();
                self.drain_session(now, id);
                true
            }
            Downlink::Local(local) if local.since <= at && !local.is_ending => {
                local.is_ending = true;
                self.leave_user(id);
                self.unsubscribe_all(id);
                self.output
                    .push_back(ServerOutput::Close(id, CloseReason::Disconnected));
                true
            }
            Downlink::Session(_) | Downlink::Local(_) => false,
        }
    }

    /// Sets the user on whose behalf a local connection is: the owner of its durable subscriptions, with whose
    /// connections it ends. `asked` is when that user's authentication was requested. Must be called before it
    /// subscribes. Returns whether the connection may go on, which it may not if the user's connections were ended
    /// since `asked`.
    pub fn handle_user(
        &mut self,
        id: ConnectionId,
        user: Option<Arc<str>>,
        asked: Instant,
    ) -> bool {
        let Some(local) = self.local(id) else {
            return false;
        };
        local.since = asked;
        local.user.clone_from(&user);
        if self.disconnects.has_ended_since(user.as_ref(), asked) {
            if let Some(local) = self.local(id) {
                local.is_ending = true;
            }
            self.output
                .push_back(ServerOutput::Close(id, CloseReason::Disconnected));
            return false;
        }
        self.enter_user(id);
        true
    }

    /// Refuses a client if the connections of the user it turned out to be were ended since it connected.
    pub(super) fn admit_user(
        &mut self,
        id: ConnectionId,
        grant: Arc<Grant>,
    ) -> Result<Arc<Grant>, WireError> {
        if let Some(Connection {
            downlink: Downlink::Session(session),
            ..
        }) = self.find(id)
            && (self.disconnects).has_ended_since(grant.user.as_ref(), session.since())
        {
            return Err(disconnected());
        }
        Ok(grant)
    }

    /// The same for a client that was authenticated before it connected.
    pub(super) fn enter_opened(&mut self, now: Instant, id: ConnectionId, access: &Access) {
        let user = access.grant.as_ref().and_then(|grant| grant.user.as_ref());
        let has_ended = |asked| self.disconnects.has_ended_since(user, asked);
        if access.since.is_some_and(has_ended) {
            return self.with_session(now, id, Session::handle_disconnected);
        }
        self.enter_user(id);
    }

    /// Records a connection as its user's, if the user is known.
    pub(super) fn enter_user(&mut self, id: ConnectionId) {
        let Some(connection) = self.find(id) else {
            return;
        };
        let is_over =
            matches!(&connection.downlink, Downlink::Session(session) if session.is_closed());
        if let Some(user) = connection.downlink.user().cloned()
            && !is_over
        {
            self.disconnects.connected.insert((user, id));
        }
    }

    /// Removes a connection from those of its user.
    pub(super) fn leave_user(&mut self, id: ConnectionId) {
        let connection = &self.connections[id.index as usize];
        if let Some(user) = connection.downlink.user().cloned() {
            self.disconnects.connected.remove(&(user, id));
        }
    }
}
