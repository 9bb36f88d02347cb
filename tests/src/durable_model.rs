//! Servers that share a backend, and a device that restarts and reconnects.
//!
//! Calls to the backend are answered at once. Frames between the device and its server are queued until the test
//! carries them, and lost with the connection.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tidegate_core::client::ClientConfig;
use tidegate_core::durable::DurableName;
use tidegate_core::flow::Flow;
use tidegate_core::hub::{
    ClientHub, ClientOutput, ConnectionId, Due, ServerConfig, ServerHub, ServerOutput,
    SubscriptionId,
};
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{ClientFrame, PublishRequest, ServerFrame, SubscribeRequest};
use tidegate_core::publication::Position;
use tidegate_core::time::Instant;
use tidegate_core::topic::Topic;
use tidegate_core::uplink::{UplinkAnswer, UplinkCall, UplinkConfig};

use crate::backend_model::Store;
use crate::json::Json;
use crate::{pattern, topic};

/// A backend, servers that share it, and one device.
#[derive(Debug)]
pub struct World {
    now: Instant,
    store: Store,
    servers: Vec<ServerHub<Json>>,
    /// Gives every server and every life of the device another seed.
    seed: u64,
    pattern: &'static str,
    /// The device, in its current life.
    pub device: Device,
    /// Everything that was published, by the number in its payload.
    pub published: u64,
    /// What the device's handlers have processed, over all its lives.
    pub handled: BTreeSet<u64>,
}

/// One life of the device, from one start of its program to the next.
#[derive(Debug)]
pub struct Device {
    hub: ClientHub<Json>,
    subscription: SubscriptionId,
    connection: Option<Connection>,
    /// What its handler has not processed yet, and everything that it has seen.
    unhandled: VecDeque<(Topic, Position, u64)>,
    seen: BTreeSet<(Topic, u64, u64)>,
    last: BTreeMap<Topic, Position>,
    /// How often it was told that something is lost.
    pub resets: usize,
    /// How many publications it got.
    pub deliveries: usize,
}

#[derive(Debug)]
struct Connection {
    server: usize,
    id: ConnectionId,
    link: u32,
    up: VecDeque<ClientFrame<Json>>,
    down: VecDeque<ServerFrame<Json>>,
}

impl Device {
    fn start(seed: u64, now: Instant, to: &str) -> Self {
        let mut hub = ClientHub::new(ClientConfig::new(seed));
        hub.handle_connect(now);
        let request = SubscribeRequest {
            durable: Some(DurableName::new("phone").expect("a name")),
            ..SubscribeRequest::new(pattern(to), Flow::IMMEDIATE)
        };
        let subscription = hub
            .handle_subscribe(now, 0, request)
            .expect("nothing speaks against it");
        Self {
            hub,
            subscription,
            connection: None,
            unhandled: VecDeque::new(),
            seen: BTreeSet::new(),
            last: BTreeMap::new(),
            resets: 0,
            deliveries: 0,
        }
    }

    /// The handler gets a publication.
    fn take(&mut self, topic: &Topic, position: Position, number: u64) {
        let is_new = self
            .seen
            .insert((topic.clone(), position.epoch, position.offset));
        assert!(is_new, "{topic} {position} came twice in one life");
        if let Some(last) = self.last.insert(topic.clone(), position)
            && self.resets == 0
        {
            assert_eq!(
                last.offset + 1,
                position.offset,
                "a gap that nobody told of"
            );
        }
        self.deliveries += 1;
        self.unhandled.push_back((topic.clone(), position, number));
    }
}

impl World {
    /// A device that is subscribed to `to`, where topics keep `count_max` publications.
    pub fn new(to: &'static str, count_max: usize) -> Self {
        let now = Instant::from_millis(1);
        let mut store = Store::new(5);
        store.count_max = count_max;
        let mut world = Self {
            now,
            store,
            servers: Vec::new(),
            seed: 10,
            pattern: to,
            device: Device::start(1, now, to),
            published: 0,
            handled: BTreeSet::new(),
        };
        for _ in 0..2 {
            let server = world.server();
            world.servers.push(server);
        }
        world
    }

    fn server(&mut self) -> ServerHub<Json> {
        self.seed += 1;
        ServerHub::with_uplink(ServerConfig::new(self.seed), UplinkConfig::new(self.seed))
    }

    /// Publishes the next number.
    pub fn publish(&mut self, to: &str) {
        self.publish_with(to, None);
    }

    /// Publishes the next number as the end of its topic. The next publish restarts the topic.
    pub fn publish_end(&mut self, to: &str) {
        self.publish_with(to, Some(EndReason::Complete));
    }

    fn publish_with(&mut self, to: &str, end: Option<EndReason>) {
        self.published += 1;
        let payload = serde_json::json!({ "n": self.published });
        let request = PublishRequest {
            end: end.map(Into::into),
            restart: true,
            ..PublishRequest::new(topic(to), payload.into())
        };
        let (_, publication) = self.store.publish(&request);
        for server in &mut self.servers {
            if let Some(publication) = &publication {
                server.handle_heard(self.now, publication.clone());
            }
        }
        self.settle();
    }

    /// Carries out everything that can happen at once, except carrying frames between the device and its server.
    fn settle(&mut self) {
        loop {
            let mut is_quiet = true;
            for server in 0..self.servers.len() {
                is_quiet &= !self.drain_server(server);
            }
            is_quiet &= !self.drain_device();
            if is_quiet {
                return;
            }
        }
    }

