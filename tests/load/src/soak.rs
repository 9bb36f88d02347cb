//! Puts a server under a mixed load for a long time, and checks that at the end it holds no more than after the first
//! minutes.

mod clients;
mod jobs;
mod plot;
mod sample;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mio::{Events, Poll, Token};

use self::clients::{Clients, Seen};
use self::jobs::Jobs;
use self::sample::{Sample, Series};
use crate::process::{self, Server};

/// The cores of the server, and of everything else.
const SERVER_CORE: usize = 0;
const OWN_CORE: usize = 1;

/// How often jobs publish, and connections are replaced.
const TICK: Duration = Duration::from_millis(50);

const JOBS: Token = Token(usize::MAX);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The program `tidegate`
    #[arg(long)]
    tidegate: PathBuf,
    /// How long it takes
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(2..))]
    minutes: u64,
    /// The number of simultaneous connections
    #[arg(long, default_value_t = 1_000)]
    connections: usize,
    /// The number of jobs that report their progress; each ends, and restarts its topic
    #[arg(long, default_value_t = 200)]
    jobs: usize,
    /// Publications per second
    #[arg(long, default_value_t = 400)]
    rate: u32,
    /// The number of connections that close per second, with or without a close frame, besides those whose job ends
    #[arg(long, default_value_t = 20)]
    leaves: u32,
    /// The server's backend
    #[arg(long, default_value = "memory")]
    backend: String,
    /// The interval between samples, in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Plots the samples into this file, as SVG
    #[arg(long)]
    plot: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    process::pin(OWN_CORE)?;
    let server = Server::start(SERVER_CORE, |port| Ok(serve(arguments, port)))?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut jobs = Jobs::open(&poll, JOBS, server.address, arguments.jobs)?;
    let mut clients = Clients::open(&poll, server.address, arguments)?;
    let mut series = Series::default();
    let started = Instant::now();
    let whole = Duration::from_secs(60 * arguments.minutes);
    let every = Duration::from_secs(arguments.every);
    let (mut next_tick, mut next_look) = (started, started + every);
    let (mut due, mut leaving) = (0.0, 0.0);
    while started.elapsed() < whole {
        let patience = next_tick.saturating_duration_since(Instant::now());
        match poll.poll(&mut events, Some(patience)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() == JOBS {
                jobs.read()?;
            } else {
                clients.read(&poll, event.token().0)?;
            }
        }
        let now = Instant::now();
        if now < next_tick {
            continue;
        }
        next_tick = now + TICK;
        due += f64::from(arguments.rate) * TICK.as_secs_f64();
        leaving += f64::from(arguments.leaves) * TICK.as_secs_f64();
        jobs.publish(take_whole(&mut due))?;
        for _ in 0..take_whole(&mut leaving) {
            clients.replace_one(&poll)?;
        }
        if now >= next_look {
            next_look += every;
            let sample = Sample::take(started, &server, clients.seen)?;
            println!("{sample}");
            series.add(sample);
        }
    }
    tell(arguments, &series, &jobs, clients.seen)
}

fn serve(arguments: &Arguments, port: u16) -> Command {
    let mut command = Command::new(&arguments.tidegate);
    command.args(["serve", "--backend", &arguments.backend, "--listen"]);
    command.arg(format!("127.0.0.1:{port}"));
    // All connections come from one address.
    command.args(["--connections-per-address", "50000"]);
    command
}

/// Takes the integer part off `due`.
fn take_whole(due: &mut f64) -> u32 {
    let whole = due.floor();
    *due -= whole;
    whole as u32
}

fn tell(arguments: &Arguments, series: &Series, jobs: &Jobs, seen: Seen) -> Result<()> {
    println!("\n{}", series.table());
    println!(
        "{} publications, {} deliveries, {} connections opened, {} jobs ended",
        jobs.published, seen.deliveries, seen.opened, jobs.ended
    );
    if let Some(path) = &arguments.plot {
        fs::write(path, plot::draw(series))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if seen.gaps > 0 || seen.told_losses > 0 {
        bail!(
            "{} publications were missing and {} losses were told to connections that stood",
            seen.gaps,
            seen.told_losses
        );
    }
    series.check()
}
