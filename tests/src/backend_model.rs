//! Servers that share a backend, in virtual time.
//!
//! The backend is a model: its data is in its [`Store`], and each server has a link to it, on which calls, answers and
//! announcements travel, each with a delay of its own. The [`Weather`] of the links says how much is delayed, lost,
//! duplicated or refused. Every frame for a subscriber is checked as it arrives.
//!
//! [`World::step`] jumps to the next event. The same calls give the same log, byte for byte.

mod counting;
mod disconnects;
mod fate;
mod judge;
mod link;
mod remote;
mod steps;
mod store;
mod watch;

use std::collections::{BTreeMap, VecDeque};

use core::time::Duration;

use tidegate_core::flow::Flow;
use tidegate_core::hub::{ConnectionId, PublishError, ServerConfig, ServerHub, SubscribeError};
use tidegate_core::presence::NodeId;
use tidegate_core::progress::Tracker;
use tidegate_core::protocol::{ClientFrame, PublishRequest, Start, SubscribeRequest};
use tidegate_core::publication::Position;
use tidegate_core::random::Random;
use tidegate_core::time::Instant;
use tidegate_core::topic::Pattern;
use tidegate_core::uplink::{CallId, UplinkCall, UplinkConfig};

use crate::json::{Json, report};
use crate::trace::{Keeping, Trace};
use crate::{pattern, topic};
use counting::Counting;
use link::Event;
use watch::Watch;

pub use link::{Link, Weather};
pub use remote::Outward;
use remote::Remote;
pub use store::Store;
pub use watch::{Last, Stage, Watches};

/// The bytes that may wait for a local connection: enough that nothing is dropped.
const OUTBOX_BYTES: usize = 64 * 1024 * 1024;

/// A server with its connections and its link.
#[derive(Debug)]
pub struct Server {
    /// The machine under test.
    pub hub: ServerHub<Json>,
    /// What its connections were told.
    pub watches: BTreeMap<ConnectionId, Watches>,
    /// Its link to the backend.
    pub link: Link,
    /// Whether it runs.
    pub is_up: bool,
    /// How far its clock is ahead of the world's.
    pub ahead: Duration,
    /// Its timers fire only at multiples of this.
    pub lateness: Duration,
    /// It is paused until then: nothing of it runs.
    pub paused_until: Instant,
    /// Until then, what it does by a timer may be late.
    disturbed_until: Instant,
    /// Counts its starts. Events for an earlier life are dropped.
    life: u32,
    config: ServerConfig,
    uplink: Option<UplinkConfig>,
    /// A connection that receives everything that is published, if topics live in the server itself.
    witness: Option<ConnectionId>,
    /// The connections of clients whose frames are carried by the test.
    remotes: BTreeMap<ConnectionId, Remote>,
    /// Its part in counting, if there is work.
    tracker: Option<Tracker>,
}

/// A publish, and what came of it.
#[derive(Debug)]
pub struct Published {
    /// The server that it was made at.
    pub server: usize,
    /// The client's connection, if a client published.
    pub by: Option<ConnectionId>,
    /// Its result, once it is known.
    pub result: Option<Result<Position, PublishError>>,
    /// Whether the server was killed before it could report the result.
    pub is_lost: bool,
}

/// Everything that exists, and what is on its way.
#[derive(Debug)]
pub struct World {
    /// The virtual clock.
    pub now: Instant,
    /// What the backend keeps.
    pub store: Store,
    /// The servers, by the order in which they were added.
    pub servers: Vec<Server>,
    /// What the links are like.
    pub weather: Weather,
    /// All publishes of servers and clients: the `n` of a payload is its index here.
    pub published: Vec<Published>,
    /// Every call that a server made, and when.
    pub calls: Vec<(Instant, usize, UplinkCall<Json>)>,
    /// Calls that the test answers itself are put here instead of being carried out.
    pub held_calls: Vec<(usize, CallId, UplinkCall<Json>)>,
    /// Which calls the test answers itself.
    pub holds: fn(&UplinkCall<Json>) -> bool,
    /// Everything that happened.
    pub log: Trace,
    /// Whether servers are woken before their time, too.
    pub is_restless: bool,
    /// Whether servers authenticate remote clients.
    pub asks: bool,
    /// What remote connections want done.
    pub outward: VecDeque<Outward>,
    /// When the presences of a server's earlier lives must be gone everywhere.
    gone_by: BTreeMap<NodeId, Instant>,
    has_work: bool,
    counting: Counting,
    /// How many times a server was asked to end connections.
    disconnects: u64,
    random: Random,
    /// Broadcasts have randomness of their own, so that they don't change what else is drawn.
    air: Random,
    events: BTreeMap<(Instant, u64), Event>,
    next_event: u64,
}

