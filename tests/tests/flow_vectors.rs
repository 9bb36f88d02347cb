//! The gate against what lodash, RxJS and TanStack Pacer really did: emission times and values, row by row.
//!
//! `vectors/flow-*.jsonl.gz` were recorded by running those libraries under a fake clock. A row holds a pace
//! (`wait`, `maxWait`, `leading`, `trailing`), calls `[[ms, value], …]`, actions `[[ms, "flush" or "cancel"], …]`
//! and what was emitted, `[[ms, value], …]`. At one instant the calls come first, in order, then the actions.
//!
//! Gates run a due timer before a call of the same instant. Rows that were recorded the other way round
//! (`tie: "call-first"`) therefore bind only where the order made no difference.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_core::flow::{Conflate, Flow, Pace};
use tidegate_core::gate::{Emission, Gate};
use tidegate_core::publication::Combine;
use tidegate_core::time::Instant;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    wait: u64,
    max_wait: Option<u64>,
    max_buffer: Option<u32>,
    leading: Option<bool>,
    trailing: Option<bool>,
    calls: Vec<(u64, u64)>,
    actions: Vec<(u64, Action)>,
    emits: Vec<(u64, Value)>,
    horizon: u64,
    tie: Option<Tie>,
    #[serde(rename = "order_sensitive")]
    is_order_sensitive: bool,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Action {
    Flush,
    Cancel,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Tie {
    TimerFirst,
    CallFirst,
}

/// A value that is never combined: every row is recorded with the latest value or with all of them.
#[derive(Clone, Copy, Debug)]
struct Call(u64);

impl Combine for Call {
    fn merge_over(self, _older: &Self) -> Self {
        self
    }

    fn add_to(self, _older: &Self) -> Self {
        self
    }
}

impl Row {
    fn binds_by_its_order(&self) -> bool {
        !(self.is_order_sensitive && self.tie == Some(Tie::CallFirst))
    }

    fn has(&self, action: Action) -> bool {
        self.actions.iter().any(|&(_, a)| a == action)
    }

    fn wait(&self) -> Duration {
        Duration::from_millis(self.wait)
    }

    fn edges(&self) -> (bool, bool) {
        let message = "a row of a pace with edges names them";
        (self.leading.expect(message), self.trailing.expect(message))
    }

    fn throttle(&self) -> Flow {
        let (leading, trailing) = self.edges();
        latest(Pace::Throttle {
            every: self.wait(),
            leading,
            trailing,
        })
    }

    fn debounce(&self, max_wait_ms: Option<u64>) -> Flow {
        let (leading, trailing) = self.edges();
        latest(Pace::Debounce {
            quiet: self.wait(),
            max_wait: max_wait_ms.map(Duration::from_millis),
            leading,
            trailing,
        })
    }
}

fn latest(pace: Pace) -> Flow {
    Flow {
        pace,
        ..Flow::IMMEDIATE
    }
}

/// Replays a row in virtual time, with a wake-up at every deadline, and reports what left when.
fn replay(flow: Flow, row: &Row) -> Vec<(u64, Value)> {
    enum Input {
        Call(u64),
        Action(Action),
    }
    let calls = row.calls.iter().map(|&(t, v)| (t, 0, Input::Call(v)));
    let actions = row.actions.iter().map(|&(t, a)| (t, 1, Input::Action(a)));
    let mut inputs: Vec<_> = calls.chain(actions).collect();
    inputs.sort_by_key(|&(t, rank, _)| (t, rank));

    let mut gate = Gate::new(flow);
    let mut emits = Vec::new();
    for (t, _, input) in inputs {
        let now = Instant::from_millis(t);
        wake_until(&mut gate, now, &mut emits);
        match input {
            Input::Call(value) => gate.handle_value(now, Call(value)),
            Input::Action(Action::Flush) => gate.handle_flush(now),
            Input::Action(Action::Cancel) => gate.handle_cancel(now),
        }
        drain(&mut gate, now, &mut emits);
    }
    wake_until(&mut gate, Instant::from_millis(row.horizon), &mut emits);
    emits
}

fn wake_until(gate: &mut Gate<Call>, until: Instant, emits: &mut Vec<(u64, Value)>) {
    while let Some(deadline) = gate.poll_timeout().filter(|&deadline| deadline <= until) {
        gate.handle_timeout(deadline);
        drain(gate, deadline, emits);
    }
}

fn drain(gate: &mut Gate<Call>, now: Instant, emits: &mut Vec<(u64, Value)>) {
    assert_eq!(now.as_micros() % 1_000, 0, "rows are in whole milliseconds");
    while let Some(emission) = gate.poll_output() {
        let value = match emission {
            Emission::One(call) => json!(call.0),
            Emission::Batch(calls) => calls.iter().map(|call| call.0).collect(),
        };
        emits.push((now.as_micros() / 1_000, value));
    }
}

/// Checks the rows of a file that `flow_of` maps to a flow and whose order of ties is ours.
///
/// `bound` is their number, so that a mapping that matches no rows fails.
fn check(file: &str, bound: usize, flow_of: impl Fn(&Row) -> Option<Flow>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("vectors")
        .join(file);
    let lines = File::open(&path).map(|file| BufReader::new(GzDecoder::new(file)).lines());
    let (mut rows, mut checked) = (0, 0);
    for line in lines.unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
        let line = line.expect("the file is gzipped text");
        let row: Row = serde_json::from_str(&line).expect("each line is a row");
        rows += 1;
        if !row.binds_by_its_order() {
            continue;
        }
        if let Some(flow) = flow_of(&row) {
            let expected: Vec<_> = row.emits.iter().filter(|(_, v)| *v != json!([])).collect();
            let emits = replay(flow, &row);
            assert!(
                expected.iter().copied().eq(&emits),
                "{}:\n{line}\n{emits:?}",
                row.id
            );
            checked += 1;
        }
    }
    println!("{file}: {checked} of {rows} rows bind, and hold");
    assert_eq!(checked, bound, "{file}: rows that bind");
}

