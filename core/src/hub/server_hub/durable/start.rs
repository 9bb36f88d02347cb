//! Where a durable subscription starts.

use alloc::vec::Vec;

use crate::protocol::{Start, TopicPosition};

impl TopicPosition {
    /// One step back where the latest value is wanted, so that it counts as missed.
    pub(super) fn before_latest(mut self, start: &Start) -> Self {
        let step = u64::from(*start != Start::New);
        self.position.offset = self.position.offset.saturating_sub(step);
        self
    }
}

/// Where a cursor stands, and its client where that has seen more.
pub(super) fn newest(mut positions: Vec<TopicPosition>, start: &Start) -> Vec<TopicPosition> {
    let Start::Since(seen) = start else {
        return positions;
    };
    for seen in seen {
        match positions.iter_mut().find(|known| known.topic == seen.topic) {
            Some(known) => {
                let is_ahead = known.position.epoch == seen.position.epoch
                    && known.position.offset > seen.position.offset;
                if !is_ahead {
                    known.position = seen.position;
                }
            }
            None => positions.push(seen.clone()),
        }
    }
    positions
}
