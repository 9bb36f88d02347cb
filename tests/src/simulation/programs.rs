//! Programs: clients with a connection of their own.

use std::collections::{BTreeMap, BTreeSet};

use core::time::Duration;

use tidegate_core::client::{ClientConfig, TokenSource};
use tidegate_core::hub::{ClientHub, ClientOutput, SubscriptionId};
use tidegate_core::protocol::{ClientFrame, WireError};
use tidegate_core::publication::Position;
use tidegate_core::time::Instant;
use tidegate_core::topic::Topic;

use super::System;
use super::devices::Deal;
use super::links::{LinkId, Owner};
use super::subscribers::subscription_of;
use crate::json::Json;
use crate::network::{Quality, decode_down, encode_up};
use crate::presence_model::Presence;

/// A program with its subscribers.
#[derive(Debug)]
pub struct Program {
    /// The machine under test; none while the program is down.
    pub hub: Option<ClientHub<Json>>,
    /// The quality of its next links.
    pub quality: Quality,
    /// How far its clock is ahead.
    pub ahead: Duration,
    /// Its timers fire only at multiples of this.
    pub lateness: Duration,
    /// The answers to its publishes since it started.
    pub published: BTreeMap<u64, Result<Position, WireError>>,
    /// Its presences since it started, by its number for each.
    pub present: BTreeMap<u64, Presence>,
    /// The topics whose presences it has watched since it started.
    pub watched: BTreeSet<Topic>,
    pub(super) subscribers: BTreeMap<SubscriptionId, usize>,
    /// The subscribers that it will have again when it restarts.
    pub(super) kept: Vec<usize>,
    /// The devices that it is whenever it runs.
    pub(super) owned: BTreeSet<usize>,
    /// Its durable subscriptions since it started.
    pub(super) deals: BTreeMap<SubscriptionId, Deal>,
    /// Counts its starts.
    pub(super) lives: usize,
    /// Whether its token function fails.
    pub(super) has_no_tokens: bool,
    /// The link of its latest attempt.
    pub(super) link: Option<LinkId>,
}

impl Program {
    pub(super) fn clock(&self, now: Instant) -> Instant {
        now + self.ahead
    }

    /// When its next timer fires, lateness included.
    pub(super) fn wakes(&self, now: Instant) -> Option<Instant> {
        let at = self.hub.as_ref()?.poll_timeout()?;
        let ahead = u64::try_from(self.ahead.as_micros()).expect("within a life");
        let at = at.as_micros().saturating_sub(ahead);
        let step = u64::try_from(self.lateness.as_micros()).expect("short");
        if step == 0 {
            return Some(Instant::from_micros(at));
        }
        let at = at.max(now.as_micros()).div_ceil(step) * step;
        Some(Instant::from_micros(at))
    }
}

impl System {
    pub(super) fn add_program(&mut self) {
        let quality = self.quality();
        self.programs.push(Program {
            hub: None,
            quality,
            ahead: Duration::ZERO,
            lateness: Duration::ZERO,
            published: BTreeMap::new(),
            present: BTreeMap::new(),
            watched: BTreeSet::new(),
            subscribers: BTreeMap::new(),
            kept: Vec::new(),
            owned: BTreeSet::new(),
            deals: BTreeMap::new(),
            lives: 0,
            has_no_tokens: false,
            link: None,
        });
        self.start_program(self.programs.len() - 1);
    }

    /// A program starts and connects. If it knows its subscribers' positions, it resumes from them.
    pub(super) fn start_program(&mut self, program: usize) {
        if self.programs[program].hub.is_some() {
            return;
        }
        self.note(format_args!("program {program} starts"));
        let seed = self.random.next_u64();
        let now = self.programs[program].clock(self.now);
        let mut config = ClientConfig::new(seed);
        if self.world.asks {
            config.token = TokenSource::Asked;
        }
        let mut hub = ClientHub::new(config);
        hub.handle_connect(now);
        self.programs[program].hub = Some(hub);
        self.programs[program].lives += 1;
        for record in core::mem::take(&mut self.programs[program].kept) {
            self.resume_record(program, record);
        }
        for device in self.programs[program].owned.clone() {
            self.open_device(program, device);
        }
        self.settle();
    }

