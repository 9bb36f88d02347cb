//! What a node holds of another node, and whether it counts.
//!
//! ```text
//!   heard of            silent for down_after           silent for forget_after
//!  ─────────▶ Up ──────────────────────────────▶ Down ───────────────────────────▶ unknown
//!             ▲                                 ▲    │
//!             │ caught up with what it did since│    │ tells its clock
//!             └────────────────────── Returning ┴────┘
//!
//!   any ── bye ──▶ Gone ── forget_after ──▶ unknown
//! ```
//!
//! A node that returns is shown once it has told what happened meanwhile, so that nobody who went in between comes back
//! for a moment.

use super::TrackerConfig;
use super::message::Part;
use super::section::{Joined, Section};
use crate::time::Instant;

#[derive(Debug)]
pub(super) struct Peer<M> {
    pub(super) section: Section<M>,
    /// Parts of all that is left of what it did, until the last of them has come.
    gathered: Gathered<M>,
    /// The highest clock that it has told.
    pub(super) clock: u64,
    pub(super) status: Status,
    heard: Instant,
    asked: Option<Instant>,
}

/// Parts of all that was left of what a node had done up to a clock.
#[derive(Debug)]
struct Gathered<M> {
    clock: u64,
    section: Section<M>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Up,
    Returning {
        /// The clock that it must have caught up with.
        clock: u64,
    },
    Down,
    /// It has said bye. What arrives late of it is not listened to.
    Gone,
}

impl<M> Gathered<M> {
    fn at(clock: u64) -> Self {
        Self {
            clock,
            section: Section::default(),
        }
    }
}

impl<M: Clone> Peer<M> {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            section: Section::default(),
            gathered: Gathered::at(0),
            clock: 0,
            status: Status::Up,
            heard: now,
            asked: None,
        }
    }

    /// It has said something, and what it said counts.
    pub(super) fn handle_heard(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
    }

    /// Takes in what it tells of what it did. What is above a gap, of which there may be `gaps_max`, is asked for later.
    pub(super) fn take(&mut self, part: Part<M>, gaps_max: usize) -> Joined<M> {
        if !part.is_of_all {
            return self.section.take(part, gaps_max);
        }
        let (clock, gathered) = (part.clock, &mut self.gathered);
        if clock <= self.section.seen.whole() || clock < gathered.clock {
            return Joined::default();
        }
        if clock > gathered.clock {
            *gathered = Gathered::at(clock);
        }
        gathered.section.take(part, gaps_max);
        if gathered.section.seen.whole() < clock {
            return Joined::default();
        }
        self.section.join(core::mem::take(&mut gathered.section))
    }

    /// It has said bye.
    pub(super) fn retire(&mut self, now: Instant) {
        self.section = Section::default();
        self.gathered = Gathered::at(0);
        self.status = Status::Gone;
        self.handle_heard(now);
    }

    /// When its silence changes what it counts for.
    pub(super) fn deadline(&self, config: &TrackerConfig) -> Instant {
        self.heard
            + match self.status {
                Status::Up | Status::Returning { .. } => config.down_after,
                Status::Down | Status::Gone => config.forget_after,
            }
    }

    /// The clock to ask it for, if something is missing of what it did up to `until` and it has to be asked (again).
    pub(super) fn ask(&mut self, now: Instant, until: u64, config: &TrackerConfig) -> Option<u64> {
        let waits = |asked: Instant| now < asked + config.ask_again;
        if self.section.seen.whole() >= until || self.asked.is_some_and(waits) {
            return None;
        }
        self.asked = Some(now);
        Some(self.section.seen.whole())
    }
}