    fn drain_server(&mut self, server: usize) -> bool {
        let hub = &mut self.servers[server];
        let mut is_any = false;
        while let Some((id, call)) = hub.poll_call() {
            is_any = true;
            let answer = match call {
                UplinkCall::Read { topic, since } => {
                    UplinkAnswer::Excerpt(self.store.read(&topic, since))
                }
                UplinkCall::List(pattern) => UplinkAnswer::Excerpts(self.store.list(&pattern)),
                UplinkCall::Cursors(calls) => {
                    UplinkAnswer::Cursors(self.store.cursors.carry_out(self.now, &calls))
                }
                _ => UplinkAnswer::Done,
            };
            hub.handle_answer(self.now, id, answer);
        }
        while let Some(output) = hub.poll_output() {
            is_any = true;
            match output {
                ServerOutput::Ready(id) => {
                    while let Some(frame) = hub.poll_frame(id) {
                        if let Some(connection) = &mut self.device.connection
                            && (connection.server, connection.id) == (server, id)
                        {
                            connection.down.push_back(frame);
                        }
                    }
                }
                ServerOutput::Close(id, _) => hub.handle_closed(self.now, id),
            }
        }
        is_any
    }

    fn drain_device(&mut self) -> bool {
        let mut is_any = false;
        while let Some(output) = self.device.hub.poll_output() {
            is_any = true;
            match output {
                ClientOutput::Connect { link } => self.connect(link),
                ClientOutput::Disconnect { .. } => self.drop_connection(),
                ClientOutput::Send(frame) => {
                    if let Some(connection) = &mut self.device.connection {
                        connection.up.push_back(frame);
                    }
                }
                ClientOutput::Due(Due::Deliver { delivery, .. }) => {
                    for publication in delivery.emission {
                        let number = publication.payload.0["n"].as_u64().expect("a number");
                        self.device
                            .take(&publication.topic, publication.position, number);
                    }
                }
                ClientOutput::Due(Due::Reset { .. }) => self.device.resets += 1,
                ClientOutput::Due(_)
                | ClientOutput::State(_)
                | ClientOutput::AskToken { .. }
                | ClientOutput::Presence(_)
                | ClientOutput::Published { .. } => {}
            }
        }
        is_any
    }

    fn connect(&mut self, link: u32) {
        self.seed += 1;
        let server = usize::try_from(self.seed).expect("few") % self.servers.len();
        let id = self.servers[server].handle_open(self.now);
        self.device.connection = Some(Connection {
            server,
            id,
            link,
            up: VecDeque::new(),
            down: VecDeque::new(),
        });
        self.device.hub.handle_opened(self.now, link);
    }

    /// The server notices that the connection is gone. Frames in flight are lost.
    pub fn drop_connection(&mut self) {
        if let Some(connection) = self.device.connection.take() {
            self.servers[connection.server].handle_closed(self.now, connection.id);
        }
    }

    /// Carries up to this many frames in each direction.
    pub fn carry(&mut self, count: usize) {
        for _ in 0..count {
            let Some(connection) = &mut self.device.connection else {
                return;
            };
            let (server, id, link) = (connection.server, connection.id, connection.link);
            let (up, down) = (connection.up.pop_front(), connection.down.pop_front());
            if up.is_none() && down.is_none() {
                return;
            }
            if let Some(frame) = up {
                self.servers[server].handle_frame(self.now, id, frame);
            }
            if let Some(frame) = down {
                self.device.hub.handle_frame(self.now, link, frame);
            }
            self.settle();
        }
    }

    /// Time passes.
    pub fn pass(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        for server in &mut self.servers {
            server.handle_timeout(self.now);
        }
        self.device.hub.handle_timeout(self.now);
        self.settle();
    }

    /// The connection breaks.
    pub fn cut(&mut self) {
        if let Some(link) = self.device.connection.as_ref().map(|known| known.link) {
            self.drop_connection();
            self.device.hub.handle_closed(self.now, link);
            self.settle();
        }
    }

    /// The server that the device is connected to is killed: what it has not stored is lost.
    pub fn kill(&mut self) {
        let server = self.server();
        if let Some(connection) = self.device.connection.take() {
            self.servers[connection.server] = server;
            self.device.hub.handle_closed(self.now, connection.link);
        }
        self.settle();
    }

    /// The backend is unreachable for a moment: every server loses its link.
    pub fn lose_backend(&mut self) {
        for server in &mut self.servers {
            server.handle_lost(self.now);
        }
        self.settle();
    }

    /// The handler processes the oldest unprocessed publication, or fails to.
    pub fn handle(&mut self, is_success: bool) {
        let Some((topic, position, number)) = self.device.unhandled.pop_front() else {
            return;
        };
        if is_success {
            self.handled.insert(number);
            let id = self.device.subscription;
            self.device
                .hub
                .handle_handled(self.now, id, &topic, position);
            self.settle();
        }
    }

    /// The device's program crashes, and starts again.
    pub fn restart_device(&mut self) {
        self.drop_connection();
        self.seed += 1;
        self.device = Device::start(self.seed, self.now, self.pattern);
        self.settle();
    }

    /// Lets everything work until nothing is left to do.
    pub fn calm_down(&mut self) {
        for _ in 0..200 {
            self.carry(1000);
            while !self.device.unhandled.is_empty() {
                self.handle(true);
            }
            self.pass(500);
        }
    }

    /// The numbers that were published to these topics.
    pub fn numbers_of(&self, topics: &[&str]) -> BTreeSet<u64> {
        let stored = self.store.stored.iter();
        stored
            .filter(|publication| topics.contains(&publication.topic.as_str()))
            .filter_map(|publication| publication.payload.0["n"].as_u64())
            .collect()
    }
}

impl World {
    /// All servers are replaced by a single new one.
    pub fn replace_servers(&mut self) {
        let server = self.server();
        self.servers = vec![server];
    }
}
