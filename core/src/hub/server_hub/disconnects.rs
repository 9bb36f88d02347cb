//! The end of all connections of a user, at this server and, by what servers tell each other, at all others.
//!
//! What is told may be lost, as when a server has no link to the others. So whoever was asked to end a user's connections
//! remembers it for a while, and tells it again once it is linked anew itself, or another server is, or its host says that it was lost. It says how long ago
//! that was: whoever has come back since, by a new token, stays.

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

/// For so long those are gathered that come back to be told, so that servers that are linked anew together are told once.
const GATHER: Duration = Duration::from_secs(1);

/// What a disconnect has besides its user when it is written down, at most.
const DISCONNECT_BYTES: usize = 64;

/// Who is connected, and whose connections were ended.
#[derive(Debug, Default)]
pub(super) struct Disconnects {
    /// The connections of everybody who has a name.
    connected: BTreeSet<(Arc<str>, ConnectionId)>,
    ended: BTreeMap<Arc<str>, Ended>,
    /// What is remembered, in the order in which it came. What was ended again since is remembered once more.
    remembered: VecDeque<(Instant, u64, Arc<str>)>,
    /// Whether other servers hear what this one says.
    is_linked: bool,
    /// Of whom others are to be told,
    untold: VecDeque<Arc<str>>,
    /// and when they are to be told of all once more.
    tell_again_at: Option<Instant>,
}

/// When somebody's connections were ended last.
#[derive(Clone, Copy, Debug)]
struct Ended {
    id: u64,
    at: Instant,
    /// Whether it is this server's to tell others.
    is_own: bool,
}

impl Disconnects {
    fn connections_of(&self, user: &Arc<str>) -> Vec<ConnectionId> {
        let (first, last) = (ConnectionId::FIRST, ConnectionId::LAST);
        let of_user = (Arc::clone(user), first)..=(Arc::clone(user), last);
        self.connected.range(of_user).map(|(_, id)| *id).collect()
    }

    /// Whether the connections of a user were ended after it was asked, at that time, who somebody is.
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

    /// Another server tells of a disconnect. Returns when it was, if that is news.
    fn hear(&mut self, now: Instant, disconnect: &Disconnect) -> Option<Instant> {
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

    /// Other servers hear what this one says from now on. What they could not hear before is said soon.
    pub(super) fn link(&mut self, now: Instant) {
        self.is_linked = true;
        self.untold.clear();
        self.tell_again(now);
    }

    /// Another server hears from now on what this one says.
    pub(super) fn tell_again(&mut self, now: Instant) {
        if self.is_linked && self.ended.values().any(|ended| ended.is_own) {
            self.tell_again_at.get_or_insert(now + GATHER);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.tell_again_at.is_some_and(|at| at <= now) {
            self.tell_again_at = None;
            self.forget(now);
            let own = self.ended.iter().filter(|(_, ended)| ended.is_own);
            self.untold = own.map(|(user, _)| Arc::clone(user)).collect();
        }
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.tell_again_at
    }

    /// Disconnects that are to be told, as many as `bytes_max` have room for, but at least one.
    fn take(&mut self, now: Instant, bytes_max: usize) -> Vec<Disconnect> {
        let mut told = Vec::new();
        let mut bytes = 0;
        while let Some(user) = self.untold.front() {
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
            self.untold.pop_front();
        }
        told
    }
}

impl<P: Payload + Clone> ServerHub<P> {
    /// The connections of a user are ended: those of sessions, each with a fatal `disconnected`, and those of guests. Whoever was asked
    /// who they are before, and is found out to be that user later, is not let in. Returns how many connections were ended here.
    ///
    /// `id` is another one each time. Where this server is the one to tell others (`tells`), [`ServerHub::poll_disconnects`] says what.
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
            self.disconnects.untold.push_front(Arc::clone(user));
        }
        let count = self.end_connections(now, user, now);
        self.drain_hub(now);
        count
    }

    /// Another server was asked to end the connections of users. What this one said itself may come, too.
    pub fn handle_disconnects_heard(&mut self, now: Instant, heard: Vec<Disconnect>) {
        self.settle();
        for disconnect in heard {
            if let Some(at) = self.disconnects.hear(now, &disconnect) {
                self.end_connections(now, &disconnect.user, at);
            }
        }
        self.drain_hub(now);
    }

    /// What to tell all other servers of users whose connections are ended; nothing where there is nothing to be told now. It may be lost,
    /// repeated or reordered.
    pub fn poll_disconnects(&mut self, now: Instant) -> Vec<Disconnect> {
        let bytes_max = self.config.presence.limits.message_bytes_max;
        self.disconnects.take(now, bytes_max)
    }

    /// Something of what [`ServerHub::poll_disconnects`] has told could not be said: it is told again soon.
    pub fn handle_disconnects_lost(&mut self, now: Instant) {
        self.disconnects.tell_again(now);
    }

    /// Ends those connections of a user that were known by then.
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

    /// Who a local connection is on behalf of: whose devices its durable subscriptions are, and with whose connections it ends. It was
    /// asked who that is at the time `asked`. To be said before it subscribes. Says whether it goes on: where the user's connections
    /// were ended since, it does not.
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

    /// Whether whoever a session's client was found out to be is let in.
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

    /// The same for a client that was known before it connected.
    pub(super) fn enter_opened(&mut self, now: Instant, id: ConnectionId, access: &Access) {
        let user = access.grant.as_ref().and_then(|grant| grant.user.as_ref());
        let has_ended = |asked| self.disconnects.has_ended_since(user, asked);
        if access.since.is_some_and(has_ended) {
            return self.with_session(now, id, Session::handle_disconnected);
        }
        self.enter_user(id);
    }

    /// Notes whose a connection is, if that is known.
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

    /// A connection is nobody's any more.
    pub(super) fn leave_user(&mut self, id: ConnectionId) {
        let connection = &self.connections[id.index as usize];
        if let Some(user) = connection.downlink.user().cloned() {
            self.disconnects.connected.remove(&(user, id));
        }
    }
}
