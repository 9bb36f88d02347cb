//! Measures what stalled readers cost the others: the same load with and without them, in one run.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::contestant::Contestant;
use crate::dialect::Dialect;
use crate::measure::{self, Latency};
use crate::process::{self, Server};
use crate::swarm::{Plan, Swarm};

/// The cores of the server and of the readers.
const SERVER_CORE: usize = 0;
const OWN_CORE: usize = 1;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The program `tidegate`
    #[arg(long)]
    tidegate: PathBuf,
    /// The number of readers
    #[arg(long, default_value_t = 1_000)]
    readers: usize,
    /// The number of subscribers to the same topic that never read
    #[arg(long, default_value_t = 1_000)]
    stalled: usize,
    /// Publications per second
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// How long each measurement takes, in seconds
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How often both are measured, alternately
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    process::pin(OWN_CORE)?;
    let mut p99s = [Vec::new(), Vec::new()];
    for round in 1..=arguments.rounds {
        for (place, stalled) in [0, arguments.stalled].into_iter().enumerate() {
            let latency = measure_beside(arguments, stalled)?;
            println!(
                "round {round}: {} readers beside {stalled} that are stalled: p50 {:.0} µs, p99 {:.0} µs",
                arguments.readers, latency.p50_us, latency.p99_us
            );
            p99s[place].push(latency.p99_us);
        }
    }
    let [without, with] = p99s.map(median);
    println!(
        "medians of p99: {without:.0} µs without, {with:.0} µs with: {:.2} times",
        with / without
    );
    Ok(())
}

/// Each measurement has its own server, and begins by sending more than sockets buffer.
fn measure_beside(arguments: &Arguments, stalled: usize) -> Result<Latency> {
    let contestants = Contestant::all(&arguments.tidegate, None, None)?;
    let ours = contestants
        .into_iter()
        .find(|contestant| contestant.dialect == Dialect::Tidegate)
        .context("Tidegate is no contestant")?;
    let server = Server::start(SERVER_CORE, |port| ours.command(port))?;
    let plan = Plan {
        server: server.address,
        dialect: ours.dialect,
        trust: None,
        subscribers: arguments.readers,
        stalled,
        topics: 1,
    };
    let mut swarm = Swarm::connect(plan)?;
    measure::flood(&mut swarm, &plan)?;
    let time = Duration::from_secs(arguments.seconds);
    let mut latencies = Vec::new();
    measure::calm(&mut swarm, &plan, arguments.rate, time, &mut latencies)?;
    Ok(Latency::of(latencies))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
