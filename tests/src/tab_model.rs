//! A browser in virtual time: pages that are hidden, frozen, cached, closed and that crash; a lock, a channel and
//! shared workers with the quirks of real ones; and a real server behind their sockets.
//!
//! Messages are only ordered for each pair of sender and receiver. The same calls give the same log, byte for byte.

mod devices;
mod fate;
mod host;
mod judge;
mod locks;
mod page;
pub mod scene;
mod socket;
mod tokens;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use core::time::Duration;

use tidegate_core::client::ClientConfig;
use tidegate_core::flow::Flow;
use tidegate_core::hub::{ConnectionId, PublishError, ServerConfig, ServerHub, SubscriptionId};
use tidegate_core::protocol::{PublishRequest, Start, SubscribeRequest};
use tidegate_core::publication::{Position, Publication};
use tidegate_core::random::Random;
use tidegate_core::tabs::{Election, Message, TabHub, TabId, TabsConfig, Term};
use tidegate_core::time::Instant;

use crate::json::Json;
use crate::pattern;
use crate::record::Record;
use crate::trace::{Keeping, Trace};
use locks::Told;
use socket::Socket;

pub use locks::Locks;
pub use page::{Life, Machine, Page};
pub use socket::{Outward, SocketId};
pub use tokens::Gives;

/// How the pages of a browser find their leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// By a Web Lock.
    Lock,
    /// Without locks.
    Claims,
    /// A shared worker leads.
    Worker,
}

impl Path {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lock, Self::Claims, Self::Worker];
}

/// An event.
#[derive(Debug)]
pub(crate) enum Event {
    Accepted(SocketId),
    Opened(SocketId),
    Up(SocketId, String),
    Down(SocketId, String),
    ClosedAtServer(SocketId),
    ClosedAtPage(SocketId),
    /// From one page to another.
    Message(usize, usize, Message<Json>),
    Told(Told),
    /// A page's token function has returned.
    Token(usize, u32, Option<String>),
    /// The browser has noticed that a page is gone.
    Cleared(usize),
}

/// Everything that exists, and what is on its way.
#[derive(Debug)]
pub struct Browser {
    /// The virtual clock.
    pub now: Instant,
    /// How far that clock is ahead of the one in the log.
    pub ahead: Duration,
    /// The server.
    pub server: ServerHub<Json>,
    /// Pages and workers, by the order in which they came.
    pub pages: Vec<Page>,
    /// The subscribers of all pages, by the order in which they came; `peer` is the page.
    pub records: Vec<Record>,
    /// Everything that was published, in the server's order.
    pub truth: Vec<(Instant, Arc<Publication<Json>>)>,
    /// The lock.
    pub locks: Locks,
    /// Whether sockets can be opened.
    pub is_network_up: bool,
    /// Everything that happened.
    pub log: Trace,
    /// Changes the configuration of pages that are opened from now on.
    pub configure: fn(&mut TabsConfig),
    /// The outputs of sockets, if the test carries their frames to servers of its own.
    pub outward: VecDeque<Outward>,
    /// Whether the test carries the frames.
    pub is_part: bool,
    /// Whether pages are woken before their time, too.
    pub is_restless: bool,
    /// How long tokens last, if the server requires them. Each page gives different ones.
    pub token_life: Option<Duration>,
    /// The pages that were asked for a token, in order.
    pub asked: Vec<(Instant, usize)>,
    path: Path,
    random: Random,
    generation: u64,
    leaders: BTreeMap<Term, usize>,
    witness: ConnectionId,
    ids: Vec<SubscriptionId>,
    sockets: Vec<Socket>,
    by_connection: BTreeMap<ConnectionId, SocketId>,
    arrivals: BTreeMap<(usize, usize), Instant>,
    events: BTreeMap<(Instant, u64), Event>,
    next_event: u64,
}

