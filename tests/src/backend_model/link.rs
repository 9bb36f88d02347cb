//! The links between servers and the backend: what travels, with which delay, and what is lost on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use core::time::Duration;

use tidegate_core::hub::{ConnectionId, Disconnect};
use tidegate_core::presence::PresenceMessage;
use tidegate_core::progress::ProgressMessage;
use tidegate_core::publication::Publication;
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::{CallId, UplinkAnswer, UplinkCall, UplinkFailure};

use super::World;
use crate::json::Json;

/// The quality of links. Shares are in percent.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The longest that a call or its answer takes.
    pub call_ms_max: u64,
    /// The longest that an announcement takes.
    pub announce_ms_max: u64,
    /// The share of announcements that are dropped.
    pub drops: u64,
    /// The share of those that the server is told of.
    pub reports: u64,
    /// The share of announcements that arrive twice.
    pub doubles: u64,
    /// The share of calls that never arrive.
    pub lost_calls: u64,
    /// The share of answers that never arrive.
    pub lost_answers: u64,
    /// The share of calls that fail, half of them after they were carried out.
    pub failures: u64,
}

impl Weather {
    /// Everything arrives, within a few milliseconds.
    pub const CALM: Self = Self {
        call_ms_max: 3,
        announce_ms_max: 3,
        drops: 0,
        reports: 0,
        doubles: 0,
        lost_calls: 0,
        lost_answers: 0,
        failures: 0,
    };
}

/// A server's link.
#[derive(Debug)]
pub struct Link {
    /// Whether the backend can be reached.
    pub is_reachable: bool,
    /// What it follows, as the backend knows it.
    pub followed: BTreeSet<Pattern>,
    /// Whether an announcement was dropped without telling the server since it last followed its channels anew.
    pub is_deaf: bool,
    pub(super) sessions: BTreeSet<ConnectionId>,
    /// Counts how often it was opened. Events of an earlier opening are dropped.
    pub(super) feed: u64,
    pub(super) is_open: bool,
    /// When the last announcement of a topic arrives, so that no later one overtakes it.
    arrivals: BTreeMap<Topic, Instant>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            is_reachable: true,
            followed: BTreeSet::new(),
            is_deaf: false,
            sessions: BTreeSet::new(),
            feed: 0,
            is_open: false,
            arrivals: BTreeMap::new(),
        }
    }
}

/// Something on its way.
#[derive(Debug)]
pub(super) enum Event {
    Call {
        server: usize,
        feed: u64,
        id: CallId,
        call: UplinkCall<Json>,
    },
    Answer {
        server: usize,
        life: u32,
        id: CallId,
        answer: UplinkAnswer<Json>,
        /// Whether the link is open with it.
        opens: bool,
    },
    Presence {
        server: usize,
        life: u32,
        message: PresenceMessage<Json>,
    },
    Progress {
        server: usize,
        life: u32,
        message: ProgressMessage,
    },
    Disconnects {
        server: usize,
        life: u32,
        told: Vec<Disconnect>,
    },
    Heard {
        server: usize,
        feed: u64,
        publication: Arc<Publication<Json>>,
    },
    Missed {
        server: usize,
        feed: u64,
    },
    Lost {
        server: usize,
        feed: u64,
    },
}

impl World {
    pub(super) fn send_call(&mut self, server: usize, id: CallId, call: UplinkCall<Json>) {
        let link = &mut self.servers[server].link;
        if matches!(call, UplinkCall::Open) {
            link.feed += 1;
            link.is_open = false;
            link.followed.clear();
        }
        let feed = link.feed;
        if self.chance(self.weather.lost_calls) {
            return;
        }
        let event = Event::Call {
            server,
            feed,
            id,
            call,
        };
        self.send_within(self.weather.call_ms_max, event);
    }

    fn chance(&mut self, percent: u64) -> bool {
        percent > 0 && self.random.up_to(99) < percent
    }

    fn send_within(&mut self, ms_max: u64, event: Event) {
        let micros = self.random.up_to(ms_max * 1000);
        self.send_at(self.now + Duration::from_micros(micros), event);
    }

