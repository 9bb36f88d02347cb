//! A server, its clients and the links between them, in virtual time.
//!
//! A link carries frames, as JSON text, in order, each direction with a delay of its own. It can be cut at any frame,
//! and either end may learn of that or not: a client that reconnects while the server still holds its old connection
//! has two of them. The server's side can be slow, so that frames wait in its outbox.
//!
//! [`Network::step`] jumps to the next event. The same calls give the same log, byte for byte.

mod devices;
mod link;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use core::time::Duration;

use tidegate_core::client::{ClientConfig, ConnectionState, PresenceEvent};
use tidegate_core::flow::Flow;
use tidegate_core::hub::{
    ClientHub, ClientOutput, ConnectionId, Due, PublishError, ServerConfig, ServerHub,
    ServerOutput, SubscriptionId,
};
use tidegate_core::protocol::{
    ClientEnvelope, ClientFrame, PublishRequest, ServerEnvelope, ServerFrame, Start,
    SubscribeRequest, WireError,
};
use tidegate_core::publication::{Position, Publication};
use tidegate_core::session::CloseReason;
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};

use crate::json::Json;
use crate::record::Record;
use crate::restless::wake_early;
use crate::{pattern, topic};
use link::{Event, Link, LinkId};

pub use link::{Cut, Direction, Fault, Quality, Sent};

/// A client with its subscribers.
#[derive(Debug)]
pub struct Peer {
    /// The machine under test.
    pub hub: ClientHub<Json>,
    /// The quality of its next links.
    pub quality: Quality,
    /// Every state of its connection, and when it began.
    pub states: Vec<(Instant, ConnectionState)>,
    /// The answers to its publishes.
    pub published: BTreeMap<u64, Result<Position, WireError>>,
    /// The presence events that it got.
    pub presence_events: Vec<PresenceEvent<Json>>,
    subscribers: BTreeMap<SubscriptionId, usize>,
    /// The link of its latest attempt.
    link: Option<LinkId>,
}

/// Everything that exists, and what is on its way.
#[derive(Debug)]
pub struct Network {
    /// The virtual clock.
    pub now: Instant,
    /// The machine under test.
    pub server: ServerHub<Json>,
    /// The clients, by the order in which they were added.
    pub peers: Vec<Peer>,
    /// The subscribers of all clients, by the order in which they came.
    pub records: Vec<Record>,
    /// The next fault; taken once it has happened.
    pub fault: Option<Fault>,
    /// Everything that was published, in the order in which the server took it.
    pub truth: Vec<(Instant, Arc<Publication<Json>>)>,
    /// Which connections the server closed, and why.
    pub closes: Vec<(Instant, CloseReason)>,
    /// When each client's subscription was first confirmed, by pattern.
    pub confirmed: BTreeMap<(usize, Pattern), Instant>,
    /// Everything that happened, as text.
    pub log: String,
    witness: ConnectionId,
    ids: Vec<SubscriptionId>,
    links: Vec<Link>,
    by_connection: BTreeMap<ConnectionId, LinkId>,
    events: BTreeMap<(Instant, u64), Event>,
    next_event: u64,
}

impl Network {
    /// A server with the default limits, and nobody else.
    pub fn new(seed: u64) -> Self {
        Self::with_config(ServerConfig::new(seed))
    }

    /// A server, and only a witness that receives everything that is published.
    ///
    /// # Panics
    /// If the configuration leaves no room for the witness.
    pub fn with_config(config: ServerConfig) -> Self {
        let mut server = ServerHub::new(config);
        let witness = server.handle_open_local(usize::MAX / 4);
        let all = SubscribeRequest::new(pattern("**"), Flow::IMMEDIATE);
        server
            .handle_subscribe(Instant::ZERO, witness, all)
            .expect("there is room for the witness");
        Self {
            now: Instant::ZERO,
            server,
            peers: Vec::new(),
            records: Vec::new(),
            fault: None,
            truth: Vec::new(),
            closes: Vec::new(),
            confirmed: BTreeMap::new(),
            log: String::new(),
            witness,
            ids: Vec::new(),
            links: Vec::new(),
            by_connection: BTreeMap::new(),
            events: BTreeMap::new(),
            next_event: 0,
        }
    }

