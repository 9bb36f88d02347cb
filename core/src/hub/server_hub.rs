//! A hub with the sessions of its connections: what a server drives.

mod access;
mod config;
mod connection;
mod delivery;
mod deltas;
mod disconnects;
mod drain;
mod durable;
mod groups;
mod lag;
mod leaving;
mod local;
mod lookup;
mod parked;
mod presence;
mod relief;
mod spread;
mod upstream;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;

use slab::Slab;

use super::{Hub, HubCounts, PublishError};
use crate::delta::Deltas;
use crate::outbox::{Outbox, Tally};
use crate::payload::Payload;
use crate::protocol::{ClientFrame, PublishRequest, ServerFrame, WireError};
use crate::publication::{Position, Publication};
use crate::random::Random;
use crate::session::{CloseReason, Session};
use crate::time::Instant;
use crate::timer::Timers;
use crate::topic::Topic;
use crate::uplink::UplinkConfig;
use access::Authentication;
use connection::{Connection, Downlink};
use delivery::DeliveryProgress;
use disconnects::Disconnects;
use durable::Durables;
use groups::Groups;
use presence::Presences;
use upstream::Upstream;

pub use config::ServerConfig;
pub use connection::ConnectionId;
pub use relief::Backlog;
pub use spread::Recipient;
pub use upstream::ServerAnswer;

/// What a server's host must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerOutput {
    /// Frames are waiting for a connection: take them with [`ServerHub::poll_frame`] as fast as its transport accepts
    /// them. Emitted once, and again only after `poll_frame` has returned `None`.
    Ready(ConnectionId),
    /// Send what is waiting, then close the connection and report it with [`ServerHub::handle_closed`].
    Close(ConnectionId, CloseReason),
}

/// A hub with the sessions of its connections: the core of a server.
///
/// A connection either belongs to a client, with a session that speaks the protocol ([`ServerHub::handle_open`],
/// [`ServerHub::handle_frame`]), or is local, and its owner subscribes by calls ([`ServerHub::handle_open_local`],
/// [`ServerHub::handle_subscribe`]): for example, an in-process stream or a Server-Sent Events response.
#[derive(Debug)]
pub struct ServerHub<P> {
    config: ServerConfig,
    hub: Hub<P>,
    connections: Slab<Connection<P>>,
    timers: Timers,
    output: VecDeque<ServerOutput>,
    authentication: Authentication,
    generation: u32,
    is_draining: bool,
    random: Random,
    /// The bytes that wait for slow connections.
    tally: Tally,
    /// Above this number of waiting bytes, the hub has to make room.
    relieve_above: usize,
    /// How many resets were sent.
    resets: u64,
    /// How often a client was granted a slower pace than it requested.
    slowed: u64,
    /// The link to the backend, if topics live there.
    upstream: Option<Box<Upstream<P>>>,
    presences: Presences<P>,
    groups: Groups,
    disconnects: Disconnects,
    deltas: Deltas<P>,
    durables: Durables,
    /// When something was published that has not been put into outboxes yet.
    owing_since: Option<Instant>,
    /// How far it has been handed over, once that has begun.
    delivery: Option<DeliveryProgress>,
    /// How many recipients got a publication directly since other work was last done.
    spread: usize,
}

impl<P: Payload + Clone> ServerHub<P> {
    /// A server without connections.
    pub fn new(config: ServerConfig) -> Self {
        Self {
            hub: Hub::new(config.hub.clone()),
            presences: Presences::new(config.presence),
            durables: Durables::new(config.hub.seed, config.cursors),
            connections: Slab::new(),
            timers: Timers::new(),
            output: VecDeque::new(),
            authentication: Authentication::new(),
            generation: 0,
            is_draining: false,
            // Rotated, because the hub draws epochs from the seed itself.
            tally: Tally::default(),
            relieve_above: config.waiting_bytes_max,
            resets: 0,
            slowed: 0,
            random: Random::new(config.hub.seed.rotate_left(32)),
            upstream: None,
            groups: Groups::default(),
            disconnects: Disconnects::default(),
            deltas: Deltas::new(),
            owing_since: None,
            delivery: None,
            spread: 0,
            config,
        }
    }