    /// A program dies.
    pub(super) fn stop_program(&mut self, program: usize, keeps_state: bool) {
        if self.programs[program].hub.take().is_none() {
            return;
        }
        self.note(format_args!("program {program} dies, knows: {keeps_state}"));
        let stopped = &mut self.programs[program];
        let subscribers = core::mem::take(&mut stopped.subscribers);
        let deals = core::mem::take(&mut stopped.deals);
        stopped.published.clear();
        stopped.present.clear();
        stopped.watched.clear();
        stopped.lateness = Duration::ZERO;
        let link = stopped.link.take();
        for (id, record) in subscribers {
            let is_durable = deals.contains_key(&id);
            // Only the first of several subscribers to a pattern: their positions may differ, but a client resumes a
            // pattern only once.
            let kept = &self.programs[program].kept;
            let mut kept = kept.iter().map(|kept| &self.records[*kept].pattern);
            let is_first = kept.all(|kept| *kept != self.records[record].pattern);
            let known = &mut self.records[record];
            if keeps_state && is_first && !is_durable && !known.is_gone && !known.is_over() {
                self.programs[program].kept.push(record);
            } else {
                known.is_gone = true;
            }
        }
        self.lose_asked(super::By::Program(program));
        if let Some(link) = link {
            let cut = crate::network::Cut::ALL[usize::try_from(self.pick(3)).expect("below 4")];
            self.cut_link(link, cut);
        }
    }

    pub(super) fn with_program(
        &mut self,
        program: usize,
        act: impl FnOnce(&mut ClientHub<Json>, Instant),
    ) {
        let now = self.programs[program].clock(self.now);
        if let Some(hub) = &mut self.programs[program].hub {
            act(hub, now);
        }
    }

    pub(super) fn program_opened(&mut self, program: usize, number: u32) {
        self.with_program(program, |hub, now| hub.handle_opened(now, number));
    }

    pub(super) fn program_closed(&mut self, program: usize, number: u32) {
        self.with_program(program, |hub, now| hub.handle_closed(now, number));
    }

    pub(super) fn program_frame(&mut self, program: usize, number: u32, text: &str) {
        let frame = decode_down(text);
        self.with_program(program, |hub, now| hub.handle_frame(now, number, frame));
    }

    pub(super) fn fire_programs(&mut self) {
        for program in 0..self.programs.len() {
            let is_due = |program: &Program, now| program.wakes(now).is_some_and(|at| at <= now);
            if is_due(&self.programs[program], self.now) {
                self.with_program(program, |hub, now| {
                    hub.handle_timeout(now);
                    let next = hub.poll_timeout();
                    assert!(next.is_none_or(|at| at > now), "program {program} spins");
                });
            }
        }
    }

    /// Carries out the outputs of programs; returns whether there were any.
    pub(super) fn settle_programs(&mut self) -> bool {
        let mut did = false;
        for program in 0..self.programs.len() {
            while let Some(output) = self.programs[program]
                .hub
                .as_mut()
                .and_then(ClientHub::poll_output)
            {
                did = true;
                self.handle_program(program, output);
            }
        }
        did
    }

    fn handle_program(&mut self, program: usize, output: ClientOutput<Json>) {
        match output {
            ClientOutput::AskToken { request } => self.ask_token(program, request),
            ClientOutput::Connect { link } => {
                let quality = self.programs[program].quality;
                let id = self.open_link(Owner::Program(program, link), quality);
                self.programs[program].link = Some(id);
            }
            ClientOutput::Disconnect { link } => {
                let owner = Owner::Program(program, link);
                let own = self.programs[program].link;
                if let Some(id) = own.filter(|id| self.links[*id].owner == owner) {
                    self.close_from_client(id);
                }
            }
            ClientOutput::Send(frame) => self.send_from(program, &frame),
            ClientOutput::State(state) => self.note(format_args!("program {program} is {state:?}")),
            ClientOutput::Due(due) => {
                let id = subscription_of(&due);
                self.note_device(program, id, &due);
                let record = self.programs[program].subscribers[&id];
                let now = self.programs[program].clock(self.now);
                self.stats.deliveries += 1;
                self.note(format_args!("program {program} tells {record}: {due:?}"));
                self.check_succession(program, record, &due);
                self.records[record].note(now, due);
            }
            ClientOutput::Presence(_) => {}
            ClientOutput::Published { request, result } => {
                self.note(format_args!(
                    "program {program} published {request}: {result:?}"
                ));
                let before = self.programs[program].published.insert(request, result);
                assert_eq!(before, None, "publish {request} was answered twice");
            }
        }
    }

    fn send_from(&mut self, program: usize, frame: &ClientFrame<Json>) {
        let link = self.programs[program].link;
        self.send_up(
            link.expect("nothing is sent without a link"),
            encode_up(frame),
        );
    }
}