    /// Adds a client that does not connect yet. Returns its index.
    pub fn add_peer(&mut self, quality: Quality) -> usize {
        let seed = self.peers.len() as u64 + 1;
        self.add_peer_with(quality, ClientConfig::new(seed))
    }

    /// Adds a client with a configuration of its own.
    pub fn add_peer_with(&mut self, quality: Quality, config: ClientConfig) -> usize {
        self.peers.push(Peer {
            hub: ClientHub::new(config),
            quality,
            states: Vec::new(),
            published: BTreeMap::new(),
            presence_events: Vec::new(),
            subscribers: BTreeMap::new(),
            link: None,
        });
        self.peers.len() - 1
    }

    /// Adds a client and connects it.
    pub fn connected_peer(&mut self, quality: Quality) -> usize {
        let peer = self.add_peer(quality);
        self.connect(peer);
        self.run_for(Duration::from_millis(500));
        peer
    }

    /// A client is asked to connect.
    pub fn connect(&mut self, peer: usize) {
        self.peers[peer].hub.handle_connect(self.now);
        self.settle();
    }

    /// A client is asked to disconnect for good.
    pub fn disconnect(&mut self, peer: usize) {
        self.peers[peer].hub.handle_disconnect(self.now);
        self.settle();
    }

    /// Adds a subscriber to a client. Returns the index of its record.
    ///
    /// # Panics
    /// If the flow is out of range.
    pub fn subscribe(&mut self, peer: usize, to: &str, flow: Flow) -> usize {
        self.subscribe_from(peer, to, flow, Start::Latest)
    }

    /// Adds a subscriber with a given start.
    ///
    /// # Panics
    /// If the flow is out of range.
    pub fn subscribe_from(&mut self, peer: usize, to: &str, flow: Flow, start: Start) -> usize {
        let request = SubscribeRequest {
            start,
            ..SubscribeRequest::new(pattern(to), flow)
        };
        self.ask(peer, request)
    }

    fn ask(&mut self, peer: usize, request: SubscribeRequest) -> usize {
        let index = self.records.len();
        let record = Record::new(self.now, peer, request.pattern.clone(), request.flow);
        self.records.push(record);
        self.note(format_args!("{peer} asks as {index} for {request:?}"));
        let id = self.peers[peer]
            .hub
            .handle_subscribe(self.now, 0, request)
            .expect("tests use correct flows");
        self.ids.push(id);
        self.peers[peer].subscribers.insert(id, index);
        self.settle();
        index
    }

    /// A subscriber leaves.
    pub fn unsubscribe(&mut self, record: usize) {
        let peer = self.records[record].peer;
        self.records[record].is_gone = true;
        self.note(format_args!("{peer} unsubscribes {record}"));
        self.peers[peer]
            .hub
            .handle_unsubscribe(self.now, self.ids[record]);
        self.settle();
    }

    /// A subscriber changes its flow.
    ///
    /// # Panics
    /// If the flow is out of range.
    pub fn set_flow(&mut self, record: usize, flow: Flow) {
        let peer = self.records[record].peer;
        self.records[record].set_flow(self.now, flow);
        self.peers[peer]
            .hub
            .handle_flow(self.now, self.ids[record], flow)
            .expect("tests use correct flows");
        self.settle();
    }

