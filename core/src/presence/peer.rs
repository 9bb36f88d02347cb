//! What a node knows about another node, and whether that node's presences are shown.
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
//! A node that returns is shown only once it has sent what happened meanwhile, so that presences that have left don't
//! reappear for a moment.

use super::TrackerConfig;
use super::message::Part;
use super::section::{Joined, Section};
use crate::time::Instant;

#[derive(Debug)]
pub(super) struct Peer<M> {
    pub(super) section: Section<M>,
    /// The parts of everything that remains, until the last of them has arrived.
    gathered: Gathered<M>,
    /// The highest clock that it has stated.
    pub(super) clock: u64,
    pub(super) status: Status,
    heard: Instant,
    asked: Option<Instant>,
}

/// The parts of everything that remained at a clock.
#[derive(Debug)]
struct Gathered<M> {
    clock: u64,
    section: Section<M>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Up,
    Returning {
        /// The clock that must be caught up with.
        clock: u64,
    },
    Down,
    /// It has said bye. Messages that arrive late are ignored.
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

    /// A message from it has arrived that counts as a sign of life.
    pub(super) fn handle_heard(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
    }

    /// Merges a part of its changes. Parts beyond further gaps than `gaps_max` are dropped, and requested later.
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

    /// When its silence changes its status.
    pub(super) fn deadline(&self, config: &TrackerConfig) -> Instant {
        self.heard
            + match self.status {
                Status::Up | Status::Returning { .. } => config.down_after,
                Status::Down | Status::Gone => config.forget_after,
            }
    }

    /// The clock after which to ask it for changes, if some up to `until` are missing and it has not been asked
    /// recently.
    pub(super) fn ask(&mut self, now: Instant, until: u64, config: &TrackerConfig) -> Option<u64> {
        let waits = |asked: Instant| now < asked + config.ask_again;
        if self.section.seen.whole() >= until || self.asked.is_some_and(waits) {
            return None;
        }
        self.asked = Some(now);
        Some(self.section.seen.whole())
    }
}