    pub(super) fn send_at(&mut self, at: Instant, event: Event) {
        self.next_event += 1;
        self.events.insert((at, self.next_event), event);
    }

    pub(super) fn happen(&mut self, event: Event) {
        self.note(format_args!("{event:?}"));
        let (server, feed) = match event {
            Event::Call {
                server,
                feed,
                id,
                call,
            } => return self.carry_out(server, feed, id, &call),
            Event::Answer { server, life, .. }
            | Event::Presence { server, life, .. }
            | Event::Progress { server, life, .. }
            | Event::Disconnects { server, life, .. } => {
                if self.servers[server].life == life {
                    self.arrive(server, event);
                }
                return;
            }
            Event::Heard { server, feed, .. }
            | Event::Missed { server, feed }
            | Event::Lost { server, feed } => (server, feed),
        };
        if self.servers[server].link.feed == feed {
            self.arrive(server, event);
        }
    }

    /// An event reaches a server; if the server is paused, once it runs again.
    fn arrive(&mut self, server: usize, event: Event) {
        if !self.servers[server].is_up {
            return;
        }
        let until = self.servers[server].paused_until;
        if until > self.now {
            return self.send_at(until, event);
        }
        let now = self.clock(server);
        let super::Server { hub, tracker, .. } = &mut self.servers[server];
        match event {
            Event::Answer {
                id, answer, opens, ..
            } => {
                hub.handle_answer(now, id, answer);
                if opens {
                    hub.handle_servers_linked(now);
                    tracker
                        .iter_mut()
                        .for_each(|known| known.handle_linked(now));
                }
            }
            Event::Progress { message, .. } => {
                if let Some(tracker) = tracker {
                    tracker.handle_message(now, message);
                }
            }
            Event::Presence { message, .. } => hub.handle_presence_heard(now, message),
            Event::Disconnects { told, .. } => hub.handle_disconnects_heard(now, told),
            Event::Heard { publication, .. } => hub.handle_heard(now, publication),
            Event::Missed { .. } => hub.handle_missed(now),
            Event::Lost { .. } => hub.handle_lost(now),
            Event::Call { .. } => {}
        }
        self.settle(server);
    }

    /// A call has arrived at the backend.
    fn carry_out(&mut self, server: usize, feed: u64, id: CallId, call: &UplinkCall<Json>) {
        let fails = self.chance(self.weather.failures);
        let fails_after = fails && self.chance(50);
        let link = &mut self.servers[server].link;
        let is_current = link.feed == feed;
        if matches!(call, UplinkCall::Open) && is_current && link.is_reachable {
            link.is_open = true;
        }
        let stands = link.is_open && is_current;
        // A publish that was in flight when the link was lost may still be stored.
        let is_stored = matches!(call, UplinkCall::Publish(_)) && link.is_reachable;
        let mut answer = UplinkAnswer::Failed(UplinkFailure::Lost);
        if (!fails || fails_after) && (stands || (is_stored && self.chance(50))) {
            let before = self.store.stored.len();
            let done = self.perform(server, call);
            if !is_current {
                let late = self.store.stored[before..].iter();
                let numbers = late.filter_map(|publication| publication.payload.0["n"].as_u64());
                self.store.late.extend(numbers);
            }
            if stands && !fails {
                answer = done;
            }
        }
        if fails && is_current {
            self.shut(server);
        }
        if !self.chance(self.weather.lost_answers) {
            let opens = matches!(call, UplinkCall::Open) && answer == UplinkAnswer::Done;
            let life = self.servers[server].life;
            let event = Event::Answer {
                server,
                life,
                id,
                answer,
                opens,
            };
            self.send_within(self.weather.call_ms_max, event);
        }
    }

