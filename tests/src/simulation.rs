//! The whole system in one thread and in virtual time, from one seed: servers over a backend, programs and browsers
//! with tabs as their clients, the network between them, and everything that can go wrong.
//!
//! The state machines are the very ones that hosts drive. Everything around them is a model: the backend and its
//! servers ([`crate::backend_model`]), a browser's pages, channel and lock ([`crate::tab_model`]), programs
//! ([`Program`]) and the links of all of them to the servers. A [`Scenario`] defines the actors and the events; [`run`]
//! carries it out, heals everything, and checks the outcome. The same scenario gives the same run, byte for byte.

mod act;
mod browsers;
mod devices;
mod draw;
mod finish;
mod judge;
mod links;
mod listeners;
mod programs;
mod run;
mod scenario;
mod shrink;
mod subscribers;
mod successions;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};

use core::time::Duration;

use tidegate_core::flow::Slow;
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_core::random::Random;
use tidegate_core::time::Instant;
use tidegate_core::topic::Topic;
use tidegate_core::uplink::UplinkConfig;

use crate::backend_model::World;
use crate::network::Quality;
use crate::record::Record;
use crate::restless::wake_early;
use crate::trace::{Keeping, Trace};
use crate::{ms, secs};
use browsers::BrowserNode;
use devices::Device;
use links::{Event, Link, LinkId};

pub use devices::DEVICES;
pub use programs::Program;
pub use run::{Failure, Outcome, Stats, run, run_restless, save};
pub use scenario::{
    BackendAct, By, ClientAct, Kind, Op, PageAct, Plan, Scenario, ServerAct, StartAt, Who,
};
pub use shrink::shrink;

/// The topics of every run.
pub const TOPICS: [&str; 5] = ["job:1", "job:2", "job:42:log", "sum:1", "user:7"];

/// The patterns of subscribers. The last one is only for subscribers that sum: to others, a sum is not a latest value.
pub const PATTERNS: [&str; 8] = [
    "job:1",
    "job:2",
    "job:42:log",
    "user:7",
    "job:*",
    "job:**",
    "**",
    "sum:*",
];

/// The index of the pattern for subscribers that sum.
pub const SUMS: usize = 7;

/// The topics with presences.
pub const ROOMS: [&str; 2] = ["room:1", "room:2"];

/// A publish by a client, or directly to the backend.
#[derive(Debug)]
struct Asked {
    by: By,
    /// The client's number for it.
    request: u64,
    /// Whether the client that expects the answer is gone.
    is_lost: bool,
}

/// Publications that servers didn't make themselves are numbered from here.
const ASKED_FROM: u64 = 1_000_000;

/// Everything that exists, and what is on its way.
#[derive(Debug)]
pub struct System {
    /// The virtual clock.
    pub now: Instant,
    /// The backend and its servers.
    pub world: World,
    /// Clients with a connection of their own.
    pub programs: Vec<Program>,
    /// Clients whose tabs share one.
    pub browsers: Vec<BrowserNode>,
    /// The subscribers of all programs, in the order in which they were added; `peer` is the program.
    pub records: Vec<Record>,
    /// What happened at the programs and on the links.
    pub log: Trace,
    /// How much has happened.
    pub stats: Stats,
    asked: Vec<Asked>,
    devices: Vec<Device>,
    /// Subscribers within the servers' processes.
    listeners: Vec<(usize, ConnectionId)>,
    /// Every position that any of them has ever seen: topic, epoch and offset.
    places: BTreeSet<(Topic, u64, u64)>,
    told: successions::Told,
    links: Vec<Link>,
    by_connection: BTreeMap<(usize, ConnectionId), LinkId>,
    events: BTreeMap<(Instant, u64), Event>,
    next_event: u64,
    random: Random,
    metas: u64,
    is_tight: bool,
    /// The policy of programs for slow connections.
    slow: Option<Slow>,
    must_lose_nothing: bool,
    is_restless: bool,
    /// Whether a server was paused or drained: it may still hold a frame that its client has sent again to another
    /// server.
    may_hold_copies: bool,
    /// Whether a clock jumped by as long as topics are kept.
    may_have_forgotten: bool,
}

