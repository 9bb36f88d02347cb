//! The results of the steps, as a table at the end.

use std::time::Duration;

use super::counts::Counts;
use super::steps::Step;
use crate::progress::elapsed_text;

/// How one step ended.
pub(super) enum Outcome {
    Passed { elapsed: Duration, counts: Counts },
    Failed { elapsed: Duration, counts: Counts },
    NotRun,
}

impl Outcome {
    fn counts(&self) -> Counts {
        match self {
            Self::Passed { counts, .. } | Self::Failed { counts, .. } => *counts,
            Self::NotRun => Counts::default(),
        }
    }

    fn passed(&self) -> bool {
        match self {
            Self::Passed { .. } => true,
            Self::Failed { .. } | Self::NotRun => false,
        }
    }
}

/// All steps so far.
#[derive(Default)]
pub(super) struct Report {
    rows: Vec<(Step, Outcome)>,
}

impl Report {
    pub(super) fn add(&mut self, step: Step, outcome: Outcome) {
        self.rows.push((step, outcome));
    }

    /// The first of these steps that has not passed.
    pub(super) fn failed_among(&self, steps: &[Step]) -> Option<Step> {
        let failed = |(step, outcome): &&(Step, Outcome)| steps.contains(step) && !outcome.passed();
        self.rows.iter().find(failed).map(|(step, _)| *step)
    }

    pub(super) fn all_well(&self) -> bool {
        self.rows.iter().all(|(_, outcome)| outcome.passed())
    }

    pub(super) fn print(&self, elapsed: Duration) {
        eprintln!();
        for (step, outcome) in &self.rows {
            let (verdict, time) = match outcome {
                Outcome::Passed { elapsed, .. } => ("ok", elapsed_text(*elapsed)),
                Outcome::Failed { elapsed, .. } => ("FAILED", elapsed_text(*elapsed)),
                Outcome::NotRun => ("not run", String::new()),
            };
            let tests = describe(outcome.counts());
            let row = format!(
                "  {:<10} {verdict:<8} {time:>12}  {tests}",
                step.to_string()
            );
            eprintln!("{}", row.trim_end());
        }
        eprintln!("  in all{:>25}", elapsed_text(elapsed));
        let counts: Counts = self.rows.iter().map(|(_, row)| row.counts()).sum();
        if !counts.is_empty() {
            let Counts {
                passed,
                failed,
                skipped,
            } = counts;
            println!("\ntests: {passed} passed, {failed} failed, {skipped} skipped");
        }
    }
}

fn describe(counts: Counts) -> String {
    if counts.is_empty() {
        return String::new();
    }
    let mut parts = vec![format!("{} passed", counts.passed)];
    for (count, word) in [(counts.failed, "failed"), (counts.skipped, "skipped")] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    parts.join(", ")
}