impl Browser {
    /// A browser without pages.
    ///
    /// # Panics
    /// If the server has no room for a witness.
    pub fn new(seed: u64, path: Path) -> Self {
        let mut server = ServerHub::new(ServerConfig::new(seed));
        let witness = server.handle_open_local(usize::MAX / 4);
        let all = SubscribeRequest::new(pattern("**"), Flow::IMMEDIATE);
        let begun = server.handle_subscribe(Instant::ZERO, witness, all);
        begun.expect("there is room for the witness");
        Self {
            now: Instant::ZERO,
            ahead: Duration::ZERO,
            server,
            pages: Vec::new(),
            records: Vec::new(),
            truth: Vec::new(),
            locks: Locks::default(),
            is_network_up: true,
            log: Trace::new(Keeping::Text),
            configure: |_| {},
            outward: VecDeque::new(),
            is_part: false,
            is_restless: true,
            token_life: None,
            asked: Vec::new(),
            path,
            random: Random::new(seed),
            generation: 0,
            leaders: BTreeMap::new(),
            witness,
            ids: Vec::new(),
            sockets: Vec::new(),
            by_connection: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            events: BTreeMap::new(),
            next_event: 0,
        }
    }

    /// A number from 0 up to and including `most`.
    pub fn pick(&mut self, most: u64) -> u64 {
        self.random.up_to(most)
    }

    pub(crate) fn delay(&mut self, from_micros: u64, to_micros: u64) -> Duration {
        Duration::from_micros(from_micros + self.random.up_to(to_micros - from_micros))
    }

    fn config(&mut self, election: Election) -> TabsConfig {
        let tab = TabId(self.random.next_u64() >> 11);
        let client = ClientConfig::new(self.random.next_u64());
        let group = format!("{:016x}", self.random.next_u64());
        let mut config = TabsConfig::new(tab, election, group, client);
        (self.configure)(&mut config);
        config
    }

    /// Opens a page that connects. Returns its index.
    pub fn open(&mut self) -> usize {
        let election = match self.path {
            Path::Lock => Election::Lock,
            Path::Claims => Election::Claims,
            Path::Worker => Election::Worker {
                generation: self.generation,
            },
        };
        let config = self.config(election);
        let tab = config.tab;
        let machine = Machine::Tab(Box::new(TabHub::new(config)));
        self.pages.push(Page::new(tab, machine));
        let page = self.pages.len() - 1;
        self.note(format_args!("{page} opens"));
        self.connect(page);
        page
    }

    /// A page is asked to connect.
    pub fn connect(&mut self, page: usize) {
        let now = self.now;
        self.with_tab(page, |hub| hub.handle_connect(now));
    }

    /// A page is asked to disconnect.
    pub fn disconnect(&mut self, page: usize) {
        let now = self.now;
        self.with_tab(page, |hub| hub.handle_disconnect(now));
    }

    /// Adds a subscriber to a page. Returns the index of its record.
    pub fn subscribe(&mut self, page: usize, to: &str, flow: Flow) -> usize {
        self.subscribe_from(page, to, flow, Start::Latest)
    }

    /// Adds a subscriber with a given start.
    ///
    /// # Panics
    /// If the flow is out of range.
    pub fn subscribe_from(&mut self, page: usize, to: &str, flow: Flow, start: Start) -> usize {
        let mut request = SubscribeRequest::new(pattern(to), flow);
        request.start = start;
        self.ask(page, request)
    }

    fn ask(&mut self, page: usize, request: SubscribeRequest) -> usize {
        let index = self.records.len();
        let record = Record::new(self.now, page, request.pattern.clone(), request.flow);
        self.records.push(record);
        self.note(format_args!("{page} asks as {index} for {request:?}"));
        let now = self.now;
        let Machine::Tab(hub) = &mut self.pages[page].machine else {
            panic!("workers have no subscribers");
        };
        let id = hub.handle_subscribe(now, 0, request);
        let id = id.expect("tests use correct flows");
        self.ids.push(id);
        self.pages[page].subscribers.insert(id, index);
        self.settle();
        index
    }

    /// A subscriber leaves.
    pub fn unsubscribe(&mut self, record: usize) {
        let page = self.records[record].peer;
        self.records[record].is_gone = true;
        self.note(format_args!("{page} unsubscribes {record}"));
        let (now, id) = (self.now, self.ids[record]);
        self.with_tab(page, |hub| hub.handle_unsubscribe(now, id));
    }

    /// A subscriber changes its flow.
    ///
    /// # Panics
    /// If the flow is out of range.
    pub fn set_flow(&mut self, record: usize, flow: Flow) {
        let page = self.records[record].peer;
        let (now, id) = (self.now, self.ids[record]);
        self.records[record].set_flow(now, flow);
        self.with_tab(page, |hub| {
            hub.handle_flow(now, id, flow)
                .expect("tests use correct flows");
        });
    }

