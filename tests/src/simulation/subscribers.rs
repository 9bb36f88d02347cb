//! The actions of users in programs and pages: subscribing, changing flows, unsubscribing, publishing, being present.

use tidegate_core::flow::{Conflate, Flow, Slow};
use tidegate_core::hub::{Due, SubscriptionId};
use tidegate_core::protocol::{PublishRequest, Start, SubscribeRequest};
use tidegate_core::topic::Pattern;

use super::{ASKED_FROM, Asked, By, DEVICES, PATTERNS, ROOMS, SUMS, StartAt, System, Who};
use crate::backend_model::World;
use crate::json::{Json, report};
use crate::presence_model::key;
use crate::record::Record;
use crate::tab_model::Life;
use crate::{pattern, topic};

/// A subscriber: of a program by its record, or of a browser by the browser's record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subscriber {
    Program(usize),
    Browser(usize, usize),
}

pub(super) fn subscription_of(due: &Due<Json>) -> SubscriptionId {
    match due {
        Due::Deliver { delivery, .. } => delivery.subscription,
        Due::Reset { subscription, .. }
        | Due::End { subscription, .. }
        | Due::Lagged { subscription, .. }
        | Due::Refused { subscription, .. } => *subscription,
    }
}

impl System {
    /// A client that can act: a program that is up, or a page that is awake.
    pub(super) fn actor(&self, who: Who) -> Option<By> {
        match who {
            Who::Program(program) => {
                let program = program.checked_rem(self.programs.len())?;
                let is_up = self.programs[program].hub.is_some();
                is_up.then_some(By::Program(program))
            }
            Who::Page(browser, page) => {
                let browser = browser.checked_rem(self.browsers.len())?;
                let awake = self.browsers[browser].pages(Life::Awake);
                let page = awake[page.checked_rem(awake.len())?];
                Some(By::Page(browser, page))
            }
        }
    }

    pub(super) fn subscribe(&mut self, who: Who, to: usize, flow: Flow, start: StartAt) {
        let to = PATTERNS[to];
        let start = match start {
            StartAt::Latest | StartAt::Known => Start::Latest,
            StartAt::New => Start::New,
        };
        match self.actor(who) {
            Some(By::Program(program)) => {
                let record = self.records.len();
                let now = self.programs[program].clock(self.now);
                let mut new = Record::new(now, program, pattern(to), flow);
                new.is_gapless &= self.slow_of(&new.pattern) != Some(Slow::Conflate);
                self.records.push(new);
                self.subscribe_record(program, record, start);
            }
            Some(By::Page(browser, page)) => {
                let browser = &mut self.browsers[browser].browser;
                browser.subscribe_from(page, to, flow, start);
            }
            Some(By::Server(_) | By::Nobody) | None => {}
        }
        self.settle();
    }

    /// The policy of a program for slow connections. On patterns of devices, nothing may be left out; nor on the
    /// pattern of sums, where other subscribers may want every value.
    fn slow_of(&self, to: &Pattern) -> Option<Slow> {
        let of_devices = DEVICES.iter().map(|(_, of)| *of);
        let mut all = of_devices.chain([PATTERNS[SUMS]]);
        self.slow.filter(|_| all.all(|of| pattern(of) != *to))
    }

    fn subscribe_record(&mut self, program: usize, record: usize, start: Start) {
        let Record { pattern, flow, .. } = &self.records[record];
        let (to, flow) = (pattern.clone(), *flow);
        self.note(format_args!(
            "program {program} subscribes {record} to {to}, {flow:?}, {start:?}"
        ));
        let request = SubscribeRequest {
            start,
            slow: self.slow_of(&to),
            ..SubscribeRequest::new(to, flow)
        };
        let mut id = None;
        self.with_program(program, |hub, now| {
            let subscribed = hub.handle_subscribe(now, 0, request);
            id = Some(subscribed.expect("flows are correct"));
        });
        let id = id.expect("the program is up");
        self.programs[program].subscribers.insert(id, record);
    }

