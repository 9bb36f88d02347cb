//! `cargo xtask test`: every check and every test, one step after the other, except for a step that may run beside
//! another one.
//!
//! A step is skipped if one that it builds on has failed; all others run, so that one run reports everything that is
//! wrong.

mod counts;
mod no_std;
mod package;
mod report;
mod rules;
mod server_tests;
mod steps;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use self::report::{Outcome, Report};
use self::steps::{Step, counted};
use crate::child::Running;
use crate::progress::elapsed_text;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leaves out browsers, servers and packaging, for the inner loop
    #[arg(long)]
    quick: bool,
    /// Runs only this step, and those that it builds on; may be repeated
    #[arg(long, value_name = "STEP", conflicts_with = "quick")]
    only: Vec<Step>,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    let started = Instant::now();
    let chosen = choose(arguments);
    let mut report = Report::default();
    let mut begun: Option<(Step, Running)> = None;
    for (index, &step) in chosen.iter().enumerate() {
        eprintln!(
            "\n[{:>2}/{}] {}  (at {})",
            index + 1,
            chosen.len(),
            step.title(),
            elapsed_text(started.elapsed())
        );
        let outcome = match report.failed_among(step.needs()) {
            Some(needed) => {
                eprintln!("  not run: it builds on `{needed}`, which failed");
                Outcome::NotRun
            }
            None => {
                let beside = step.beside().filter(|beside| chosen.contains(beside));
                if let Some(beside) = beside {
                    begun = beside.begin(workspace)?.map(|running| (beside, running));
                }
                let early = begun.take_if(|(which, _)| *which == step);
                run_step(workspace, step, early.map(|(_, running)| running))
            }
        };
        report.add(step, outcome);
    }
    report.print(started.elapsed());
    Ok(if report.all_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs a step, or finishes one that was begun before.
fn run_step(workspace: &Workspace, step: Step, begun: Option<Running>) -> Outcome {
    let started = Instant::now();
    let result = match begun {
        Some(running) => counted(running.finish()),
        None => step.run(workspace),
    };
    let elapsed = started.elapsed();
    match result {
        Ok(counts) => Outcome::Passed { elapsed, counts },
        Err(failure) => {
            eprintln!("\n{:#}\n", failure.error);
            eprintln!("to run only this step again: cargo xtask test --only {step}");
            Outcome::Failed {
                elapsed,
                counts: failure.counts,
            }
        }
    }
}

/// The requested steps and those that they build on, in order.
fn choose(arguments: &Arguments) -> Vec<Step> {
    let mut wanted = arguments.only.clone();
    let mut index = 0;
    while index < wanted.len() {
        wanted.extend_from_slice(wanted[index].needs());
        index += 1;
    }
    let all = Step::ALL.into_iter();
    if arguments.quick {
        all.filter(|step| step.is_quick()).collect()
    } else if wanted.is_empty() {
        all.collect()
    } else {
        all.filter(|step| wanted.contains(step)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(quick: bool, only: &[Step]) -> Vec<Step> {
        choose(&Arguments {
            quick,
            only: only.to_vec(),
        })
    }

    #[test]
    fn one_step_brings_what_it_builds_on_first() {
        assert_eq!(choice(false, &[Step::Browser]), [Step::Wasm, Step::Browser]);
    }

    #[test]
    fn every_step_comes_after_those_that_it_builds_on() {
        for (index, step) in Step::ALL.iter().enumerate() {
            for needed in step.needs() {
                assert!(
                    Step::ALL[..index].contains(needed),
                    "{step} before {needed}"
                );
            }
        }
    }

    #[test]
    fn a_quick_run_builds_on_nothing_that_it_leaves_out() {
        let quick = choice(true, &[]);
        for step in &quick {
            assert!(step.needs().iter().all(|needed| quick.contains(needed)));
        }
        assert!(!quick.contains(&Step::Browser));
    }
}
