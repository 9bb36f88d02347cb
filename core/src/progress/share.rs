//! What one node has counted. No other node writes it, and its numbers only grow.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::COUNT_MAX;
use super::window::Window;
use crate::presence::Key;

/// What one node has counted, or the part of it that changed between two of its versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Share {
    /// It contains all changes above this version,
    #[serde(skip_serializing_if = "is_zero")]
    since: u64,
    /// up to this one.
    until: u64,
    done: u64,
    queued: u64,
    /// The amount of each session, and the version in which it last changed. Sessions beyond the limit are only
    /// included in `done`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sessions: BTreeMap<Key, (u64, u64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<Window>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn add(sum: &mut u64, count: u64) {
    *sum = sum.saturating_add(count).min(COUNT_MAX);
}

impl Share {
    /// An empty share that its node will write.
    pub(super) fn begin(window: Window) -> Self {
        Self {
            window: Some(window),
            ..Self::default()
        }
    }

    /// A share from an application's store: the amounts of sessions, of which each unit was counted by a call of its
    /// own.
    ///
    /// The node has sent no more than that, in no more versions than units were done. So all sessions are treated as
    /// changed after that, each in a version of its own.
    pub(super) fn of_counts(counts: impl IntoIterator<Item = (Key, u64)>) -> Self {
        let mut sums: BTreeMap<Key, u64> = BTreeMap::new();
        let mut done = 0;
        for (key, count) in counts {
            add(sums.entry(key).or_default(), count);
            add(&mut done, count);
        }
        let numbered = sums.into_iter().zip(done..);
        let sessions: BTreeMap<_, _> = numbered
            .map(|((key, count), version)| (key, (count, version)))
            .collect();
        let last = sessions.values().map(|(_, version)| *version).max();
        Self {
            until: last.unwrap_or(0),
            done,
            sessions,
            ..Self::default()
        }
    }

    /// Advances the window to a time on the node's clock.
    pub(super) fn advance(&mut self, clock_us: u64) {
        if let Some(window) = &mut self.window {
            window.advance(clock_us);
        }
    }

    /// Counts what a session has done. A session beyond `sessions_max` is counted without its name.
    pub(super) fn count_done(&mut self, session: &Key, count: u64, sessions_max: usize) {
        self.until += 1;
        add(&mut self.done, count);
        if let Some(window) = &mut self.window {
            window.add(count);
        }
        if let Some((sum, version)) = self.sessions.get_mut(session) {
            add(sum, count);
            *version = self.until;
        } else if self.sessions.len() < sessions_max {
            self.sessions
                .insert(session.clone(), (count.min(COUNT_MAX), self.until));
        }
    }

    pub(super) fn count_queued(&mut self, count: u64) {
        self.until += 1;
        add(&mut self.queued, count);
    }

    /// The amount that the node has counted as done.
    pub const fn done(&self) -> u64 {
        self.done
    }

    /// The amount that it has counted as queued.
    pub const fn queued(&self) -> u64 {
        self.queued
    }

    /// The version up to which everything is known.
    pub(super) const fn whole(&self) -> u64 {
        if self.since == 0 { self.until } else { 0 }
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = (&Key, u64)> {
        self.sessions.iter().map(|(key, (count, _))| (key, *count))
    }

    pub(super) const fn window(&self) -> Option<&Window> {
        self.window.as_ref()
    }

    pub(super) fn forget_window(&mut self) {
        self.window = None;
    }

    pub(super) fn bounded(mut self) -> Self {
        self.window = self.window.map(Window::bounded);
        self
    }

    /// Merges another share of the same node. If there is a gap between their versions, all values are merged, but only
    /// the earlier versions count as known.
    pub(super) fn join(&mut self, other: &Self) {
        self.done = self.done.max(other.done);
        self.queued = self.queued.max(other.queued);
        for (key, (count, version)) in &other.sessions {
            let known = self.sessions.entry(key.clone()).or_default();
            *known = (known.0.max(*count), known.1.max(*version));
        }
        match (&mut self.window, &other.window) {
            (Some(window), Some(theirs)) => window.join(theirs),
            (window @ None, Some(theirs)) => *window = Some(theirs.clone()),
            (_, None) => {}
        }
        let touches = other.since <= self.until && self.since <= other.until;
        if touches {
            self.since = self.since.min(other.since);
            self.until = self.until.max(other.until);
        } else if other.since < self.since {
            (self.since, self.until) = (other.since, other.until);
        }
    }

    /// The changes after a version, in parts with at most `sessions_max` sessions each.
    pub(super) fn parts(&self, since: u64, sessions_max: usize) -> Vec<Self> {
        let mut changed: Vec<(u64, &Key, u64)> = self
            .sessions
            .iter()
            .filter(|(_, (_, version))| *version > since)
            .map(|(key, (count, version))| (*version, key, *count))
            .collect();
        // The versions are distinct, as each is of one session, so a part can end after any of them.
        changed.sort_unstable();
        let part = |since, until, sessions: &[(u64, &Key, u64)]| Self {
            since,
            until,
            done: self.done,
            queued: self.queued,
            sessions: sessions
                .iter()
                .map(|(version, key, count)| ((*key).clone(), (*count, *version)))
                .collect(),
            window: self.window.clone(),
        };
        let (mut parts, mut from) = (Vec::new(), since.min(self.until));
        while changed.len() > sessions_max.max(1) {
            let rest = changed.split_off(sessions_max.max(1));
            let until = changed.last().map_or(from, |(version, ..)| *version);
            parts.push(part(from, until, &changed));
            (changed, from) = (rest, until);
        }
        parts.push(part(from, self.until, &changed));
        parts
    }
}
