//! What all nodes agree on about a piece of work: numbers and times, each joined by its own rule.

use serde::{Deserialize, Serialize};

use crate::lifecycle::EndReason;
use crate::presence::NodeId;

/// What was done and queued before counting began here, according to the application's own store.
///
/// All servers that state it must refer to the same moment: if they differ, the greater numbers count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The amount done.
    pub done: u64,
    /// The amount queued, including what was done of it.
    pub queued: u64,
}

/// The total amount of the work. Of two, the one that was set later counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// Increases each time the target is set.
    pub version: u64,
    /// The node that set it; decides between targets that were set at the same time.
    pub node: NodeId,
    /// The amount; `None` if it is no longer known.
    pub value: Option<u64>,
}

/// The end of the work. Of two ends, the earlier one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When, by the application's clock, in milliseconds.
    pub at_ms: u64,
    /// Why.
    pub reason: EndReason,
}

impl Before {
    pub(super) fn join(&mut self, other: Self) {
        self.done = self.done.max(other.done);
        self.queued = self.queued.max(other.queued);
    }
}

/// The earlier of two times, if there are any.
pub(super) fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

pub(super) fn earlier_end(one: Option<Ended>, other: Option<Ended>) -> Option<Ended> {
    let rank = |end: &Ended| {
        let by_reason = EndReason::ALL
            .iter()
            .position(|reason| *reason == end.reason);
        (end.at_ms, by_reason)
    };
    one.into_iter().chain(other).min_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_ends_the_earlier_one_counts_and_of_two_at_once_the_first_by_its_reason() {
        let end = |at_ms, reason: usize| {
            let reason = EndReason::ALL[reason];
            Some(Ended { at_ms, reason })
        };
        for (one, other, first) in [
            (end(5, 0), None, end(5, 0)),
            (end(5, 2), end(6, 0), end(5, 2)),
            (end(5, 1), end(5, 2), end(5, 1)),
            (end(5, 0), end(5, 1), end(5, 0)),
            (end(5, 0), end(5, 2), end(5, 0)),
        ] {
            assert_eq!(earlier_end(one, other), first);
            assert_eq!(earlier_end(other, one), first);
        }
    }

    #[test]
    fn of_what_was_before_the_greater_numbers_count_and_of_two_beginnings_the_earlier() {
        let before = |done, queued| Before { done, queued };
        let mut known = before(3, 8);
        known.join(before(5, 6));
        assert_eq!(known, before(5, 8));
        assert_eq!(earlier(Some(3), Some(2)), Some(2));
        assert_eq!(earlier(Some(3), None), Some(3));
        assert_eq!(earlier(None, Some(3)), Some(3));
    }
}
