//! The gate in virtual time: scenarios by mechanism, and properties over all flows.

mod conflation;
mod debounce;
mod fed;
mod flow_change;
mod life;
mod properties;
mod resting;
mod schedule;
mod throttle;

use std::fmt::Write as _;
use std::time::Duration;

use tidegate_core::flow::{Conflate, Flow, Pace};
use tidegate_core::gate::{Emission, Gate};
use tidegate_core::publication::Combine;
use tidegate_core::time::Instant;

/// A value that shows what it was made of: `1&2` is 2 merged over 1, `1+2` is their sum.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word(String);

impl Combine for Word {
    fn merge_over(self, older: &Self) -> Self {
        Self(format!("{}&{}", older.0, self.0))
    }

    fn add_to(self, older: &Self) -> Self {
        Self(format!("{}+{}", older.0, self.0))
    }
}

/// A gate whose owner wakes it at every deadline, and what left it when. Times are milliseconds.
struct Timeline {
    gate: Gate<Word>,
    log: String,
}

impl Timeline {
    fn new(flow: Flow) -> Self {
        Self {
            gate: Gate::new(flow),
            log: String::new(),
        }
    }

    /// Values at several times, named by a letter each.
    fn values(mut self, values: &[(u64, &str)]) -> Self {
        for &(t, value) in values {
            self = self.value(t, value);
        }
        self
    }

    fn value(self, t: u64, value: &str) -> Self {
        let word = Word(value.to_owned());
        self.at(t, |gate, now| gate.handle_value(now, word))
    }

    /// Values that arrive together, named by a letter each.
    fn batch(self, t: u64, letters: &str) -> Self {
        let words = letters.chars().map(|letter| Word(letter.to_string()));
        let words = words.collect();
        self.at(t, |gate, now| gate.handle_batch(now, words))
    }

    fn terminal(self, t: u64, value: &str) -> Self {
        let word = Word(value.to_owned());
        self.at(t, |gate, now| gate.handle_terminal(now, word))
    }

    fn flush(self, t: u64) -> Self {
        self.at(t, Gate::handle_flush)
    }

    fn cancel(self, t: u64) -> Self {
        self.at(t, Gate::handle_cancel)
    }

    fn flow(self, t: u64, flow: Flow) -> Self {
        self.at(t, |gate, now| gate.handle_flow(now, flow))
    }

    /// What left within the first ten seconds, as `time:value`, a batch in brackets.
    fn log(self) -> String {
        self.wake_until(Instant::from_millis(10_000)).log
    }

    fn at(self, t: u64, handle: impl FnOnce(&mut Gate<Word>, Instant)) -> Self {
        let now = Instant::from_millis(t);
        let mut this = self.wake_until(now);
        handle(&mut this.gate, now);
        this.drain(now);
        this
    }

    fn wake_until(mut self, until: Instant) -> Self {
        while let Some(deadline) = self.gate.poll_timeout().filter(|&at| at <= until) {
            self.gate.handle_timeout(deadline);
            self.drain(deadline);
        }
        self
    }

    fn drain(&mut self, now: Instant) {
        while let Some(emission) = self.gate.poll_output() {
            let gap = if self.log.is_empty() { "" } else { " " };
            let ms = now.as_micros() / 1_000;
            write!(self.log, "{gap}{ms}:{}", text(&emission)).expect("a string grows");
        }
    }
}

fn text(emission: &Emission<Word>) -> String {
    match emission {
        Emission::One(word) => word.0.clone(),
        Emission::Batch(words) => {
            let words: Vec<_> = words.iter().map(|word| word.0.as_str()).collect();
            format!("[{}]", words.join(" "))
        }
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn throttle(every_ms: u64, leading: bool, trailing: bool) -> Flow {
    Flow {
        pace: Pace::Throttle {
            every: ms(every_ms),
            leading,
            trailing,
        },
        ..Flow::IMMEDIATE
    }
}

fn debounce(quiet_ms: u64, max_wait_ms: Option<u64>, leading: bool, trailing: bool) -> Flow {
    Flow {
        pace: Pace::Debounce {
            quiet: ms(quiet_ms),
            max_wait: max_wait_ms.map(ms),
            leading,
            trailing,
        },
        ..Flow::IMMEDIATE
    }
}

fn collect(max: u32) -> Conflate {
    Conflate::Collect {
        max: max.try_into().expect("a batch holds at least one"),
    }
}