    /// Resumes a subscriber of a restarted program.
    pub(super) fn resume_record(&mut self, program: usize, record: usize) {
        let now = self.programs[program].clock(self.now);
        let known = self.records[record].resume(now);
        let start = if known.is_empty() {
            Start::Latest
        } else {
            Start::Since(known)
        };
        self.subscribe_record(program, record, start);
    }

    /// The subscribers that may still be told something.
    pub(super) fn live(&self) -> Vec<Subscriber> {
        let is_live = |record: &Record| !record.is_gone && !record.is_over();
        let own = self.programs.iter().flat_map(|program| {
            let records = program.subscribers.values().copied();
            records.filter(|record| is_live(&self.records[*record]))
        });
        let mut live: Vec<Subscriber> = own.map(Subscriber::Program).collect();
        for (index, node) in self.browsers.iter().enumerate() {
            for (record, known) in node.browser.records.iter().enumerate() {
                if is_live(known) && node.browser.pages[known.peer].life == Life::Awake {
                    live.push(Subscriber::Browser(index, record));
                }
            }
        }
        live
    }

    fn choose(&self, which: usize) -> Option<Subscriber> {
        let live = self.live();
        Some(live[which.checked_rem(live.len())?])
    }

    pub(super) fn unsubscribe(&mut self, which: usize) {
        match self.choose(which) {
            Some(Subscriber::Program(record)) => self.unsubscribe_record(record),
            Some(Subscriber::Browser(browser, record)) => {
                self.browsers[browser].browser.unsubscribe(record);
            }
            None => {}
        }
        self.settle();
    }

    pub(super) fn unsubscribe_record(&mut self, record: usize) {
        let program = self.records[record].peer;
        self.records[record].is_gone = true;
        self.note(format_args!("program {program} unsubscribes {record}"));
        let subscribers = self.programs[program].subscribers.iter();
        let mut found = subscribers.filter(|(_, other)| **other == record);
        let id = found.next().map(|(id, _)| *id).expect("it has subscribed");
        self.with_program(program, |hub, now| hub.handle_unsubscribe(now, id));
        if let Some(deal) = self.programs[program].deals.remove(&id) {
            self.programs[program].owned.remove(&deal.device);
        }
        self.settle();
    }

    pub(super) fn reflow(&mut self, which: usize, flow: Flow) {
        // A subscriber that sums keeps doing so: what it was told is not a latest value.
        let adapt = |record: &Record| Flow {
            conflate: record.flow.conflate,
            delta: flow.delta && !matches!(record.flow.conflate, Conflate::Collect { .. }),
            ..flow
        };
        match self.choose(which) {
            // Durable subscriptions keep their flow.
            Some(Subscriber::Program(record)) if self.is_device(record) => {}
            Some(Subscriber::Program(record)) => {
                let program = self.records[record].peer;
                let flow = adapt(&self.records[record]);
                let now = self.programs[program].clock(self.now);
                self.records[record].set_flow(now, flow);
                self.note(format_args!("program {program} paces {record}: {flow:?}"));
                let subscribers = self.programs[program].subscribers.iter();
                let mut found = subscribers.filter(|(_, other)| **other == record);
                let id = found.next().map(|(id, _)| *id).expect("it has subscribed");
                self.with_program(program, |hub, now| {
                    hub.handle_flow(now, id, flow).expect("flows are correct");
                });
            }
            Some(Subscriber::Browser(browser, record)) => {
                let browser = &mut self.browsers[browser].browser;
                let flow = adapt(&browser.records[record]);
                browser.set_flow(record, flow);
            }
            None => {}
        }
        self.settle();
    }