    /// Carries out a call that the test has held, and returns the backend's answer.
    pub fn perform(&mut self, server: usize, call: &UplinkCall<Json>) -> UplinkAnswer<Json> {
        let link = &mut self.servers[server].link;
        match call {
            // Of the last, nobody needs an answer.
            UplinkCall::Open | UplinkCall::Probe | UplinkCall::GiveUp => UplinkAnswer::Done,
            UplinkCall::Follow(patterns) => {
                link.followed.extend(patterns.iter().cloned());
                UplinkAnswer::Done
            }
            UplinkCall::Unfollow(patterns) => {
                patterns
                    .iter()
                    .for_each(|pattern| _ = link.followed.remove(pattern));
                UplinkAnswer::Done
            }
            UplinkCall::Read { topic, since } => {
                UplinkAnswer::Excerpt(self.store.read(topic, *since))
            }
            UplinkCall::List(pattern) => UplinkAnswer::Excerpts(self.store.list(pattern)),
            UplinkCall::ListPage(page) => {
                UplinkAnswer::Excerpts(page.of(self.store.list(&page.pattern)))
            }
            UplinkCall::Publish(_) if self.store.is_full => {
                UplinkAnswer::Failed(UplinkFailure::Full)
            }
            UplinkCall::Publish(batch) => {
                let mut results = Vec::new();
                for request in batch {
                    let (result, publication) = self.store.publish(request);
                    results.push(result);
                    publication
                        .iter()
                        .for_each(|publication| self.announce(publication));
                }
                UplinkAnswer::Published(results)
            }
            UplinkCall::Cursors(calls) => {
                UplinkAnswer::Cursors(self.store.cursors.carry_out(self.now, calls))
            }
            UplinkCall::Renew { topic, epoch } => {
                let publication = self.store.renew(topic, *epoch);
                publication
                    .iter()
                    .for_each(|publication| self.announce(publication));
                UplinkAnswer::Done
            }
        }
    }

    /// Tells all servers that follow.
    pub(super) fn announce(&mut self, publication: &Arc<Publication<Json>>) {
        for server in 0..self.servers.len() {
            let link = &self.servers[server].link;
            let matches = |pattern: &Pattern| pattern.matches(&publication.topic);
            if link.is_open && link.followed.iter().any(matches) {
                self.announce_to(server, publication);
            }
        }
    }

    fn announce_to(&mut self, server: usize, publication: &Arc<Publication<Json>>) {
        let feed = self.servers[server].link.feed;
        if self.chance(self.weather.drops) {
            if self.chance(self.weather.reports) {
                let event = Event::Missed { server, feed };
                self.send_within(self.weather.announce_ms_max, event);
            } else {
                self.servers[server].link.is_deaf = true;
            }
            return;
        }
        let micros = self.random.up_to(self.weather.announce_ms_max * 1000);
        let at = self.now + Duration::from_micros(micros);
        let last = self.servers[server]
            .link
            .arrivals
            .entry(publication.topic.clone());
        let at = *last.and_modify(|last| *last = at.max(*last)).or_insert(at);
        let heard = || Event::Heard {
            server,
            feed,
            publication: Arc::clone(publication),
        };
        self.send_at(at, heard());
        if self.chance(self.weather.doubles) {
            self.send_within(3 * self.weather.announce_ms_max, heard());
        }
    }

    /// An announcement arrives, regardless of the weather.
    pub fn hear(&mut self, server: usize, publication: &Arc<Publication<Json>>) {
        self.note(format_args!("{server} hears {publication:?}"));
        let now = self.clock(server);
        let hub = &mut self.servers[server].hub;
        hub.handle_heard(now, Arc::clone(publication));
        self.settle(server);
    }

    /// A server is told that it may have missed something.
    pub fn miss(&mut self, server: usize) {
        self.note(format_args!("{server} has missed something"));
        self.servers[server].link.is_deaf = false;
        let now = self.clock(server);
        self.servers[server].hub.handle_missed(now);
        self.settle(server);
    }

    /// The backend drops a link. The server is told soon, or only notices by failing calls.
    pub fn cut(&mut self, server: usize, is_told: bool) {
        self.note(format_args!("{server} is cut, told: {is_told}"));
        self.shut(server);
        let feed = self.servers[server].link.feed;
        if is_told {
            self.send_within(self.weather.call_ms_max, Event::Lost { server, feed });
        }
    }

    pub(super) fn shut(&mut self, server: usize) {
        let link = &mut self.servers[server].link;
        link.is_open = false;
        link.followed.clear();
    }
}
