//! Compares servers: every round puts each of them under the same loads, one after the other.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::certificate::Certificate;
use crate::contestant::Contestant;
use crate::measure::{self, BURST, CALM, Latency};
use crate::plot;
use crate::process::{self, Server};
use crate::swarm::{Plan, Swarm};
use crate::table::{Column, Figures};
use crate::turns::Turns;

/// The core of servers, and that of subscribers.
const SERVER_CORE: usize = 0;
const SUBSCRIBER_CORE: usize = 1;

/// The number of subscribers that receive nothing.
const IDLE: usize = 10_000;

/// The number of subscribers that read, and of those that don't.
const STALLED: usize = 1_000;

/// How long idle servers get to free the memory that connecting took.
const SETTLE: Duration = Duration::from_millis(1_500);

/// How long they are watched: longer than the heartbeat interval of any of the servers.
const REST: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Tidegate's program
    #[arg(long)]
    tidegate: PathBuf,
    /// The folder in which peers are installed, to compare them, too
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Servers whose name contains one of these; all, if absent
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The scenarios; all, if absent
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<Scenario>,
    /// The number of measurements of each
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a fan-out is measured, in milliseconds
    #[arg(long, default_value_t = 1_500)]
    fan_out_ms: u64,
    /// Numbers of subscribers of a fan-out
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 5_000, 15_000])]
    subscribers: Vec<usize>,
    /// The folder for plots
    #[arg(long)]
    plots: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Scenario {
    /// One topic, everyone subscribes
    FanOut,
    /// A hundred topics, 200 publications a second
    Calm,
    /// Ten thousand subscribers, no publication
    Idle,
    /// As many stalled subscribers as reading ones
    Stalled,
    /// The ten thousand for a minute, with heartbeats; only if named
    Resting,
    /// A fan-out to all servers in short turns; only if named
    Turns,
    /// The hundred topics in turns; only if named
    CalmTurns,
}

/// Measures, and prints a table.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    // Its files must exist as long as servers are started.
    let certificate = Certificate::make()?;
    let mut contestants = Contestant::all(
        &arguments.tidegate,
        Some(&certificate),
        arguments.peers.as_deref(),
    )?;
    contestants.retain(|contestant| {
        arguments.only.is_empty()
            || arguments.only.iter().any(|name| {
                contestant
                    .name
                    .to_lowercase()
                    .contains(&name.to_lowercase())
            })
    });
    ensure!(!contestants.is_empty(), "there is no server of that name");
    process::pin(SUBSCRIBER_CORE)?;
    let mut figures = Figures::default();
    for round in 1..=arguments.rounds {
        arguments.take_turns(round, &contestants, &mut figures)?;
        // When a server ends, the kernel cleans up while the next one is measured. The order varies, so that this
        // doesn't always hit the same one.
        let count = contestants.len();
        let step = if round % 2 == 0 { 1 } else { count - 1 };
        for turn in 0..count {
            let index = (round + turn * step) % count;
            let contestant = &contestants[index];
            eprintln!("round {round} of {}: {}", arguments.rounds, contestant.name);
            for load in arguments.loads() {
                let measured = load.put_on(contestant, &mut |column, figure| {
                    eprintln!("  {column}: {}", column.format(figure));
                    figures.add(round, index, column, figure);
                });
                if let Err(error) = measured {
                    eprintln!("  {load:?}: {error:#}");
                }
            }
        }
    }
    println!("{}", figures.tables(&contestants));
    if let Some(folder) = &arguments.plots {
        for (name, svg) in plot::all(&figures, &contestants) {
            let file = folder.join(name);
            fs::write(&file, svg).with_context(|| format!("writing {}", file.display()))?;
        }
    }
    Ok(())
}

impl Arguments {
    fn take_turns(
        &self,
        round: usize,
        contestants: &[Contestant],
        figures: &mut Figures,
    ) -> Result<()> {
        let all = Turns {
            core: SERVER_CORE,
            contestants,
            first: round,
            time: Duration::from_millis(self.fan_out_ms),
        };
        let mut note = |index: usize, column: Column, figure| {
            let (rounds, name) = (self.rounds, &contestants[index].name);
            let text = column.format(figure);
            eprintln!("round {round} of {rounds}, in turns: {name}, {column}: {text}");
            figures.add(round, index, column, figure);
        };
        if self.scenarios.contains(&Scenario::Turns) {
            for subscribers in &self.subscribers {
                all.fan_out(*subscribers, &mut note)?;
            }
        }
        if self.scenarios.contains(&Scenario::CalmTurns) {
            all.calm(&mut note)?;
        }
        Ok(())
    }