impl World {
    /// A backend without servers.
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::from_millis(1),
            store: Store::new(seed),
            servers: Vec::new(),
            weather: Weather::CALM,
            published: Vec::new(),
            calls: Vec::new(),
            held_calls: Vec::new(),
            holds: |_| false,
            log: Trace::new(Keeping::Text),
            is_restless: true,
            asks: false,
            outward: VecDeque::new(),
            gone_by: BTreeMap::new(),
            has_work: false,
            counting: Counting::default(),
            disconnects: 0,
            random: Random::new(!seed),
            air: Random::new(seed.rotate_left(32)),
            events: BTreeMap::new(),
            next_event: 0,
        }
    }

    /// Adds a server that opens its link at once. Returns its index.
    pub fn add_server(&mut self) -> usize {
        let seed = 100 + self.servers.len() as u64;
        self.add_server_with(ServerConfig::new(seed), UplinkConfig::new(seed))
    }

    /// Adds a server with a configuration of its own.
    pub fn add_server_with(&mut self, config: ServerConfig, uplink: UplinkConfig) -> usize {
        let hub = ServerHub::with_uplink(config.clone(), uplink.clone());
        self.push_server(hub, config, Some(uplink))
    }

    /// A local connection to a server.
    pub fn open_local(&mut self, server: usize) -> ConnectionId {
        let id = self.servers[server].hub.handle_open_local(OUTBOX_BYTES);
        self.servers[server].watches.insert(id, Watches::default());
        self.settle(server);
        id
    }

    /// A client's connection to a server.
    pub fn open_session(&mut self, server: usize) -> ConnectionId {
        let now = self.clock(server);
        let id = self.servers[server].hub.handle_open(now);
        self.servers[server].link.sessions.insert(id);
        self.servers[server].watches.insert(id, Watches::default());
        let hello = ClientFrame::Hello {
            group: None,
            token: None,
            client: None,
        };
        self.say(server, id, hello);
        id
    }

    /// A client sends a frame.
    pub fn say(&mut self, server: usize, id: ConnectionId, frame: ClientFrame<Json>) {
        let now = self.clock(server);
        self.servers[server].hub.handle_frame(now, id, frame);
        self.settle(server);
    }

    /// A connection subscribes, be it local or a client's.
    ///
    /// # Panics
    /// If a local connection is refused at once.
    pub fn subscribe(
        &mut self,
        server: usize,
        id: ConnectionId,
        to: &str,
        flow: Flow,
        start: Start,
    ) {
        let to = pattern(to);
        self.note(format_args!("{server} {id:?} subscribes to {to} {start:?}"));
        let watch = Watch::new(to.clone(), flow, start.clone());
        let watches = self.servers[server].watches.get_mut(&id);
        watches.expect("it is connected").add(watch);
        let request = SubscribeRequest {
            start,
            ..SubscribeRequest::new(to.clone(), flow)
        };
        if self.is_session(server, id) {
            return self.say(server, id, ClientFrame::Subscribe(request));
        }
        let now = self.clock(server);
        let hub = &mut self.servers[server].hub;
        if let Err(error) = hub.handle_subscribe(now, id, request) {
            self.refuse(server, id, &to, &error);
        }
        self.settle(server);
    }

    /// Subscribes over a new local connection.
    pub fn watch(&mut self, server: usize, to: &str, flow: Flow, start: Start) -> ConnectionId {
        let id = self.open_local(server);
        self.subscribe(server, id, to, flow, start);
        id
    }

    /// The clients' connections to a server.
    pub fn sessions(&self, server: usize) -> impl Iterator<Item = ConnectionId> {
        self.servers[server].link.sessions.iter().copied()
    }

    fn is_session(&self, server: usize, id: ConnectionId) -> bool {
        self.servers[server].link.sessions.contains(&id)
    }

    /// Subscribes over a client's new connection.
    pub fn watch_session(
        &mut self,
        server: usize,
        to: &str,
        flow: Flow,
        start: Start,
    ) -> ConnectionId {
        let id = self.open_session(server);
        self.subscribe(server, id, to, flow, start);
        id
    }

    fn refuse(&mut self, server: usize, id: ConnectionId, to: &Pattern, error: &SubscribeError) {
        self.note(format_args!("{server} {id:?} is refused {to}: {error}"));
        let watches = self.servers[server].watches.get_mut(&id);
        if let Some(watch) = watches.and_then(|watches| watches.of_mut(to)) {
            watch.stage = Stage::Refused;
        }
    }

    /// A client unsubscribes.
    pub fn unsubscribe(&mut self, server: usize, id: ConnectionId, to: &Pattern) {
        let watches = self.servers[server].watches.get_mut(&id);
        watches.expect("it is connected").leave(to);
        let pattern = to.clone();
        self.say(server, id, ClientFrame::Unsubscribe { pattern });
    }

    /// A client changes a flow.
    pub fn set_flow(&mut self, server: usize, id: ConnectionId, to: &Pattern, flow: Flow) {
        let watches = self.servers[server].watches.get_mut(&id);
        if let Some(watch) = watches.and_then(|watches| watches.of_mut(to)) {
            watch.set_flow(flow);
        }
        let pattern = to.clone();
        self.say(server, id, ClientFrame::Flow { pattern, flow });
    }

    /// A connection closes.
    pub fn close(&mut self, server: usize, id: ConnectionId) {
        self.note(format_args!("{server} {id:?} closes"));
        self.servers[server].watches.remove(&id);
        self.servers[server].link.sessions.remove(&id);
        let now = self.clock(server);
        self.servers[server].hub.handle_closed(now, id);
        self.settle(server);
    }

    /// A server publishes the next number, which is returned.
    pub fn publish(&mut self, server: usize, to: &str) -> usize {
        let request = PublishRequest::new(topic(to), Json::from(0));
        self.publish_request(server, None, request)
    }

    /// A server, or one of its clients, publishes the next number, which is returned.
    pub fn publish_request(
        &mut self,
        server: usize,
        by: Option<ConnectionId>,
        mut request: PublishRequest<Json>,
    ) -> usize {
        let number = self.published.len();
        request.payload = report(number as u64);
        self.note(format_args!("{server} publishes {request:?}"));
        self.published.push(Published {
            server,
            by,
            result: None,
            is_lost: false,
        });
        match by {
            Some(id) => {
                let frame = ClientFrame::Publish {
                    request: number as u64,
                    publish: request,
                };
                self.say(server, id, frame);
            }
            None => self.request(server, number, request),
        }
        number
    }

    fn request(&mut self, server: usize, number: usize, request: PublishRequest<Json>) {
        let now = self.clock(server);
        let hub = &mut self.servers[server].hub;
        if hub.has_uplink() {
            hub.handle_request(now, number as u64, request);
            self.settle(server);
        } else {
            let result = hub.handle_publish(now, request);
            self.settle(server);
            self.finish(number, result);
        }
    }

    /// What a connection was told of a pattern.
    ///
    /// # Panics
    /// If it never subscribed to it.
    pub fn told(&self, server: usize, id: ConnectionId, of: &str) -> &Watch {
        let watches = &self.servers[server].watches[&id];
        watches.of(&pattern(of)).expect("it subscribed")
    }
}
