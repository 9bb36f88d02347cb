//! Draws a scenario from a seed: the actors, the faults of this run, and their frequency.
//!
//! Each run has only some of the faults: one fault may hide the effects of another.

use core::time::Duration;
use std::num::NonZeroU32;

use tidegate_core::flow::{Conflate, Flow, Pace, Slow};
use tidegate_core::lifecycle::EndReason;
use tidegate_core::random::Random;

use super::{
    BackendAct, By, ClientAct, DEVICES, Kind, Op, PATTERNS, PageAct, Plan, ROOMS, SUMS, Scenario,
    ServerAct, StartAt, TOPICS, Who,
};
use crate::network::{Cut, Quality};
use crate::tab_model::Path;
use crate::{ms, secs};

/// How often each fault occurs, per thousand operations.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    /// A link breaks, and both ends, one of them or neither learns of it.
    cuts: u64,
    /// A client's transport becomes slow or late, or its network goes away.
    networks: u64,
    /// A server dies, and another one starts in its place.
    kills: u64,
    /// A server drains and shuts down.
    drains: u64,
    /// A server is paused.
    pauses: u64,
    /// Clocks jump forward.
    jumps: u64,
    /// Timers are late, up to a minute.
    lates: u64,
    /// A server's link to the backend breaks, the backend is away or full.
    backends: u64,
    /// The backend loses data.
    losses: u64,
    /// A program dies, and starts with or without what it knew.
    programs: u64,
    /// A program's token function fails for a while.
    tokens: u64,
    /// A server is asked to end the connections of all programs.
    disconnects: u64,
    /// Pages freeze, hang, crash, are hidden, closed and opened; locks and workers are lost.
    pages: u64,
}

struct Dice(Random);

