//! Servers that all stand at the same time and are measured in turns so short that whatever else the machine does befalls all of
//! them alike.

use std::time::Duration;

use anyhow::Result;

use crate::contestant::Contestant;
use crate::measure::{self, BURST, Tally};
use crate::process::{Observed, Server};
use crate::swarm::{Plan, Swarm};
use crate::table::Column;

/// How long a turn is.
const TURN: Duration = Duration::from_millis(100);

/// How long a server is under load before the first turn, and before each further one: others have used the caches.
const WARM_UP: Duration = Duration::from_millis(300);
const WARM_UP_AGAIN: Duration = Duration::from_millis(15);

/// A server with its subscribers.
struct Standing<'a> {
    server: Server,
    plan: Plan<'a>,
    swarm: Swarm,
}

/// Puts the load of a fan-out on all servers in turns, each for `time` altogether. `first` is who begins.
pub(crate) fn fan_out(
    core: usize,
    contestants: &[Contestant],
    first: usize,
    subscribers: usize,
    time: Duration,
    note: &mut impl FnMut(usize, Column, f64),
) -> Result<()> {
    let standing = contestants.iter();
    let standing = standing.map(|contestant| Standing::start(core, contestant, subscribers));
    let mut standing = standing.collect::<Result<Vec<_>>>()?;
    let count = standing.len();
    for (in_flight, column) in [
        (1, Column::OneByOne(subscribers)),
        (BURST, Column::Burst(subscribers)),
    ] {
        for server in &mut standing {
            server.bear(in_flight, WARM_UP, &mut Tally::default())?;
        }
        let mut tallies = vec![Tally::default(); count];
        let turns = time.as_millis().div_ceil(TURN.as_millis());
        for turn in 0..usize::try_from(turns)? {
            // Forth and back, so that each comes after each of the others.
            let step = if turn % 2 == 0 { 1 } else { count - 1 };
            for place in 0..count {
                let index = (first + turn + place * step) % count;
                let server = &mut standing[index];
                server.bear(in_flight, WARM_UP_AGAIN, &mut Tally::default())?;
                server.bear(in_flight, TURN, &mut tallies[index])?;
            }
        }
        for (index, tally) in tallies.iter().enumerate() {
            note(index, column, tally.cpu_per_million());
        }
    }
    Ok(())
}

impl<'a> Standing<'a> {
    fn start(core: usize, contestant: &'a Contestant, subscribers: usize) -> Result<Self> {
        let server = Server::start(core, |port| contestant.command(port))?;
        let plan = Plan {
            server: server.address,
            dialect: contestant.dialect,
            trust: contestant.trust.as_ref(),
            subscribers,
            stalled: 0,
            topics: 1,
        };
        let swarm = Swarm::connect(plan)?;
        Ok(Self {
            server,
            plan,
            swarm,
        })
    }

    fn bear(&mut self, in_flight: u64, time: Duration, tally: &mut Tally) -> Result<()> {
        let server: Observed = self.server.observed();
        measure::bear(&mut self.swarm, &self.plan, &server, in_flight, time, tally)
    }
}
