//! Runs the simulation of the whole system over many seeds, and reports those that fail.
//!
//! `sim [--first N] [--seeds N] [--minutes M] [--threads N] [--stop]`: runs seeds from the first on, until this many
//! are done or the time is over. The scenario of a failing seed is shrunk, and its timeline written to
//! `target/simulation/`; with `--stop`, the seed is only reported, and the run ends.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use tidegate_tests::simulation::{Scenario, run, run_restless, save, shrink};
use tidegate_tests::trace::Keeping;

/// One in this many seeds is run twice, and the runs are compared: the second time, machines are also woken after each
/// step.
const TWICE_EVERY: u64 = 50;

/// How often progress is shown.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How many runs may be spent on making a failing scenario smaller.
const TRIES: usize = 1_500;

struct Options {
    first: u64,
    seeds: u64,
    minutes: f64,
    threads: u64,
    stops: bool,
}

#[derive(Default)]
struct Totals {
    next: AtomicU64,
    seeds: AtomicU64,
    steps: AtomicU64,
    simulated_s: AtomicU64,
    failed: AtomicU64,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        first: 0,
        seeds: u64::MAX / 2,
        minutes: 1.0,
        stops: false,
        threads: std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--stop" {
            options.stops = true;
            continue;
        }
        let value = arguments.next().unwrap_or_default();
        let wrong = |_| format!("{name} wants a number, not {value:?}");
        match name.as_str() {
            "--first" => options.first = value.parse().map_err(wrong)?,
            "--seeds" => options.seeds = value.parse().map_err(wrong)?,
            "--threads" => options.threads = value.parse().map_err(wrong)?,
            "--minutes" => {
                let wrong = |_| format!("--minutes wants a number, not {value:?}");
                options.minutes = value.parse().map_err(wrong)?;
            }
            _ => return Err(format!("{name} is no option; see the head of sim.rs")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::FAILURE;
        }
    };
    let begun = Instant::now();
    let end = begun + Duration::from_secs_f64(options.minutes * 60.0);
    let totals = Totals::default();
    std::thread::scope(|scope| {
        let (done, all_done) = channel::<()>();
        for _ in 0..options.threads {
            let (done, options, totals) = (done.clone(), &options, &totals);
            scope.spawn(move || {
                work(options, totals, end);
                drop(done);
            });
        }
        drop(done);
        while all_done.recv_timeout(TELL_EVERY) == Err(RecvTimeoutError::Timeout) {
            tell(&totals, begun);
        }
    });
    tell(&totals, begun);
    eprintln!();
    if totals.failed.load(Ordering::Relaxed) == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn work(options: &Options, totals: &Totals, end: Instant) {
    let is_over = || options.stops && totals.failed.load(Ordering::Relaxed) > 0;
    while Instant::now() < end && !is_over() {
        let number = totals.next.fetch_add(1, Ordering::Relaxed);
        if number >= options.seeds {
            return;
        }
        let seed = options.first + number;
        let scenario = Scenario::draw(seed);
        let is_twice = number.is_multiple_of(TWICE_EVERY);
        let keeping = if is_twice {
            Keeping::Fingerprint
        } else {
            Keeping::Nothing
        };
        let outcome = run(&scenario, keeping);
        totals.seeds.fetch_add(1, Ordering::Relaxed);
        totals
            .steps
            .fetch_add(outcome.stats.steps, Ordering::Relaxed);
        let simulated_s = outcome.stats.simulated.as_secs();
        totals.simulated_s.fetch_add(simulated_s, Ordering::Relaxed);
        if is_twice && run_restless(&scenario, keeping).fingerprint != outcome.fingerprint {
            totals.failed.fetch_add(1, Ordering::Relaxed);
            eprintln!("\nseed {seed} had another outcome the second time, woken before its time");
        }
        if let Some(failure) = outcome.failure {
            totals.failed.fetch_add(1, Ordering::Relaxed);
            let words = failure
                .message
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            eprintln!("\nseed {seed} fails at {}: {words}", failure.place);
            if options.stops {
                return;
            }
            let small = shrink(&scenario, TRIES);
            match save(&small) {
                Ok(path) => eprintln!(
                    "seed {seed}: {} of {} operations are left, see {}",
                    small.ops.len(),
                    scenario.ops.len(),
                    path.display()
                ),
                Err(error) => eprintln!("seed {seed}: its timeline can't be written: {error}"),
            }
        }
    }
}

fn tell(totals: &Totals, begun: Instant) {
    let elapsed = begun.elapsed().as_secs_f64();
    let steps = totals.steps.load(Ordering::Relaxed);
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = steps as f64 / elapsed / 1_000.0;
    let simulated = totals.simulated_s.load(Ordering::Relaxed);
    let line = format!(
        "{elapsed:>6.0} s  {} seeds  {steps} events  {rate:.0} k events/s  {}.{} h simulated  {} failed",
        totals.seeds.load(Ordering::Relaxed),
        simulated / 3600,
        simulated % 3600 / 360,
        totals.failed.load(Ordering::Relaxed),
    );
    if std::io::stderr().is_terminal() {
        eprint!("\r{line}");
    } else {
        eprintln!("{line}");
    }
    // Failing to print a line is no reason to stop.
    let _ = std::io::stderr().flush();
}