impl Scenario {
    /// The scenario that belongs to a seed.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice(Random::new(seed));
        let mut plan = dice.plan();
        let faults = if dice.one_in(4) {
            dice.soften(&mut plan)
        } else {
            dice.faults(&plan)
        };
        let count = 40 + dice.below(100);
        let ops = (0..count).map(|_| (dice.op(&plan, faults), dice.pause()));
        let ops = ops.collect();
        Self { seed, plan, ops }
    }
}

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.0.up_to(count as u64 - 1)).expect("below a count")
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.0.up_to(count - 1) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn plan(&mut self) -> Plan {
        let kind = self.of(&Kind::ALL);
        let servers = match kind {
            Kind::Memory => 1,
            Kind::File | Kind::Database | Kind::Stream | Kind::Worst => 1 + self.below(3),
        };
        let asks = self.one_in(4);
        // Tabs with tokens have tests of their own.
        let count = if asks { 0 } else { self.of(&[0, 0, 1, 1, 2]) };
        let browsers = (0..count).map(|_| self.of(&Path::ALL)).collect();
        Plan {
            kind,
            servers,
            programs: 1 + self.below(3),
            browsers,
            is_tight: self.one_in(4),
            slow: self.of(&[
                None,
                None,
                Some(Slow::Conflate),
                Some(Slow::Drop),
                Some(Slow::Disconnect),
            ]),
            asks,
            has_work: self.one_in(3),
            is_gentle: false,
        }
    }

    /// Makes a plan gentle: everything is kept long enough, and only links break, so that nothing may be lost.
    fn soften(&mut self, plan: &mut Plan) -> Faults {
        plan.is_gentle = true;
        plan.is_tight = false;
        if !matches!(plan.kind, Kind::Memory | Kind::File | Kind::Database) {
            plan.kind = Kind::File;
        }
        Faults {
            cuts: self.of(&[0, 40, 90]),
            disconnects: if plan.asks { self.of(&[0, 40]) } else { 0 },
            backends: self.of(&[0, 0, 60]),
            ..Faults::default()
        }
    }

    fn faults(&mut self, plan: &Plan) -> Faults {
        let mut rate = |most: u64| {
            if self.one_in(2) {
                1 + self.0.up_to(most)
            } else {
                0
            }
        };
        Faults {
            cuts: rate(90),
            networks: rate(60),
            kills: rate(30),
            drains: rate(20),
            pauses: rate(20),
            jumps: rate(20),
            lates: rate(30),
            backends: rate(60),
            losses: rate(if plan.kind.loses_data() { 30 } else { 0 })
                * u64::from(plan.kind.loses_data()),
            programs: rate(40),
            tokens: rate(30) * u64::from(plan.asks),
            pages: rate(200),
            disconnects: if plan.asks { rate(40) } else { 0 },
        }
    }

    fn pause(&mut self) -> Duration {
        let most = self.of(&[0, 0, 3, 30, 30, 300, 300, 1_000, 3_000, 20_000, 70_000]);
        ms(self.0.up_to(most))
    }

    fn op(&mut self, plan: &Plan, faults: Faults) -> Op {
        let mut roll = self.0.up_to(999);
        let mut falls = |rate: u64| {
            let falls = roll < rate;
            roll = roll.saturating_sub(rate);
            falls
        };
        if falls(faults.cuts) {
            Op::Cut(self.below(8), self.of(&Cut::ALL))
        } else if falls(faults.networks) {
            Op::Client(self.who(plan), self.network())
        } else if falls(faults.kills) {
            let act = self.of(&[ServerAct::Kill, ServerAct::Start, ServerAct::Start]);
            Op::Server(self.below(plan.servers), act)
        } else if falls(faults.drains) {
            Op::Server(self.below(plan.servers), ServerAct::Drain)
        } else if falls(faults.pauses) {
            let how_long = ms(self.of(&[50, 500, 3_000, 30_000, 60_000]));
            Op::Server(self.below(plan.servers), ServerAct::Pause(how_long))
        } else if falls(faults.jumps) {
            self.jump(plan)
        } else if falls(faults.lates) {
            let lateness = ms(self.of(&[0, 0, 100, 1_000, 60_000]));
            match self.below(2) {
                0 => Op::Server(self.below(plan.servers), ServerAct::Late(lateness)),
                _ => Op::LateClient(self.below(plan.programs), lateness),
            }
        } else if falls(faults.backends) {
            Op::Backend(self.backend(plan))
        } else if falls(faults.losses) {
            Op::Backend(if self.one_in(5) {
                BackendAct::Wipe
            } else {
                BackendAct::LoseTail(self.below(TOPICS.len()), 1 + self.below(3))
            })
        } else if falls(faults.programs) {
            let program = self.below(plan.programs);
            if self.one_in(2) {
                Op::Stop(program, self.one_in(2))
            } else {
                Op::Restart(program)
            }
        } else if falls(faults.tokens) {
            Op::Tokens(self.below(plan.programs), self.one_in(2))
        } else if falls(faults.disconnects) {
            Op::Disconnect(self.below(plan.servers))
        } else if falls(faults.pages) && !plan.browsers.is_empty() {
            Op::Page(self.below(plan.browsers.len()), self.below(8), self.page())
        } else {
            self.work(plan)
        }
    }

    fn network(&mut self) -> ClientAct {
        match self.below(4) {
            0 => ClientAct::Reach(false),
            1 => ClientAct::Reach(true),
            _ => ClientAct::Quality(Quality {
                up: ms(self.0.up_to(80)),
                down: ms(self.0.up_to(80)),
                per_frame: ms(self.of(&[0, 0, 1, 5, 40])),
                is_reachable: true,
            }),
        }
    }

    fn jump(&mut self, plan: &Plan) -> Op {
        let by = ms(self.of(&[20, 1_000, 10_000, 60_000, 3_600_000]));
        if self.one_in(2) {
            Op::Server(self.below(plan.servers), ServerAct::Jump(by))
        } else {
            Op::Client(self.who(plan), ClientAct::Jump(by))
        }
    }

    fn backend(&mut self, plan: &Plan) -> BackendAct {
        let server = self.below(plan.servers);
        // One that is full refuses publications, and what may have been missed is read again: links alone are to break gently.
        match self.below(if plan.is_gentle { 4 } else { 6 }) {
            0 => BackendAct::Cut(server, true),
            1 => BackendAct::Cut(server, false),
            2 => BackendAct::Away(server, true),
            3 => BackendAct::Away(server, false),
            4 => BackendAct::Full(self.one_in(3)),
            _ => BackendAct::Miss(server),
        }
    }

    fn page(&mut self) -> PageAct {
        let lateness = self.of(&[Duration::ZERO, secs(1), secs(60)]);
        self.of(&[
            PageAct::Open,
            PageAct::Open,
            PageAct::Open,
            PageAct::Close,
            PageAct::Crash,
            PageAct::Freeze,
            PageAct::FreezeAtOnce,
            PageAct::Hang,
            PageAct::Cache,
            PageAct::Wake,
            PageAct::Wake,
            PageAct::Wake,
            PageAct::Show,
            PageAct::Hide(lateness),
            PageAct::LoseLock,
            PageAct::EndWorker,
        ])
    }

    fn who(&mut self, plan: &Plan) -> Who {
        if plan.browsers.is_empty() || self.one_in(2) {
            Who::Program(self.below(plan.programs))
        } else {
            Who::Page(self.below(plan.browsers.len()), self.below(8))
        }
    }

    /// An operation that is not a fault.
    fn work(&mut self, plan: &Plan) -> Op {
        match self.below(32) {
            0..10 => self.publish(plan),
            10..16 => {
                let to = self.below(PATTERNS.len());
                let start = self.of(&[StartAt::Latest, StartAt::Latest, StartAt::New]);
                Op::Subscribe(self.who(plan), to, self.flow(to), start)
            }
            16..18 => Op::Unsubscribe(self.below(20)),
            18 => {
                let which = self.below(20);
                Op::Reflow(which, self.flow(0))
            }
            19..21 => Op::Track(self.who(plan), self.below(ROOMS.len()), self.below(3)),
            21 => Op::Untrack(self.who(plan), self.below(4)),
            22 => Op::Watch(self.who(plan), self.below(ROOMS.len())),
            24 | 25 => {
                let to = self.below(PATTERNS.len());
                let start = self.of(&[StartAt::Latest, StartAt::New, StartAt::Known]);
                Op::Listen(self.below(plan.servers), to, self.flow(to), start)
            }
            26 => Op::Hush(self.below(20)),
            27 => Op::TakeUp(self.below(plan.programs), self.below(DEVICES.len())),
            28..31 => Op::Handle(self.below(plan.programs), self.below(20)),
            31 if plan.has_work => Op::Count(self.below(plan.servers), 1 + self.0.up_to(9)),
            _ => Op::Page(self.below(4), self.below(4), PageAct::Open),
        }
    }

    fn publish(&mut self, plan: &Plan) -> Op {
        let by = match self.below(5) {
            0 | 1 => By::Server(self.below(plan.servers)),
            2 => By::Program(self.below(plan.programs)),
            3 if plan.browsers.is_empty() => By::Program(self.below(plan.programs)),
            3 => By::Page(self.below(plan.browsers.len()), self.below(8)),
            _ if plan.kind == Kind::Memory => By::Server(0),
            _ => By::Nobody,
        };
        Op::Publish {
            by,
            topic: self.below(TOPICS.len()),
            count: self.of(&[1, 1, 1, 1, 2, 5, if plan.is_gentle { 5 } else { 20 }]),
            // If a topic ends and restarts while a client is away, the client loses something.
            end: (self.one_in(8) && !plan.is_gentle).then(|| self.of(&EndReason::ALL)),
            restart: self.one_in(2),
        }
    }

    fn flow(&mut self, to: usize) -> Flow {
        let max = NonZeroU32::new(3).expect("it is 3");
        // Subscribers that sum are usually paced: sums for several of them are to be made on the way.
        let kinds = if to == SUMS { 5 } else { 9 };
        let flow = match self.below(kinds) {
            0 => Flow::throttle(ms(50)),
            1 => Flow::throttle(ms(700)),
            2 => Flow::debounce(ms(80)),
            3 => Flow::throttle(ms(100)).with_conflate(Conflate::Collect { max }),
            4 => Flow {
                pace: Pace::Debounce {
                    quiet: ms(60),
                    max_wait: Some(ms(150)),
                    leading: true,
                    trailing: true,
                },
                ..Flow::IMMEDIATE
            },
            _ => Flow::IMMEDIATE,
        };
        let has_deltas = self.one_in(4) && !matches!(flow.conflate, Conflate::Collect { .. });
        // Most subscribers to this pattern sum; others join them, and want values as they were published.
        if to == SUMS && !has_deltas {
            flow.with_conflate(Conflate::Sum)
        } else {
            flow.with_delta(has_deltas)
        }
    }
}