    /// The server publishes.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn publish(&mut self, request: PublishRequest<Json>) -> Result<Position, PublishError> {
        let result = self.server.handle_publish(self.now, request);
        self.settle();
        result
    }

    /// A page publishes. Returns the number of its request.
    pub fn publish_from(&mut self, page: usize, request: PublishRequest<Json>) -> u64 {
        let now = self.now;
        let mut number = 0;
        self.with_tab(page, |hub| number = hub.handle_publish(now, request));
        number
    }

    pub(crate) fn with_tab(&mut self, page: usize, act: impl FnOnce(&mut TabHub<Json>)) {
        let Machine::Tab(hub) = &mut self.pages[page].machine else {
            panic!("{page} is a worker");
        };
        act(hub);
        self.settle();
    }

    pub(crate) fn drive(&mut self, page: usize, act: impl FnOnce(&mut Machine)) {
        act(&mut self.pages[page].machine);
        self.settle();
    }

    /// Goes on to the next event, but not beyond `end`. Returns whether there was one.
    ///
    /// # Panics
    /// If a machine asks to be woken in the past, or breaks a promise.
    pub fn step(&mut self, end: Instant) -> bool {
        let Some(next) = self.next().filter(|next| *next <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        if event.is_some_and(|event| event <= self.now) {
            let (_, event) = self.events.pop_first().expect("there is one");
            self.happen(event);
            self.settle();
        } else {
            self.fire_timers();
        }
        true
    }

    /// The time of the next event.
    pub fn next(&self) -> Option<Instant> {
        let timers = self.pages.iter().map(|page| page.wakes(self.now));
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        let next = timers.chain([self.server.poll_timeout(), event]);
        next.flatten().min()
    }

    fn fire_timers(&mut self) {
        let now = self.now;
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.server.poll_timeout()) {
            self.server.handle_timeout(now);
            self.settle();
        }
        for page in 0..self.pages.len() {
            if is_due(self.pages[page].wakes(now)) {
                self.drive(page, |machine| machine.handle_timeout(now));
                let again = self.pages[page].machine.poll_timeout();
                assert!(!is_due(again), "page {page} asks for {again:?} at {now:?}");
            }
        }
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets time pass until something holds; returns how much.
    ///
    /// # Panics
    /// If it does not within ten minutes.
    pub fn run_until(&mut self, holds: impl Fn(&Self) -> bool) -> Duration {
        let begin = self.now;
        let end = begin + Duration::from_secs(600);
        while !holds(self) {
            assert!(self.step(end), "it does not come to hold");
        }
        self.now - begin
    }

    pub(crate) fn schedule(&mut self, at: Instant, event: Event) {
        self.events.insert((at, self.next_event), event);
        self.next_event += 1;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Accepted(socket) => self.accept(socket),
            Event::Opened(socket) => self.socket_opened(socket),
            Event::Up(socket, text) => self.arrive_up(socket, &text),
            Event::Down(socket, text) => self.arrive_down(socket, &text),
            Event::ClosedAtServer(socket) => self.forget_connection(socket),
            Event::ClosedAtPage(socket) => self.socket_closed(socket),
            Event::Message(from, to, message) => self.arrive(from, to, message),
            Event::Told(told) => self.tell(told),
            Event::Token(page, request, token) => self.give_token(page, request, token),
            Event::Cleared(page) => {
                let told = self.locks.forget(page);
                self.tell_soon(told);
            }
        }
    }

    fn arrive(&mut self, from: usize, to: usize, message: Message<Json>) {
        let is_running = matches!(self.pages[to].life, Life::Awake | Life::Frozen);
        if is_running && !self.pages[from].is_unheard {
            let now = self.now;
            self.drive(to, |machine| machine.handle_message(now, message));
        }
    }

    pub(crate) fn note(&mut self, what: core::fmt::Arguments<'_>) {
        let ahead = Instant::ZERO + self.ahead;
        let micros = self.now.saturating_since(ahead).as_micros();
        let at = Instant::from_micros(u64::try_from(micros).expect("within a life"));
        self.log.note(at, what);
    }
}
