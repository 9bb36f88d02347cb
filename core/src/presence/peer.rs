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
use super::section::Section;
use crate::time::Instant;

#[derive(Debug)]
pub(super) struct Peer<M> {
    pub(super) section: Section<M>,
    /// The highest clock that it has told.
    pub(super) clock: u64,
    pub(super) status: Status,
    heard: Instant,
    asked: Option<Instant>,
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

impl<M: Clone> Peer<M> {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            section: Section::default(),
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

    /// It has said bye.
    pub(super) fn retire(&mut self, now: Instant) {
        self.section = Section::default();
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
