//! The progress of a piece of work, in plain numbers.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use serde::Serialize;

use super::estimate::{Eta, Velocity};
use super::tally::Tally;
use crate::presence::Key;

/// How far a piece of work is, at one moment.
///
/// Only whole numbers. Times are in milliseconds, rounded down; rates are rounded half up. What is unknown is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// The amount done.
    pub done: u64,
    /// The total amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<u64>,
    /// What is left of the target, or else of what was queued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// What was queued and is not done yet.
    pub queued: u64,
    /// How many are working.
    pub active: u64,
    /// The amount done per hour, at the speed of the window.
    pub per_hour: u64,
    /// The amount done per second, in thousandths.
    pub per_second_milli: u64,
    /// The time over which the speed was measured.
    pub window_ms: u64,
    /// The estimated time left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_ms: Option<u64>,
    /// The lower end of that estimate: see [`Eta`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_earliest_ms: Option<u64>,
    /// The upper end of that estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_latest_ms: Option<u64>,
    /// When the work started, by the application's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<u64>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// The amounts of the sessions that have done the most.
    pub sessions: BTreeMap<Key, u64>,
    /// The amount of all others, including what was done before.
    pub others: u64,
}

impl Snapshot {
    pub(super) fn new(
        tally: &Tally,
        active: usize,
        velocity: Velocity,
        sessions_told_max: usize,
    ) -> Self {
        let done = tally.done();
        let queued = tally.queued().saturating_sub(done);
        let remaining = remaining(tally);
        let is_over = tally.ended().is_some();
        let eta = remaining
            .filter(|_| !is_over)
            .and_then(|remaining| velocity.eta(remaining));
        let sessions = most(tally.sessions(), sessions_told_max);
        let told: u64 = sessions
            .values()
            .fold(0, |sum, count| sum.saturating_add(*count));
        Self {
            done,
            target: tally.target(),
            remaining,
            queued,
            active: active as u64,
            per_hour: velocity.per_hour(),
            per_second_milli: velocity.per_second_milli(),
            window_ms: millis(velocity.over),
            eta_ms: eta.map(|eta| millis(eta.expected)),
            eta_earliest_ms: eta.map(|eta| millis(eta.earliest)),
            eta_latest_ms: eta.and_then(|Eta { latest, .. }| latest).map(millis),
            started_ms: tally.started_ms(),
            ended_ms: tally.ended().map(|ended| ended.at_ms),
            sessions,
            others: done.saturating_sub(told),
        }
    }
}

/// What is left of the target, or else of what was queued; `None` if there is neither.
pub(super) fn remaining(tally: &Tally) -> Option<u64> {
    let done = tally.done();
    let queued = Some(tally.queued()).filter(|queued| *queued > 0);
    let whole = tally.target().or(queued)?;
    Some(whole.saturating_sub(done))
}

/// The sessions that have done the most; of equals, those that come first by name.
fn most(sessions: BTreeMap<Key, u64>, sessions_max: usize) -> BTreeMap<Key, u64> {
    let mut ranked: Vec<(Key, u64)> = sessions.into_iter().collect();
    ranked.sort_by(|(one, by_one), (other, by_other)| {
        by_other.cmp(by_one).then_with(|| one.cmp(other))
    });
    ranked.truncate(sessions_max);
    ranked.into_iter().collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
