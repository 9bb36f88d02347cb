//! Runs scenarios, and reports those that fail.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Once;

use core::time::Duration;

use tidegate_core::time::Instant;

use super::{Scenario, System};
use crate::trace::{Keeping, Trace};

/// How much has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The number of events and timers.
    pub steps: u64,
    /// The frames that have reached the other end of their link.
    pub frames: u64,
    /// The deliveries to subscribers of programs.
    pub deliveries: u64,
    /// How many tokens were asked for.
    pub tokens: u64,
    /// How often a server was asked to end the connections of all programs.
    pub disconnects: u64,
    /// How much time has passed, in virtual time.
    pub simulated: Duration,
    /// The number of steps at the current instant.
    pub(super) at_once: u64,
}

/// The outcome of a run.
#[derive(Debug)]
pub struct Outcome {
    /// How much has happened.
    pub stats: Stats,
    /// Distinguishes runs, if a fingerprint was kept.
    pub fingerprint: u64,
    /// The failure, if the run failed.
    pub failure: Option<Failure>,
    /// All events, if text was kept.
    pub timeline: String,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub message: String,
    /// The place in the sources that detected it: two failures at the same place count as the same.
    pub place: String,
}

thread_local! {
    static FAILURE: RefCell<Option<Failure>> = const { RefCell::new(None) };
    static IS_RUNNING: RefCell<bool> = const { RefCell::new(false) };
}

/// Records the panics of runs instead of printing them.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_RUNNING.with_borrow(|is_running| *is_running) {
                return print(info);
            }
            let payload = info.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            let message = text.unwrap_or("a panic without words");
            let place = info.location().map(ToString::to_string);
            let failure = Failure {
                message: message.to_owned(),
                place: place.unwrap_or_default(),
            };
            FAILURE.set(Some(failure));
        }));
    });
}

/// Carries out a scenario, heals everything, and checks the outcome.
pub fn run(scenario: &Scenario, keeping: Keeping) -> Outcome {
    carry_out(scenario, keeping, false)
}

/// The same, with hosts that wake every machine after each step, before its deadline, which must have no effect.
pub fn run_restless(scenario: &Scenario, keeping: Keeping) -> Outcome {
    carry_out(scenario, keeping, true)
}

fn carry_out(scenario: &Scenario, keeping: Keeping, is_restless: bool) -> Outcome {
    listen();
    IS_RUNNING.set(true);
    let mut kept = None;
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        let system = kept.insert(System::new(scenario.seed, &scenario.plan, keeping));
        system.must_lose_nothing = scenario.plan.is_gentle;
        system.set_restless(is_restless);
        for (op, pause) in &scenario.ops {
            system.take(op);
            system.run_for(*pause);
            system.check_bounds();
        }
        system.finish();
    }));
    IS_RUNNING.set(false);
    let failure = result.err().and_then(|_| FAILURE.take());
    let Some(mut system) = kept else {
        return Outcome {
            stats: Stats::default(),
            fingerprint: 0,
            failure,
            timeline: String::new(),
        };
    };
    system.stats.simulated = system.now - Instant::ZERO;
    Outcome {
        stats: system.stats,
        fingerprint: system.fingerprint(),
        failure,
        timeline: system.timeline(),
    }
}

impl System {
    fn traces(&self) -> Vec<(String, &Trace)> {
        let own = [
            ("net".to_owned(), &self.log),
            ("servers".to_owned(), &self.world.log),
        ];
        let browsers = self.browsers.iter().enumerate();
        let browsers =
            browsers.map(|(index, node)| (format!("browser {index}"), &node.browser.log));
        own.into_iter().chain(browsers).collect()
    }

    fn fingerprint(&self) -> u64 {
        let traces = self.traces();
        let all = traces.iter().map(|(_, trace)| trace.fingerprint());
        all.fold(0, |all, own| all.rotate_left(7) ^ own)
    }

    /// All events in order.
    fn timeline(&self) -> String {
        let mut lines: Vec<(u64, String)> = Vec::new();
        for (name, trace) in self.traces() {
            let mut at = 0;
            for line in trace.lines() {
                let (micros, what) = line.trim_start().split_once(' ').unwrap_or(("", line));
                at = micros.parse().unwrap_or(at);
                let (seconds, rest) = (at / 1_000_000, at % 1_000_000);
                lines.push((at, format!("{seconds:>6}.{rest:06} {name:<10} {what}")));
            }
        }
        lines.sort_by_key(|(at, _)| *at);
        let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
        lines.join("\n")
    }
}

/// Writes the timeline of a failed run to `target/simulation/`.
///
/// # Errors
/// If the file can't be written.
pub fn save(scenario: &Scenario) -> std::io::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let folder = target.join("simulation");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("seed-{}.txt", scenario.seed));
    std::fs::write(&path, explain(scenario))?;
    Ok(path)
}

/// Describes a failed run: its scenario, the failure, and the timeline.
///
/// # Panics
/// If the scenario does not fail.
fn explain(scenario: &Scenario) -> String {
    let outcome = run(scenario, Keeping::Text);
    let failure = outcome.failure.expect("it fails");
    let ops: Vec<String> = scenario
        .ops
        .iter()
        .map(|(op, pause)| format!("  {op:?}, then {pause:?}"))
        .collect();
    format!(
        "seed {}\n{:#?}\n{} operations:\n{}\n\n{}\n\nfailed at {}:\n{}\n",
        scenario.seed,
        scenario.plan,
        ops.len(),
        ops.join("\n"),
        outcome.timeline,
        failure.place,
        failure.message
    )
}