    /// The server publishes.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn publish(&mut self, to: &str, data: impl Into<Json>) -> Result<Position, PublishError> {
        self.publish_request(PublishRequest::new(topic(to), data.into()))
    }

    /// The server publishes, with all that belongs to a request.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn publish_request(
        &mut self,
        request: PublishRequest<Json>,
    ) -> Result<Position, PublishError> {
        let result = self.server.handle_publish(self.now, request);
        self.settle();
        result
    }

    /// A client publishes. Returns the number of its request.
    pub fn publish_from(&mut self, peer: usize, request: PublishRequest<Json>) -> u64 {
        let number = self.peers[peer].hub.handle_publish(self.now, request);
        self.settle();
        number
    }

    /// Calls a client's hub, and carries out the consequences.
    pub fn with_hub<T>(
        &mut self,
        peer: usize,
        act: impl FnOnce(&mut ClientHub<Json>, Instant) -> T,
    ) -> T {
        let result = act(&mut self.peers[peer].hub, self.now);
        self.settle();
        result
    }

    /// Breaks the current link of a client, if it has one.
    pub fn cut(&mut self, peer: usize, cut: Cut) {
        if let Some(link) = self.peers[peer].link {
            self.cut_link(link, cut);
        }
    }

    /// How many frames have reached the other end of any of a client's links.
    pub fn frames(&self, peer: usize, direction: Direction) -> u64 {
        let links = self.links.iter().filter(|link| link.peer == peer);
        links.map(|link| link.delivered(direction)).sum()
    }

    /// How much was sent to a client, over all of its links.
    pub fn sent(&self, peer: usize) -> Sent {
        let mut sum = Sent::default();
        let links = self.links.iter().filter(|link| link.peer == peer);
        links.for_each(|link| sum += link.sent);
        sum
    }

    /// Goes on to the next event, but not beyond `end`. Returns whether there was one.
    ///
    /// # Panics
    /// If a machine asks to be woken in the past, or a promise to a subscriber is broken.
    pub fn step(&mut self, end: Instant) -> bool {
        let timers = self.peers.iter().map(|peer| peer.hub.poll_timeout());
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        let next = timers
            .chain([self.server.poll_timeout(), event])
            .flatten()
            .min();
        let Some(next) = next.filter(|next| *next <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        if let Some(event) = event.filter(|event| *event <= self.now) {
            let at = self.events.keys().find(|(at, _)| *at == event).copied();
            let event = at.and_then(|key| self.events.remove(&key));
            event.into_iter().for_each(|event| self.happen(event));
            self.settle();
        } else {
            self.fire_timers();
        }
        true
    }

    fn fire_timers(&mut self) {
        let now = self.now;
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let server_is_due = is_due(self.server.poll_timeout());
        if server_is_due {
            self.server.handle_timeout(now);
        }
        let due: Vec<usize> = (0..self.peers.len())
            .filter(|peer| is_due(self.peers[*peer].hub.poll_timeout()))
            .collect();
        for peer in &due {
            self.peers[*peer].hub.handle_timeout(now);
        }
        self.settle();
        assert!(!(server_is_due && is_due(self.server.poll_timeout())));
        for peer in due {
            assert!(!is_due(self.peers[peer].hub.poll_timeout()), "peer {peer}");
        }
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets time pass until something holds.
    ///
    /// # Panics
    /// If it does not within ten minutes.
    pub fn run_until(&mut self, holds: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::from_secs(600);
        while !holds(self) {
            assert!(self.step(end), "it does not come to hold");
        }
    }

    /// Carries out the machines' outputs until there are none left.
    fn settle(&mut self) {
        loop {
            let mut is_quiet = true;
            while let Some(output) = self.server.poll_output() {
                is_quiet = false;
                self.handle_server_output(output);
            }
            for peer in 0..self.peers.len() {
                while let Some(output) = self.peers[peer].hub.poll_output() {
                    is_quiet = false;
                    self.handle_client_output(peer, output);
                }
            }
            if is_quiet {
                return self.wake_early();
            }
        }
    }

    fn wake_early(&mut self) {
        let now = self.now;
        wake_early(&mut self.server, now, |hub| hub.poll_output());
        for peer in &mut self.peers {
            wake_early(&mut peer.hub, now, |hub| hub.poll_output());
        }
    }

    fn handle_server_output(&mut self, output: ServerOutput) {
        match output {
            ServerOutput::Ready(id) if id == self.witness => self.bear_witness(),
            ServerOutput::Ready(id) => {
                if let Some(link) = self.by_connection.get(&id).copied() {
                    self.links[link].is_ready = true;
                    self.pump(link);
                }
            }
            ServerOutput::Close(id, reason) => {
                self.note(format_args!("server closes {}: {reason:?}", id.index()));
                self.closes.push((self.now, reason));
                if let Some(link) = self.by_connection.get(&id).copied() {
                    self.close_from_server(link, reason);
                }
            }
        }
    }

    fn bear_witness(&mut self) {
        while let Some(frame) = self.server.poll_frame(self.witness) {
            if let ServerFrame::Publication { publication, .. } = frame {
                self.note(format_args!(
                    "published {} {} {}",
                    publication.topic, publication.position, publication.payload.0
                ));
                self.truth.push((self.now, publication));
            }
        }
    }

    fn handle_client_output(&mut self, peer: usize, output: ClientOutput<Json>) {
        match output {
            ClientOutput::AskToken { .. } => panic!("{peer} has no tokens"),
            ClientOutput::Connect { link } => self.open_link(peer, link),
            ClientOutput::Disconnect { link } => self.close_from_client(peer, link),
            ClientOutput::Send(frame) => self.send_up(peer, &frame),
            ClientOutput::State(state) => {
                self.note(format_args!("{peer} is {state:?}"));
                self.peers[peer].states.push((self.now, state));
            }
            ClientOutput::Due(due) => self.hand_over(peer, due),
            ClientOutput::Presence(event) => self.peers[peer].presence_events.push(event),
            ClientOutput::Published { request, result } => {
                self.note(format_args!("{peer} published {request}: {result:?}"));
                let before = self.peers[peer].published.insert(request, result);
                assert_eq!(before, None, "publish {request} was answered twice");
            }
        }
    }

    fn hand_over(&mut self, peer: usize, due: Due<Json>) {
        let id = match &due {
            Due::Deliver { delivery, .. } => delivery.subscription,
            Due::Reset { subscription, .. }
            | Due::End { subscription, .. }
            | Due::Lagged { subscription, .. }
            | Due::Refused { subscription, .. } => *subscription,
        };
        let record = self.peers[peer].subscribers[&id];
        self.records[record].note(self.now, due);
        let seen = format!("{:?}", self.records[record].seen.last());
        self.note(format_args!("{peer} tells {record}: {seen}"));
    }

    /// Checks that every subscriber has the latest state of its topics.
    ///
    /// # Panics
    /// If one of them has not.
    pub fn check_converged(&self) {
        let mut latest: BTreeMap<&Topic, &Arc<Publication<Json>>> = BTreeMap::new();
        for (_, publication) in &self.truth {
            latest.insert(&publication.topic, publication);
        }
        for (index, record) in self.records.iter().enumerate() {
            record.check_pace();
            record.check_latest(&format!("{index}"), latest.values().copied(), false);
        }
    }

    fn note(&mut self, what: core::fmt::Arguments<'_>) {
        let micros = self.now.as_micros();
        writeln!(self.log, "{micros:>12} {what}").expect("a string takes all");
    }
}

pub(crate) fn encode_up(frame: &ClientFrame<Json>) -> String {
    serde_json::to_string(&ClientEnvelope::from(frame)).expect("frames have a JSON form")
}

pub(crate) fn decode_up(text: &str) -> ClientFrame<Json> {
    let envelope: ClientEnvelope<Json> = serde_json::from_str(text).expect("clients speak JSON");
    ClientFrame::try_from(envelope).expect("clients send correct frames")
}

pub(crate) fn encode_down(frame: &ServerFrame<Json>) -> String {
    serde_json::to_string(&ServerEnvelope::from(frame)).expect("frames have a JSON form")
}

pub(crate) fn decode_down(text: &str) -> ServerFrame<Json> {
    let envelope: ServerEnvelope<Json> = serde_json::from_str(text).expect("servers speak JSON");
    ServerFrame::try_from(envelope).expect("servers send correct frames")
}
