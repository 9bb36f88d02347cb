//! Random schedules, and a gate driven through one.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tidegate_core::flow::{Conflate, Flow, Pace};
use tidegate_core::gate::{Emission, Gate};
use tidegate_core::time::Instant;

use super::Word;

/// Something that happens, some microseconds after the last thing.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Value,
    Flush,
    Cancel,
    Flow(Flow),
    /// A timer, at a time of its own.
    Timeout,
}

/// Something that left, and the pace that it left at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Left {
    pub(super) at: Instant,
    pub(super) pace: Pace,
    pub(super) emission: Emission<Word>,
}

impl Left {
    /// The numbers of the values that went into it.
    pub(super) fn numbers(&self) -> Vec<u32> {
        let words = self.emission.clone().into_iter();
        words
            .flat_map(|word| {
                let parts = word.0.split(['&', '+']);
                parts
                    .map(|part| part.parse().expect("values are numbers"))
                    .collect::<Vec<u32>>()
            })
            .collect()
    }
}

pub(super) fn numbers(log: &[Left]) -> Vec<u32> {
    log.iter().flat_map(Left::numbers).collect()
}

/// How an owner drives its gate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    /// Wakes the gate at every deadline; else only inputs reach it, so that timers are late.
    pub(super) is_punctual: bool,
    /// Wakes the gate ahead of every deadline, too.
    pub(super) is_hasty: bool,
    /// Replaces an idle gate by a new one.
    pub(super) is_thrifty: bool,
}

pub(super) const PUNCTUAL: Owner = Owner {
    is_punctual: true,
    is_hasty: false,
    is_thrifty: false,
};
pub(super) const LATE: Owner = Owner {
    is_punctual: false,
    ..PUNCTUAL
};

/// A gate, its owner, and what left. Values are numbered from 0.
pub(super) struct Run {
    pub(super) owner: Owner,
    pub(super) gate: Gate<Word>,
    pub(super) now: Instant,
    pub(super) values: u32,
    pub(super) log: Vec<Left>,
}

impl Run {
    pub(super) fn new(owner: Owner, flow: Flow, schedule: &[(u64, Input)]) -> Self {
        let mut run = Self {
            owner,
            gate: Gate::new(flow),
            now: Instant::ZERO,
            values: 0,
            log: Vec::new(),
        };
        for (gap_us, input) in schedule {
            run.wait(Duration::from_micros(*gap_us));
            if let Input::Flow(_) = input {
                // What is due leaves at the pace that has been: let the log say so.
                run.wake(run.now);
            }
            run.handle(input);
        }
        run
    }

    pub(super) fn handle(&mut self, input: &Input) {
        match input {
            Input::Value => {
                let word = self.next_word();
                self.gate.handle_value(self.now, word);
            }
            Input::Flush => self.gate.handle_flush(self.now),
            Input::Cancel => self.gate.handle_cancel(self.now),
            Input::Flow(flow) => self.gate.handle_flow(self.now, *flow),
            Input::Timeout => self.gate.handle_timeout(self.now),
        }
        self.drain(self.now);
    }

    pub(super) fn next_word(&mut self) -> Word {
        self.values += 1;
        Word((self.values - 1).to_string())
    }

    /// Runs every timer out.
    pub(super) fn finish(mut self) -> Vec<Left> {
        while let Some(deadline) = self.gate.poll_timeout() {
            self.wake(deadline);
        }
        assert!(!self.gate.is_pending() && self.gate.is_idle());
        self.log
    }

    pub(super) fn wait(&mut self, gap: Duration) {
        let until = self.now + gap;
        while let Some(deadline) = self.gate.poll_timeout()
            && self.owner.is_punctual
            && deadline <= until
        {
            if self.owner.is_hasty {
                let halfway =
                    Instant::from_micros(self.now.as_micros().midpoint(deadline.as_micros()));
                self.wake(halfway.max(self.now));
                self.wake(halfway.max(self.now));
            }
            self.wake(deadline);
            self.now = deadline;
        }
        self.now = until;
    }

    pub(super) fn wake(&mut self, now: Instant) {
        self.gate.handle_timeout(now);
        self.drain(now);
    }

    pub(super) fn drain(&mut self, now: Instant) {
        let flow = self.gate.flow();
        while let Some(emission) = self.gate.poll_output() {
            self.log.push(Left {
                at: now,
                pace: flow.pace,
                emission,
            });
        }
        assert!(
            self.gate
                .poll_timeout()
                .is_none_or(|deadline| deadline > now)
        );
        if self.owner.is_thrifty && self.gate.is_idle() {
            self.gate = Gate::new(flow);
        }
    }
}

pub(super) fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (1..40_u64).prop_map(Duration::from_millis),
        (1..40_000_u64).prop_map(Duration::from_micros),
    ]
}

pub(super) fn conflate(
    max: impl Strategy<Value = NonZeroU32> + 'static,
) -> impl Strategy<Value = Conflate> {
    prop_oneof![
        Just(Conflate::Latest),
        Just(Conflate::Merge),
        Just(Conflate::Sum),
        max.prop_map(|max| Conflate::Collect { max }),
    ]
}

pub(super) fn any_conflate() -> impl Strategy<Value = Conflate> {
    conflate((1..6_u32).prop_map(|max| max.try_into().expect("at least one")))
}

/// A conflation whose batches are never full.
pub(super) fn roomy_conflate() -> impl Strategy<Value = Conflate> {
    conflate(Just(NonZeroU32::MAX))
}

pub(super) fn pace(trailing: impl Strategy<Value = bool> + Clone) -> impl Strategy<Value = Pace> {
    let throttle = (duration(), any::<bool>(), trailing.clone());
    let debounce = (
        duration(),
        proptest::option::of(duration()),
        any::<bool>(),
        trailing,
    );
    prop_oneof![
        1 => Just(Pace::Immediate),
        4 => throttle.prop_map(|(every, leading, trailing)| Pace::Throttle {
            every,
            leading,
            trailing,
        }),
        4 => debounce.prop_map(|(quiet, max_wait, leading, trailing)| Pace::Debounce {
            quiet,
            max_wait,
            leading,
            trailing,
        }),
    ]
}

pub(super) fn flow(
    pace: impl Strategy<Value = Pace>,
    conflate: impl Strategy<Value = Conflate>,
) -> impl Strategy<Value = Flow> {
    (pace, conflate).prop_map(|(pace, conflate)| Flow {
        pace,
        conflate,
        ..Flow::IMMEDIATE
    })
}

pub(super) fn any_flow() -> impl Strategy<Value = Flow> {
    flow(pace(any::<bool>()), any_conflate())
}

pub(super) fn schedule(
    others: impl Strategy<Value = Input> + 'static,
) -> impl Strategy<Value = Vec<(u64, Input)>> {
    let gap = prop_oneof![
        Just(0),
        0..2_000_u64,
        0..100_000_u64,
        (0..40_u64).prop_map(|ms| ms * 1_000)
    ];
    let input = prop_oneof![
        8 => Just(Input::Value),
        1 => Just(Input::Timeout),
        2 => others,
    ];
    vec((gap, input), 0..60)
}

pub(super) fn values() -> impl Strategy<Value = Vec<(u64, Input)>> {
    schedule(Just(Input::Value))
}

pub(super) fn calls() -> impl Strategy<Value = Vec<(u64, Input)>> {
    schedule(prop_oneof![Just(Input::Flush), Just(Input::Cancel)])
}

pub(super) fn owner() -> impl Strategy<Value = Owner> {
    prop_oneof![Just(PUNCTUAL), Just(LATE)]
}
