//! Where a durable subscription starts.

use alloc::vec::Vec;

use crate::protocol::{Start, TopicPosition};

impl TopicPosition {
    /// One step back if the latest value is wanted, so that it counts as missed.
    pub(super) fn before_latest(mut self, start: &Start) -> Self {
        let step = u64::from(*start != Start::New);
        self.position.offset = self.position.offset.saturating_sub(step);
        self
    }
}

/// The positions of a cursor, or those of its client where the client has seen more.
pub(super) fn newest(mut positions: Vec<TopicPosition>, start: &Start) -> Vec<TopicPosition> {
    let Start::Since(seen) = start else {
        return positions;
    };
    for seen in seen {
        let known = positions.iter_mut().find(|known| known.topic == seen.topic);
        match known.map(|known| &mut known.position) {
            Some(known) if known.epoch == seen.position.epoch => {
                known.offset = known.offset.max(seen.position.offset);
            }
            Some(known) => *known = seen.position,
            None => positions.push(seen.clone()),
        }
    }
    positions
}
