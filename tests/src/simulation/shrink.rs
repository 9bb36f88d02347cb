//! Shrinks a failing scenario, as long as it fails at the same place.

use super::run::Failure;
use super::{Scenario, run};
use crate::trace::Keeping;

/// The smallest scenario found in `tries` runs that fails at the same place: with few operations and actors.
///
/// # Panics
/// If the scenario does not fail.
pub fn shrink(scenario: &Scenario, tries: usize) -> Scenario {
    let failure = run(scenario, Keeping::Nothing).failure;
    let mut shrinking = Shrinking {
        failure: failure.expect("it fails"),
        best: scenario.clone(),
        tries,
    };
    shrinking.drop_ops();
    shrinking.drop_actors();
    shrinking.drop_ops();
    shrinking.drop_pauses();
    shrinking.best
}

struct Shrinking {
    failure: Failure,
    best: Scenario,
    tries: usize,
}

impl Shrinking {
    /// Keeps a smaller scenario if it still fails.
    fn attempt(&mut self, candidate: Scenario) -> bool {
        if self.tries == 0 || candidate == self.best {
            return false;
        }
        self.tries -= 1;
        let failure = run(&candidate, Keeping::Nothing).failure;
        let fails = failure.is_some_and(|failure| failure.place == self.failure.place);
        if fails {
            self.best = candidate;
        }
        fails
    }

    /// Drops halves of the operations first, then smaller and smaller pieces.
    fn drop_ops(&mut self) {
        let mut size = self.best.ops.len().div_ceil(2);
        while size > 0 && self.tries > 0 {
            let mut from = 0;
            while from < self.best.ops.len() {
                let mut candidate = self.best.clone();
                let to = (from + size).min(candidate.ops.len());
                candidate.ops.drain(from..to);
                if !self.attempt(candidate) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    fn drop_actors(&mut self) {
        for browser in (0..self.best.plan.browsers.len()).rev() {
            let mut candidate = self.best.clone();
            candidate.plan.browsers.remove(browser);
            self.attempt(candidate);
        }
        for fewer in 1..=2 {
            let mut candidate = self.best.clone();
            candidate.plan.programs = candidate.plan.programs.saturating_sub(fewer);
            self.attempt(candidate);
            let mut candidate = self.best.clone();
            candidate.plan.servers = candidate.plan.servers.saturating_sub(fewer).max(1);
            self.attempt(candidate);
        }
        let mut candidate = self.best.clone();
        candidate.plan.is_tight = false;
        self.attempt(candidate);
        let mut candidate = self.best.clone();
        candidate.plan.slow = None;
        candidate.plan.has_work = false;
        self.attempt(candidate);
    }

    fn drop_pauses(&mut self) {
        for index in 0..self.best.ops.len() {
            let mut candidate = self.best.clone();
            candidate.ops[index].1 = core::time::Duration::ZERO;
            self.attempt(candidate);
        }
    }
}
