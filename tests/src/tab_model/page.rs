//! A page or a worker of the browser: a machine, and the state of its environment.

use std::collections::BTreeMap;

use core::time::Duration;

use tidegate_core::client::ConnectionState;
use tidegate_core::hub::SubscriptionId;
use tidegate_core::protocol::{ServerFrame, WireError};
use tidegate_core::publication::Position;
use tidegate_core::tabs::{Message, Role, TabHub, TabId, TabOutput, Tabs, Term};
use tidegate_core::time::Instant;

use super::{Event, Gives};
use crate::json::Json;

/// Whether a page runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs.
    Awake,
    /// Its timers, promises and sockets stand still; messages are handled.
    Frozen,
    /// Nothing of it runs, until its user comes back.
    Cached,
    /// It is closed, or has crashed.
    Gone,
}

/// The machine that it runs.
#[derive(Debug)]
pub enum Machine {
    /// That of a page.
    Tab(Box<TabHub<Json>>),
    /// That of a shared worker.
    Worker(Box<Tabs<Json>>),
}

impl Machine {
    /// Its part in sharing the connection.
    pub fn tabs(&self) -> &Tabs<Json> {
        match self {
            Self::Tab(hub) => hub.tabs(),
            Self::Worker(tabs) => tabs,
        }
    }

    pub(super) fn handle_uplink_opened(&mut self, now: Instant, link: u32) {
        match self {
            Self::Tab(hub) => hub.handle_uplink_opened(now, link),
            Self::Worker(tabs) => tabs.handle_uplink_opened(now, link),
        }
    }

    pub(super) fn handle_uplink_closed(&mut self, now: Instant, link: u32) {
        match self {
            Self::Tab(hub) => hub.handle_uplink_closed(now, link),
            Self::Worker(tabs) => tabs.handle_uplink_closed(now, link),
        }
    }

    pub(super) fn handle_uplink_frame(
        &mut self,
        now: Instant,
        link: u32,
        frame: ServerFrame<Json>,
    ) {
        match self {
            Self::Tab(hub) => hub.handle_uplink_frame(now, link, frame),
            Self::Worker(tabs) => tabs.handle_uplink_frame(now, link, frame),
        }
    }

    pub(super) fn handle_message(&mut self, now: Instant, message: Message<Json>) {
        match self {
            Self::Tab(hub) => hub.handle_message(now, message),
            Self::Worker(tabs) => tabs.handle_message(now, message),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Tab(hub) => hub.handle_timeout(now),
            Self::Worker(tabs) => tabs.handle_timeout(now),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Tab(hub) => hub.poll_timeout(),
            Self::Worker(tabs) => tabs.poll_timeout(),
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<TabOutput<Json>> {
        match self {
            Self::Tab(hub) => hub.poll_output(),
            Self::Worker(tabs) => tabs.poll_output().map(TabOutput::Tabs),
        }
    }
}

/// A page or a worker, with everything that it was told.
#[derive(Debug)]
pub struct Page {
    /// Its identity in the group.
    pub tab: TabId,
    /// The machine under test.
    pub machine: Machine,
    /// Whether it runs.
    pub life: Life,
    /// Whether its user sees it.
    pub is_visible: bool,
    /// The behaviour of its token function.
    pub gives: Gives,
    /// Its timers fire only at multiples of this.
    pub lateness: Duration,
    /// The generation of the worker that it is attached to.
    pub attached: Option<u64>,
    /// Every state of its connection, and when it began.
    pub states: Vec<(Instant, ConnectionState)>,
    /// When it began to lead, and in which term.
    pub led: Vec<(Instant, Term)>,
    /// Every change of its role.
    pub roles: Vec<(Instant, Role)>,
    /// The answers to its publishes.
    pub published: BTreeMap<u64, Result<Position, WireError>>,
    pub(super) subscribers: BTreeMap<SubscriptionId, usize>,
    /// The events that wait for it to wake up.
    pub(super) postponed: Vec<Event>,
    /// Whether the messages that it sent just before it crashed are lost.
    pub(super) is_unheard: bool,
}

impl Page {
    pub(super) fn new(tab: TabId, machine: Machine) -> Self {
        Self {
            tab,
            machine,
            life: Life::Awake,
            is_visible: true,
            gives: Gives::default(),
            lateness: Duration::ZERO,
            attached: None,
            states: Vec::new(),
            led: Vec::new(),
            roles: Vec::new(),
            published: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            postponed: Vec::new(),
            is_unheard: false,
        }
    }

    /// Whether this is a page that is not closed.
    pub fn is_open_tab(&self) -> bool {
        self.life != Life::Gone && matches!(self.machine, Machine::Tab(_))
    }

    /// When its next timer fires, lateness included.
    pub(super) fn wakes(&self, now: Instant) -> Option<Instant> {
        if self.life != Life::Awake {
            return None;
        }
        let at = self.machine.poll_timeout()?;
        let step = u64::try_from(self.lateness.as_micros()).expect("short");
        if step == 0 {
            return Some(at);
        }
        let micros = at.max(now).as_micros();
        Some(Instant::from_micros(micros.div_ceil(step) * step))
    }
}