#[test]
fn throttle_is_rxjs_throttle_time() {
    check("flow-rxjs-throttleTime.jsonl.gz", 905, |row| {
        Some(row.throttle())
    });
}

/// Pacer's trailing-only throttle counts from the last emission even after a pause, and its `cancel` keeps the
/// window; so only rows with a leading edge and without `cancel` bind.
#[test]
fn throttle_with_a_leading_edge_is_pacer_throttle() {
    check("flow-pacer-throttle.jsonl.gz", 815, |row| {
        (row.leading == Some(true) && !row.has(Action::Cancel)).then(|| row.throttle())
    });
}

#[test]
fn debounce_is_lodash_debounce_with_flush_cancel_and_max_wait() {
    check("flow-lodash-debounce.jsonl.gz", 2_381, |row| {
        Some(row.debounce(row.max_wait))
    });
}

#[test]
fn debounce_with_max_wait_equal_to_quiet_is_lodash_throttle() {
    check("flow-lodash-throttle.jsonl.gz", 1_645, |row| {
        Some(row.debounce(Some(row.wait)))
    });
}

#[test]
fn debounce_at_the_trailing_edge_is_rxjs_debounce_time() {
    check("flow-rxjs-debounceTime.jsonl.gz", 733, |row| {
        Some(Flow::debounce(row.wait()))
    });
}

/// With both edges, Pacer's `flush` repeats a value that the leading edge has emitted; those rows don't bind.
#[test]
fn debounce_is_pacer_debounce() {
    check("flow-pacer-debounce.jsonl.gz", 1_246, |row| {
        let repeats = row.edges() == (true, true) && row.has(Action::Flush);
        (!repeats).then(|| row.debounce(None))
    });
}

/// `bufferTime` cuts time into periods from 0 on, whether anything comes or not, and emits empty buffers. A gate's
/// windows open with a call. The two are one where the first call comes at 0 and no period before the last
/// call's is empty: these rows bind, less the empty buffers at the end.
#[test]
fn collect_in_back_to_back_windows_is_rxjs_buffer_time() {
    check("flow-rxjs-bufferTime.jsonl.gz", 61, |row| {
        let is_empty = |(_, buffer): &(u64, Value)| *buffer == json!([]);
        let starts_at_zero = row.calls.first().is_some_and(|&(t, _)| t == 0);
        let is_back_to_back = row
            .emits
            .iter()
            .skip_while(|emit| !is_empty(emit))
            .all(is_empty);
        let max = row.max_buffer.unwrap_or(u32::MAX);
        (starts_at_zero && is_back_to_back).then(|| Flow {
            pace: Pace::Throttle {
                every: row.wait(),
                leading: false,
                trailing: true,
            },
            conflate: Conflate::Collect {
                max: NonZeroU32::new(max).expect("a buffer holds at least one"),
            },
            ..Flow::IMMEDIATE
        })
    });
}