    fn loads(&self) -> Vec<Load> {
        let wants = |scenario| self.scenarios.is_empty() || self.scenarios.contains(&scenario);
        let time = Duration::from_millis(self.fan_out_ms);
        let mut loads = Vec::new();
        if wants(Scenario::FanOut) {
            loads.extend(self.subscribers.iter().map(|subscribers| Load::FanOut {
                subscribers: *subscribers,
                time,
            }));
        }
        if wants(Scenario::Calm) {
            loads.push(Load::Calm { time: 3 * time });
        }
        if wants(Scenario::Idle) {
            loads.push(Load::Idle);
        }
        if wants(Scenario::Stalled) {
            loads.push(Load::Stalled { time });
        }
        if self.scenarios.contains(&Scenario::Resting) {
            loads.push(Load::Resting);
        }
        loads
    }
}

/// The load on a freshly started server.
#[derive(Clone, Copy, Debug)]
enum Load {
    FanOut { subscribers: usize, time: Duration },
    Calm { time: Duration },
    Idle,
    Stalled { time: Duration },
    Resting,
}

impl Load {
    fn put_on(self, contestant: &Contestant, note: &mut impl FnMut(Column, f64)) -> Result<()> {
        let server = Server::start(SERVER_CORE, |port| contestant.command(port))?;
        let observed = server.observed();
        let plan = Plan {
            server: server.address,
            dialect: contestant.dialect,
            trust: contestant.trust.as_ref(),
            subscribers: 0,
            stalled: 0,
            topics: 1,
        };
        match self {
            Self::FanOut { subscribers, time } => {
                let plan = Plan {
                    subscribers,
                    ..plan
                };
                let mut swarm = Swarm::connect(plan)?;
                let single = measure::fan_out(&mut swarm, &plan, &observed, 1, time)?;
                note(Column::OneByOne(subscribers), single.cpu_per_million());
                let burst = measure::fan_out(&mut swarm, &plan, &observed, BURST, time)?;
                note(Column::Burst(subscribers), burst.cpu_per_million());
            }
            Self::Calm { time } => {
                let (subscribers, topics) = CALM;
                let plan = Plan {
                    subscribers,
                    topics,
                    ..plan
                };
                let mut swarm = Swarm::connect(plan)?;
                let mut latencies = Vec::new();
                measure::calm(&mut swarm, &plan, measure::CALM_RATE, time, &mut latencies)?;
                let latency = Latency::of(latencies);
                note(Column::CalmP50, latency.p50_us);
                note(Column::CalmP99, latency.p99_us);
            }
            Self::Idle => {
                let plan = Plan {
                    subscribers: IDLE,
                    ..plan
                };
                let before = observed.resident_bytes()?;
                let mut swarm = Swarm::connect(plan)?;
                swarm.idle(SETTLE)?;
                let grown = observed.resident_bytes()?.saturating_sub(before);
                note(Column::IdleBytes, grown as f64 / IDLE as f64);
            }
            Self::Resting => {
                let plan = Plan {
                    subscribers: IDLE,
                    ..plan
                };
                let mut swarm = Swarm::connect(plan)?;
                swarm.idle(SETTLE)?;
                let before = observed.cpu()?;
                swarm.idle(REST)?;
                let used = (observed.cpu()? - before).as_secs_f64() * 1e6;
                note(Column::IdleCpu, used / REST.as_secs_f64() / IDLE as f64);
            }
            Self::Stalled { time } => {
                let plan = Plan {
                    subscribers: STALLED,
                    stalled: STALLED,
                    ..plan
                };
                let mut swarm = Swarm::connect(plan)?;
                let before = observed.resident_bytes()?;
                measure::flood(&mut swarm, &plan)?;
                let grown = observed.resident_bytes()?.saturating_sub(before);
                note(Column::StalledBytes, grown as f64 / STALLED as f64);
                let good = measure::fan_out(&mut swarm, &plan, &observed, 1, time)?;
                note(Column::BesideStalled, good.cpu_per_million());
            }
        }
        Ok(())
    }
}
