//! Runs all servers at the same time, and measures them in turns so short that other work on the machine affects all of
//! them alike.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::contestant::Contestant;
use crate::measure::{self, BURST, CALM, CALM_RATE, Latency, Tally, WARM_UP};
use crate::process::Server;
use crate::swarm::{Plan, Swarm};
use crate::table::Column;

/// How long a turn is, under load and at a calm load.
const TURN: Duration = Duration::from_millis(100);
const CALM_TURN: Duration = Duration::from_millis(500);

/// How long a server is under load before each turn is measured: others have used the caches.
const WARM_UP_AGAIN: Duration = Duration::from_millis(15);

/// The servers that take turns.
pub(crate) struct Turns<'a> {
    /// The core that servers run on.
    pub(crate) core: usize,
    pub(crate) contestants: &'a [Contestant],
    /// The index of the server that begins.
    pub(crate) first: usize,
    /// How long each is measured altogether.
    pub(crate) time: Duration,
}

/// A server with its subscribers.
struct Standing<'a> {
    name: &'static str,
    server: Server,
    plan: Plan<'a>,
    swarm: Swarm,
}

impl Turns<'_> {
    /// The load of a fan-out: one publication at a time, and bursts.
    pub(crate) fn fan_out(
        &self,
        subscribers: usize,
        note: &mut impl FnMut(usize, Column, f64),
    ) -> Result<()> {
        let mut standing = self.start(subscribers, 1)?;
        for (in_flight, column) in [
            (1, Column::OneByOne(subscribers)),
            (BURST, Column::Burst(subscribers)),
        ] {
            for index in 0..standing.len() {
                stay_alive(&mut standing)?;
                standing[index].bear(in_flight, WARM_UP, &mut Tally::default())?;
            }
            let mut tallies = vec![Tally::default(); standing.len()];
            for index in self.order(TURN) {
                stay_alive(&mut standing)?;
                let server = &mut standing[index];
                server.bear(in_flight, WARM_UP_AGAIN, &mut Tally::default())?;
                server.bear(in_flight, TURN, &mut tallies[index])?;
            }
            for (index, tally) in tallies.iter().enumerate() {
                note(index, column, tally.cpu_per_million());
            }
        }
        Ok(())
    }

    /// The calm load.
    pub(crate) fn calm(&self, note: &mut impl FnMut(usize, Column, f64)) -> Result<()> {
        let (subscribers, topics) = CALM;
        let mut standing = self.start(subscribers, topics)?;
        let mut latencies = vec![Vec::new(); standing.len()];
        for index in self.order(CALM_TURN) {
            stay_alive(&mut standing)?;
            let Standing { plan, swarm, .. } = &mut standing[index];
            measure::calm(swarm, plan, CALM_RATE, CALM_TURN, &mut latencies[index])?;
        }
        for (index, latencies) in latencies.into_iter().enumerate() {
            let latency = Latency::of(latencies);
            note(index, Column::CalmP50, latency.p50_us);
            note(index, Column::CalmP99, latency.p99_us);
        }
        Ok(())
    }

    fn start(&self, subscribers: usize, topics: usize) -> Result<Vec<Standing<'_>>> {
        let mut standing = Vec::new();
        for contestant in self.contestants {
            stay_alive(&mut standing)?;
            let server = Standing::start(self.core, contestant, subscribers, topics)?;
            standing.push(server);
        }
        Ok(standing)
    }

    /// The order of turns: back and forth, so that each server follows each of its neighbours.
    fn order(&self, turn: Duration) -> impl Iterator<Item = usize> {
        let (first, count) = (self.first, self.contestants.len());
        let turns = self.time.as_nanos().div_ceil(turn.as_nanos());
        let turns = usize::try_from(turns).unwrap_or(usize::MAX);
        (0..turns).flat_map(move |turn| {
            let step = if turn % 2 == 0 { 1 } else { count - 1 };
            (0..count).map(move |place| (first + turn + place * step) % count)
        })
    }
}

/// Answers every server that has asked for a sign of life while others had their turns.
fn stay_alive(standing: &mut [Standing<'_>]) -> Result<()> {
    for Standing { name, swarm, .. } in standing {
        let answered = swarm.answer();
        answered.with_context(|| format!("{name}, between its turns"))?;
    }
    Ok(())
}

impl<'a> Standing<'a> {
    fn start(
        core: usize,
        contestant: &'a Contestant,
        subscribers: usize,
        topics: usize,
    ) -> Result<Self> {
        let server = Server::start(core, |port| contestant.command(port))?;
        let plan = Plan {
            server: server.address,
            dialect: contestant.dialect,
            trust: contestant.trust.as_ref(),
            subscribers,
            stalled: 0,
            topics,
        };
        let swarm = Swarm::connect(plan).with_context(|| {
            let name = &contestant.name;
            format!("all servers stand at once, and {name} got no {subscribers} subscribers: compare fewer (--only), or allow more open files (ulimit -n)")
        })?;
        Ok(Self {
            name: contestant.name,
            server,
            plan,
            swarm,
        })
    }

    fn bear(&mut self, in_flight: u64, time: Duration, tally: &mut Tally) -> Result<()> {
        let server = self.server.observed();
        measure::bear(&mut self.swarm, &self.plan, &server, in_flight, time, tally)
    }
}