    /// Publishes: as a server on its own behalf, as a client, or directly to the backend.
    pub(super) fn publish(&mut self, by: By, mut request: PublishRequest<Json>) {
        let actor = match by {
            By::Program(program) => self.actor(Who::Program(program)),
            By::Page(browser, page) => self.actor(Who::Page(browser, page)),
            By::Server(server) => Some(By::Server(server % self.world.servers.len())),
            By::Nobody => Some(By::Nobody),
        };
        let Some(by) = actor else {
            return;
        };
        if let By::Server(server) = by {
            if self.world.runs(server) {
                self.world.publish_request(server, None, request);
            }
            return self.settle();
        }
        let number = ASKED_FROM + self.asked.len() as u64;
        request.payload = report(number);
        self.note(format_args!("{by:?} publishes {request:?}"));
        let mut asked = 0;
        match by {
            By::Program(program) => {
                self.with_program(program, |hub, now| asked = hub.handle_publish(now, request));
            }
            By::Page(browser, page) => {
                asked = self.browsers[browser].browser.publish_from(page, request);
            }
            By::Server(_) => {}
            By::Nobody => self.world.publish_raw(&request),
        }
        self.asked.push(Asked {
            by,
            request: asked,
            is_lost: by == By::Nobody,
        });
        self.settle();
    }

    /// Notes that a client is gone, so its publishes can't be answered.
    pub(super) fn lose_asked(&mut self, who: By) {
        let own = self.asked.iter_mut().filter(|asked| asked.by == who);
        own.for_each(|asked| asked.is_lost = true);
    }

    pub(super) fn track(&mut self, who: Who, room: usize, as_key: usize) {
        let room = topic(ROOMS[room]);
        // If servers authenticate their clients, all of them are the same user, whose name is the only key.
        let as_key = if self.world.asks { 0 } else { as_key };
        let as_key = key([World::USER, "bob", "eve"][as_key]);
        self.metas += 1;
        let meta = self.metas;
        let presence = (room.clone(), as_key.clone(), meta.into());
        let mut number = 0;
        match self.actor(who) {
            Some(By::Program(program)) => {
                self.with_program(program, |hub, now| {
                    number = hub.handle_track(now, room, as_key, Json::from(meta));
                });
                self.programs[program].present.insert(number, presence);
            }
            Some(By::Page(browser, page)) => {
                let node = &mut self.browsers[browser];
                number = node.browser.come(page, &room, &as_key, Json::from(meta));
                node.present.insert((page, number), presence);
            }
            Some(By::Server(_) | By::Nobody) | None => {}
        }
        self.settle();
    }

    pub(super) fn untrack(&mut self, who: Who, which: usize) {
        match self.actor(who) {
            Some(By::Program(program)) => {
                let present: Vec<u64> = self.programs[program].present.keys().copied().collect();
                if let Some(index) = which.checked_rem(present.len()) {
                    let number = present[index];
                    self.programs[program].present.remove(&number);
                    self.with_program(program, |hub, now| hub.handle_untrack(now, number));
                }
            }
            Some(By::Page(browser, page)) => {
                let node = &mut self.browsers[browser];
                let own = node.present.keys().filter(|(other, _)| *other == page);
                let own: Vec<u64> = own.map(|(_, number)| *number).collect();
                if let Some(index) = which.checked_rem(own.len()) {
                    node.present.remove(&(page, own[index]));
                    node.browser.go(page, own[index]);
                }
            }
            Some(By::Server(_) | By::Nobody) | None => {}
        }
        self.settle();
    }

    pub(super) fn watch(&mut self, who: Who, room: usize) {
        let room = topic(ROOMS[room]);
        match self.actor(who) {
            Some(By::Program(program)) => {
                self.with_program(program, |hub, now| hub.handle_watch(now, &room));
                self.programs[program].watched.insert(room);
            }
            Some(By::Page(browser, page)) => {
                let node = &mut self.browsers[browser];
                node.browser.watch(page, &room);
                node.watched.insert((page, room));
            }
            Some(By::Server(_) | By::Nobody) | None => {}
        }
        self.settle();
    }
}