impl System {
    /// All actors of a plan, connected.
    pub fn new(seed: u64, plan: &Plan, keeping: Keeping) -> Self {
        let mut dice = Random::new(seed ^ 0x7469_6465);
        let mut world = World::new(dice.next_u64());
        world.log = Trace::new(keeping);
        world.weather = plan.kind.weather();
        world.asks = plan.asks;
        world.is_restless = false;
        world.store.count_max = plan.kind.history(plan.is_tight);
        let mut system = Self {
            now: world.now,
            world,
            programs: Vec::new(),
            browsers: Vec::new(),
            records: Vec::new(),
            log: Trace::new(keeping),
            stats: Stats::default(),
            asked: Vec::new(),
            devices: DEVICES.map(|_| Device::default()).into(),
            listeners: Vec::new(),
            places: BTreeSet::new(),
            told: successions::Told::default(),
            links: Vec::new(),
            by_connection: BTreeMap::new(),
            events: BTreeMap::new(),
            next_event: 0,
            random: dice,
            metas: 0,
            is_tight: plan.is_tight,
            slow: plan.slow,
            must_lose_nothing: false,
            is_restless: false,
            may_hold_copies: false,
            may_have_forgotten: false,
        };
        for _ in 0..plan.servers {
            system.add_server(plan);
        }
        if plan.has_work {
            system.world.begin_work();
        }
        for _ in 0..plan.programs {
            system.add_program();
        }
        for path in &plan.browsers {
            system.add_browser(*path, keeping);
        }
        system
    }

    fn add_server(&mut self, plan: &Plan) {
        let seed = self.random.next_u64();
        let mut config = ServerConfig::new(seed);
        let mut uplink = UplinkConfig::new(seed);
        if plan.is_gentle {
            // Longer than any run, so that age loses nothing.
            config.hub.history.age_max = secs(24 * 3600);
        }
        uplink.call_timeout = secs(2);
        uplink.publish_patience = secs(3);
        if plan.is_tight {
            config.outbox_bytes_max = 700;
            config.hub.history.count_max = 3;
            config.presence.limits.message_bytes_max = 200;
            config.presence.limits.removals_max = 3;
            config.presence.limits.gaps_max = 3;
            uplink.held_max = 2;
            uplink.reads_max = 1;
            uplink.batch_max = 2;
            uplink.publishes_max = 8;
        }
        if plan.kind == Kind::Memory {
            self.world.add_owner(config);
        } else {
            self.world.add_server_with(config, uplink);
        }
    }

    /// A number from 0 up to and including `most`.
    fn pick(&mut self, most: u64) -> u64 {
        self.random.up_to(most)
    }

    fn quality(&mut self) -> Quality {
        Quality {
            up: ms(1 + self.random.up_to(30)),
            down: ms(1 + self.random.up_to(30)),
            // If room is tight, some transports are too slow for the load.
            per_frame: ms(self.random.up_to(1) * if self.is_tight { 20 } else { 0 }),
            is_reachable: true,
        }
    }

    /// The time of the next event anywhere.
    fn next(&self) -> Option<Instant> {
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        let programs = self.programs.iter().map(|program| program.wakes(self.now));
        let browsers = self.browsers.iter().map(BrowserNode::next);
        let all = programs.chain(browsers).chain([self.world.next(), event]);
        all.flatten().min()
    }

    /// Goes on to the next event, but not beyond `end`. Returns whether there was one.
    ///
    /// # Panics
    /// If a machine asks to be woken in the past, or a promise is broken.
    pub fn step(&mut self, end: Instant) -> bool {
        let Some(next) = self.next().filter(|next| *next <= end) else {
            return false;
        };
        self.advance(next);
        self.stats.steps += 1;
        let now = self.now;
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        if event.is_some_and(|at| at <= now) {
            let (_, event) = self.events.pop_first().expect("there is one");
            self.happen(event);
        } else if self.world.next().is_some_and(|at| at <= now) {
            self.world.step(now);
        } else {
            self.step_browsers();
            self.fire_programs();
        }
        self.settle();
        true
    }

    /// Advances all clocks.
    fn advance(&mut self, to: Instant) {
        if to > self.now {
            self.stats.at_once = 0;
        }
        self.stats.at_once += 1;
        assert!(self.stats.at_once < 200_000, "time stands still");
        self.now = self.now.max(to);
        self.world.now = self.now;
        for browser in &mut self.browsers {
            browser.set_now(self.now);
        }
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.advance(end);
    }

    /// Carries out all outputs until there are none left.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            if let Some(outward) = self.world.outward.pop_front() {
                self.handle_world(outward);
            } else if !self.settle_programs() && !self.settle_browsers() {
                return self.wake_early();
            }
        }
        panic!("there is no end of things to do");
    }

    /// Whether machines are woken before their time, too.
    fn set_restless(&mut self, is_restless: bool) {
        self.is_restless = is_restless;
        self.world.is_restless = is_restless;
        for node in &mut self.browsers {
            node.browser.is_restless = is_restless;
        }
    }

    /// Wakes programs before their deadlines. Servers and pages are woken when they are settled.
    fn wake_early(&mut self) {
        for program in self.programs.iter_mut().filter(|_| self.is_restless) {
            let now = program.clock(self.now);
            if let Some(hub) = &mut program.hub {
                wake_early(hub, now, |hub| hub.poll_output());
            }
        }
    }

    fn note(&mut self, what: core::fmt::Arguments<'_>) {
        self.log.note(self.now, what);
    }
}
