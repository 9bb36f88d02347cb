//! What is published, and when.

use super::{ProgressOutput, Tracker};
use crate::flow::{Conflate, Flow, Pace};
use crate::gate::{Emission, Gate};
use crate::progress::ProgressPaces;
use crate::progress::notice::{Changed, Done, Notice};
use crate::progress::snapshot::remaining;
use crate::time::Instant;

/// The gates that apply the paces.
#[derive(Debug)]
pub(super) struct Gates {
    events: Gate<Done>,
    progress: Gate<Changed>,
    users: Gate<Changed>,
    queue: Gate<Changed>,
    /// Changes that were not passed to the gates, because another node publishes.
    unpublished: Unpublished,
    /// Whether this node was publishing when that was last checked, and had anything to publish.
    was_speaker: bool,
    /// When to publish a falling speed next.
    refresh_at: Option<Instant>,
    last: Last,
}

#[derive(Clone, Copy, Debug, Default)]
struct Unpublished {
    progress: bool,
    users: bool,
}

/// The state of the last publication.
#[derive(Clone, Copy, Debug)]
enum Last {
    NotYet,
    At(Instant),
    Published,
}

impl Gates {
    pub(super) fn new(paces: &ProgressPaces) -> Self {
        let at = |pace: Pace| Flow {
            pace,
            ..Flow::IMMEDIATE
        };
        let latest = |pace| Gate::new(at(pace));
        Self {
            events: Gate::new(at(paces.events).with_conflate(Conflate::Sum)),
            progress: latest(paces.progress),
            users: latest(paces.users),
            queue: latest(paces.queue),
            unpublished: Unpublished::default(),
            was_speaker: false,
            refresh_at: None,
            last: Last::NotYet,
        }
    }

    pub(super) fn handle_event(&mut self, now: Instant, done: Done) {
        self.events.handle_value(now, done);
    }

    /// The amounts have changed.
    pub(super) const fn change(&mut self) {
        self.unpublished.progress = true;
    }

    /// The set of working sessions has changed.
    pub(super) const fn change_users(&mut self) {
        self.unpublished.progress = true;
        self.unpublished.users = true;
    }

    /// Everything has to be published again, because another node may have published something different meanwhile.
    pub(super) const fn change_all(&mut self) {
        self.change_users();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.events.handle_timeout(now);
        self.progress.handle_timeout(now);
        self.users.handle_timeout(now);
        self.queue.handle_timeout(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let last = match self.last {
            Last::At(at) => Some(at),
            Last::NotYet | Last::Published => None,
        };
        [
            self.events.poll_timeout(),
            self.progress.poll_timeout(),
            self.users.poll_timeout(),
            self.queue.poll_timeout(),
            self.refresh_at,
            last,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

impl Tracker {
    /// Publishes what is due, if that is up to this node.
    pub(super) fn publish_due(&mut self, now: Instant) {
        self.gates.handle_timeout(now);
        while let Some(emission) = self.gates.events.poll_output() {
            if let Emission::One(done) = emission {
                self.publish(Notice::Done(done));
            }
        }
        let is_speaker = self.is_speaker();
        // A node that knows of nothing has published nothing, however often it was woken.
        let speaks = is_speaker && (self.gates.was_speaker || self.has_anything());
        if speaks && !self.gates.was_speaker {
            self.gates.change_all();
        }
        self.gates.was_speaker = speaks;
        if is_speaker {
            self.feed_gates(now);
        } else {
            self.gates.refresh_at = None;
        }
        self.drain_gates(now, is_speaker);
        self.end(now, is_speaker);
    }

    fn has_anything(&self) -> bool {
        !self.tally.shares.is_empty() || !self.active.is_empty() || self.tally.done() > 0
    }

    fn feed_gates(&mut self, now: Instant) {
        if self.gates.refresh_at.is_some_and(|at| at <= now) {
            self.gates.refresh_at = None;
            self.gates.unpublished.progress = true;
        }
        let unpublished = core::mem::take(&mut self.gates.unpublished);
        if unpublished.progress {
            self.gates.progress.handle_value(now, Changed);
            self.gates.queue.handle_value(now, Changed);
        }
        if unpublished.users {
            self.gates.users.handle_value(now, Changed);
        }
    }

    /// Reads the current values when a gate emits, so that what is published is never outdated.
    fn drain_gates(&mut self, now: Instant, is_speaker: bool) {
        let is_over = matches!(self.gates.last, Last::Published);
        while self.gates.progress.poll_output().is_some() {
            if is_speaker && !is_over {
                let snapshot = self.snapshot(now);
                let falls = snapshot.per_hour > 0 && snapshot.ended_ms.is_none();
                self.gates.refresh_at = falls.then(|| now + self.config.refresh);
                self.publish(Notice::Progress(snapshot));
            }
        }
        while self.gates.users.poll_output().is_some() {
            if is_speaker {
                let active = self.active.len() as u64;
                self.publish(Notice::Users { active });
            }
        }
        while self.gates.queue.poll_output().is_some() {
            if is_speaker {
                let queued = self.tally.queued().saturating_sub(self.tally.done());
                let remaining = remaining(&self.tally);
                self.publish(Notice::Queue { queued, remaining });
            }
        }
    }

    /// Publishes the end, some time after it.
    fn end(&mut self, now: Instant, is_speaker: bool) {
        let Some(ended) = self.tally.ended() else {
            return;
        };
        if matches!(self.gates.last, Last::NotYet) {
            let linger = if self.is_alone() {
                core::time::Duration::ZERO
            } else {
                self.config.linger
            };
            self.gates.last = Last::At(now + linger);
        }
        if let Last::At(at) = self.gates.last
            && at <= now
        {
            if is_speaker {
                self.gates.last = Last::Published;
                self.gates.refresh_at = None;
                let snapshot = self.snapshot(now);
                self.publish(Notice::Ended(snapshot, ended.reason));
            } else {
                // Another node publishes the end. If that one goes silent, this one does it.
                self.gates.last = Last::At(now + self.config.down_after);
            }
        }
    }

    fn publish(&mut self, notice: Notice) {
        self.output.push_back(ProgressOutput::Publish(notice));
    }
}