    /// A server without connections whose topics live in a backend.
    ///
    /// Its host makes the calls that [`ServerHub::poll_call`] returns, and reports to [`ServerHub::handle_answer`],
    /// [`ServerHub::handle_heard`], [`ServerHub::handle_missed`] and [`ServerHub::handle_lost`].
    pub fn with_uplink(config: ServerConfig, uplink: UplinkConfig) -> Self {
        let hub = Hub::new_copy(config.hub.clone());
        Self {
            hub,
            upstream: Some(Box::new(Upstream::new(uplink))),
            ..Self::new(config)
        }
    }

    fn add(&mut self, downlink: Downlink<P>, outbox_bytes_max: usize) -> ConnectionId {
        self.generation = self.generation.wrapping_add(1);
        let index = self.connections.insert(Connection {
            generation: self.generation,
            outbox: Outbox::new(outbox_bytes_max),
            is_ready: false,
            downlink,
            bases: None,
        });
        #[expect(
            clippy::cast_possible_truncation,
            reason = "sockets run out long before 2^32"
        )]
        let index = index as u32;
        ConnectionId {
            index,
            generation: self.generation,
        }
    }

    /// A client sent a frame.
    pub fn handle_frame(&mut self, now: Instant, id: ConnectionId, frame: ClientFrame<P>) {
        let is_start = matches!(frame, ClientFrame::Subscribe(_) | ClientFrame::Watch { .. });
        if matches!(frame, ClientFrame::Publish { .. }) {
            return self.publish_with_session(now, id, frame);
        }
        self.settle();
        if is_start && self.find(id).is_some() {
            self.connections[id.index as usize].outbox.begin_start();
        }
        self.with_session(now, id, |session| session.handle_frame(now, frame));
        if is_start && self.find(id).is_some() {
            self.end_start(now, id);
        }
    }

    /// A client sent something that is not a valid frame.
    pub fn handle_bad_frame(&mut self, now: Instant, id: ConnectionId, error: WireError) {
        self.with_session(now, id, |session| session.handle_bad_frame(now, error));
    }

    /// A connection has closed: its subscriptions end, and frames waiting for it are dropped.
    pub fn handle_closed(&mut self, now: Instant, id: ConnectionId) {
        if self.find(id).is_none() {
            return;
        }
        self.settle();
        self.unsubscribe_all(id);
        self.leave_all(now, id);
        self.groups.leave(id);
        self.leave_user(id);
        self.durables.keeper.handle_gone(now, id);
        self.timers.disarm(id.index);
        let connection = self.connections.remove(id.index as usize);
        connection.outbox.leave_tally(&mut self.tally);
        self.drain_hub(now);
    }

    /// Ends all subscriptions of a connection that is closing, so that nothing more is queued for it.
    fn unsubscribe_all(&mut self, id: ConnectionId) {
        self.withdraw_all(id);
        let hub = &mut self.hub;
        match &self.connections[id.index as usize].downlink {
            Downlink::Session(session) => session
                .subscriptions()
                .for_each(|subscription| hub.handle_unsubscribe(subscription)),
            Downlink::Local(local) => local
                .subscriptions
                .iter()
                .for_each(|subscription| hub.handle_unsubscribe(*subscription)),
        }
    }

    /// Publishes on the server's own behalf, if topics live here. If they live in a backend, use
    /// [`ServerHub::handle_request`].
    ///
    /// # Errors
    /// As [`PublishError`] says. Nothing was published then.
    pub fn handle_publish(
        &mut self,
        now: Instant,
        request: PublishRequest<P>,
    ) -> Result<Position, PublishError> {
        if self.upstream.is_some() {
            return Err(PublishError::Unavailable);
        }
        let result = self.hub.handle_publish(now, request);
        self.drain_hub_later(now);
        result
    }

    /// Deadlines were reached: gates emit, silent clients are pinged or closed, old topics are forgotten.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.settle();
        self.hub.handle_timeout(now);
        if let Some(upstream) = &mut self.upstream {
            upstream.mirror.handle_timeout(now);
        }
        self.presences.tracker.handle_timeout(now);
        self.groups.handle_timeout(now);
        self.disconnects.handle_timeout(now);
        self.durables.keeper.handle_timeout(now);
        self.drain_hub(now);
        while let Some(index) = self.timers.expire(now) {
            let id = self.id_of(index);
            self.with_session(now, id, |session| session.handle_timeout(now));
            self.leave_if_guest(id);
        }
    }

    /// When [`ServerHub::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let upstream = self.upstream.as_ref();
        [
            self.hub.poll_timeout(),
            self.timers.poll_timeout(),
            upstream.and_then(|upstream| upstream.mirror.poll_timeout()),
            self.presences.tracker.poll_timeout(),
            self.groups.poll_timeout(),
            self.disconnects.poll_timeout(),
            self.durables_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The retained latest publication of a topic.
    pub fn latest(&self, topic: &Topic) -> Option<&Arc<Publication<P>>> {
        self.hub.latest(topic)
    }

    /// How much the hub holds.
    pub fn counts(&self) -> HubCounts {
        self.hub.counts()
    }

    /// The number of connections, including local ones.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// How many bytes are waiting for a connection.
    pub fn waiting_bytes(&self, id: ConnectionId) -> usize {
        self.find(id)
            .map_or(0, |connection| connection.outbox.bytes())
    }

    fn find(&self, id: ConnectionId) -> Option<&Connection<P>> {
        self.connections
            .get(id.index as usize)
            .filter(|connection| connection.generation == id.generation)
    }

    fn ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.connections
            .iter()
            .map(|(index, connection)| ConnectionId {
                #[expect(clippy::cast_possible_truncation, reason = "made from a u32")]
                index: index as u32,
                generation: connection.generation,
            })
    }

    fn id_of(&self, index: u32) -> ConnectionId {
        ConnectionId {
            index,
            generation: self.connections[index as usize].generation,
        }
    }

    fn with_session(&mut self, now: Instant, id: ConnectionId, act: impl FnOnce(&mut Session<P>)) {
        if self.find(id).is_none() {
            return;
        }
        self.settle();
        if let Downlink::Session(session) = &mut self.connections[id.index as usize].downlink {
            act(session);
            self.drain_session(now, id);
            self.drain_hub(now);
            // Answers count, too: a client that makes requests without reading the answers is treated like any slow
            // one.
            if self.connections[id.index as usize].outbox.is_overfull() {
                self.close_if_overfull(now, id.index);
                self.drain_hub(now);
            }
            self.arm(id);
        }
    }

    fn session(&mut self, id: ConnectionId) -> Option<&mut Session<P>> {
        match &mut self.connections.get_mut(id.index as usize)?.downlink {
            Downlink::Session(session) => Some(session),
            Downlink::Local(_) => None,
        }
    }

    fn send(&mut self, index: u32, frame: ServerFrame<P>) {
        let outbox = &mut self.connections[index as usize].outbox;
        outbox.push_frame(frame);
        outbox.settle_tally(&mut self.tally);
        self.mark_ready(index);
    }

    fn mark_ready(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        if !connection.is_ready {
            connection.is_ready = true;
            let id = self.id_of(index);
            self.output.push_back(ServerOutput::Ready(id));
        }
    }

    /// Arms the timer of a session's deadline. A deadline that has only moved later is not rearmed; it is checked when
    /// the old timer fires.
    fn arm(&mut self, id: ConnectionId) {
        let deadline = self.session(id).and_then(|session| session.poll_timeout());
        if let Some(at) = deadline
            && self
                .timers
                .deadline(id.index)
                .is_none_or(|armed| at < armed)
        {
            self.timers.arm(id.index, at);
        }
    }
}
