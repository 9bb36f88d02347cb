//! Measuring, and telling what came of it.
//!
//! What counts is the time on the processor, where the system tells it, so that others on the machine take nothing
//! from it but room in the caches. The cases of a group run in turn, round by round, so that this meets all of them alike. A table gives each case's median round, the quartiles around it, and its
//! ratio to the base above it. Nothing is asserted about time.
#![allow(dead_code, reason = "no benchmark needs all of it")]
#![allow(
    clippy::disallowed_types,
    reason = "the core may not read a clock; what measures it must"
)]

pub(crate) mod clock;

use std::time::Duration;

/// How often a case that takes any number of iterations is measured.
const ROUNDS: usize = 15;

/// How often a case is measured whose every round builds something large anew.
const LARGE_ROUNDS: usize = 5;

/// How long a round of one case takes, about.
const ROUND: Duration = Duration::from_millis(30);

/// What the command line asks for.
pub(crate) struct Bench {
    is_quick: bool,
    filter: Option<String>,
}

impl Bench {
    /// Reads `--quick` and the filter. Other options are those that cargo passes to every benchmark. `TIDEGATE_BENCH_QUICK=1`
    /// says `--quick`, too.
    pub(crate) fn from_args() -> Self {
        let by_variable = std::env::var("TIDEGATE_BENCH_QUICK").is_ok_and(|value| value == "1");
        let arguments = || std::env::args().skip(1);
        Self {
            is_quick: by_variable || arguments().any(|argument| argument == "--quick"),
            filter: arguments().find(|argument| !argument.starts_with('-')),
        }
    }

    /// Whether the group of this name is to be measured. To be asked before it is set up.
    pub(crate) fn wants(&self, group: &str) -> bool {
        self.filter
            .as_deref()
            .is_none_or(|filter| group.contains(filter))
    }

    /// Whether little time is to be taken.
    pub(crate) fn is_quick(&self) -> bool {
        self.is_quick
    }

    /// Measures the cases of a group, and prints its table.
    pub(crate) fn measure(&self, mut group: Group<'_>) {
        let rounds = match (self.is_quick, group.is_large) {
            (true, true) => 1,
            (true, false) => 3,
            (false, true) => LARGE_ROUNDS,
            (false, false) => ROUNDS,
        };
        let round = if self.is_quick { ROUND / 6 } else { ROUND };
        if !group.is_large {
            group.cases.iter_mut().for_each(|case| case.fit_to(round));
        }
        for _ in 0..rounds {
            group.cases.iter_mut().for_each(Case::measure);
        }
        group.cases.iter_mut().for_each(Case::sort);
        group.print();
    }
}

/// Cases that are measured together.
pub(crate) struct Group<'a> {
    name: String,
    /// What one unit is that times are given for.
    unit: &'static str,
    is_large: bool,
    cases: Vec<Case<'a>>,
}

struct Case<'a> {
    name: String,
    units: u64,
    iterations: u64,
    is_base: bool,
    act: Box<dyn FnMut(u64) -> Duration + 'a>,
    nanos_per_unit: Vec<f64>,
}

impl<'a> Group<'a> {
    /// A group without cases.
    pub(crate) fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            unit,
            is_large: false,
            cases: Vec::new(),
        }
    }

    /// A group whose rounds each do one iteration, on something that they set up themselves.
    pub(crate) fn new_large(name: impl Into<String>, unit: &'static str) -> Self {
        Self {
            is_large: true,
            ..Self::new(name, unit)
        }
    }

    /// Adds a case. `act` iterates as often as it is told, `units` units each time, and says how long it took.
    pub(crate) fn case(
        &mut self,
        name: impl Into<String>,
        units: u64,
        act: impl FnMut(u64) -> Duration + 'a,
    ) {
        self.cases.push(Case {
            name: name.into(),
            units,
            iterations: 1,
            is_base: self.cases.is_empty(),
            act: Box::new(act),
            nanos_per_unit: Vec::new(),
        });
    }

    /// Makes the case added last the one that those after it are compared to. The first one is without being told.
    pub(crate) fn compare_to_last(&mut self) {
        if let Some(case) = self.cases.last_mut() {
            case.is_base = true;
        }
    }

    fn print(&self) {
        println!("\n{}: time per {}", self.name, self.unit);
        let width = self
            .cases
            .iter()
            .map(|case| case.name.chars().count())
            .max()
            .unwrap_or(0);
        println!(
            "  {:width$}  {:>9}  {:>19}  {:>11}  {:>7}",
            "", "median", "quartiles", "per second", "ratio"
        );
        let mut base = 1.0;
        for case in &self.cases {
            let median = case.quantile(2);
            if case.is_base {
                base = median;
            }
            println!(
                "  {:width$}  {:>9}  {:>8} – {:>8}  {:>11}  {:>7.2}",
                case.name,
                nanos(median),
                nanos(case.quantile(1)),
                nanos(case.quantile(3)),
                count(1e9 / median),
                median / base,
            );
        }
    }
}

impl Case<'_> {
    /// Finds how many iterations fill a round; warms up on the way.
    fn fit_to(&mut self, round: Duration) {
        loop {
            let took = (self.act)(self.iterations);
            if took >= round / 2 {
                let factor = round.as_secs_f64() / took.as_secs_f64();
                self.iterations = ((self.iterations as f64 * factor) as u64).max(1);
                return;
            }
            self.iterations *= 2;
        }
    }

    fn measure(&mut self) {
        let took = (self.act)(self.iterations);
        let units = (self.iterations * self.units) as f64;
        self.nanos_per_unit.push(took.as_secs_f64() * 1e9 / units);
    }

    fn sort(&mut self) {
        self.nanos_per_unit.sort_by(f64::total_cmp);
    }

    /// Of the sorted rounds.
    fn quantile(&self, quarter: usize) -> f64 {
        self.nanos_per_unit[(self.nanos_per_unit.len() - 1) * quarter / 4]
    }
}

/// How long `iterations` of `act` take the processor; it is told which one it is.
pub(crate) fn timed(iterations: u64, act: impl FnMut(u64)) -> Duration {
    let started = clock::now();
    (0..iterations).for_each(act);
    clock::since(started)
}

/// The `i`-th of indexes below `len` in an order that no cache foresees.
pub(crate) fn scattered(i: u64, len: usize) -> usize {
    let hash = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    ((hash * len as u64) >> 32) as usize
}

fn nanos(nanos: f64) -> String {
    match nanos {
        ..100.0 => format!("{nanos:.1} ns"),
        ..10_000.0 => format!("{nanos:.0} ns"),
        ..10_000_000.0 => format!("{:.0} µs", nanos / 1e3),
        _ => format!("{:.0} ms", nanos / 1e6),
    }
}

fn count(count: f64) -> String {
    match count {
        ..1e4 => format!("{count:.0}"),
        ..1e6 => format!("{:.0} k", count / 1e3),
        _ => format!("{:.1} M", count / 1e6),
    }
}
