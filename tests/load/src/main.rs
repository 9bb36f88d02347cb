//! `tidegate-load`: puts servers under load and compares their costs.

mod certificate;
mod compare;
mod contestant;
mod dialect;
mod floor;
mod mark;
mod measure;
mod peers;
mod pipe;
mod plot;
mod process;
mod soak;
mod stall;
mod swarm;
mod table;
mod turns;
mod websocket;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::dialect::Dialect;
use crate::pipe::Trust;
use crate::process::Observed;
use crate::swarm::{Plan, Swarm};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a server that only writes: the baseline for others
    Floor {
        /// Where to listen
        #[arg(long)]
        listen: SocketAddr,
        /// Combines everything that one read brings into one write per subscriber
        #[arg(long)]
        batching: bool,
    },
    /// Puts a running server under load
    Generate(Generate),
    /// Puts several servers under the same loads and prints a table
    Compare(compare::Arguments),
    /// Measures what stalled readers cost the others
    Stall(stall::Arguments),
    /// Puts a server under a mixed load for a long time, and reports what it holds over time
    Soak(soak::Arguments),
}

#[derive(clap::Args)]
struct Generate {
    /// The server's address
    #[arg(long)]
    server: SocketAddr,
    /// Its protocol
    #[arg(long)]
    dialect: Dialect,
    /// Its process id, for measuring processor time
    #[arg(long)]
    pid: u32,
    /// Its certificate as PEM, if it speaks TLS
    #[arg(long)]
    trust: Option<PathBuf>,
    /// The number of subscribers
    #[arg(long, default_value_t = 1_000)]
    subscribers: usize,
    /// The number of additional subscribers that never read
    #[arg(long, default_value_t = 0)]
    stalled: usize,
    /// Publications at a time
    #[arg(long, default_value_t = 1)]
    in_flight: u64,
    /// The duration of the measurement, in seconds
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// The core that the subscribers run on
    #[arg(long, default_value_t = 1)]
    core: usize,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Floor { listen, batching } => floor::run(listen, batching),
        Command::Generate(arguments) => generate(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Stall(arguments) => stall::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
    }
}

fn generate(arguments: &Generate) -> Result<()> {
    process::pin(arguments.core)?;
    let server = Observed { pid: arguments.pid };
    let trust = arguments.trust.as_deref().map(Trust::only).transpose()?;
    let plan = Plan {
        server: arguments.server,
        dialect: arguments.dialect,
        trust: trust.as_ref(),
        subscribers: arguments.subscribers,
        stalled: arguments.stalled,
        topics: 1,
    };
    let mut swarm = Swarm::connect(plan)?;
    let time = Duration::from_secs(arguments.seconds);
    let result = measure::fan_out(&mut swarm, &plan, &server, arguments.in_flight, time)?;
    println!(
        "{:.3} CPU seconds for a million deliveries of {:.0} bytes; {:.0} deliveries per second",
        result.cpu_per_million(),
        result.bytes_per_delivery(),
        result.deliveries_per_second()
    );
    Ok(())
}
