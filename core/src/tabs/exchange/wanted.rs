//! Where an upstream subscription must start so that nobody below misses anything.

use alloc::vec::Vec;

use crate::joining::matching;
use crate::ordered::OrderedMap;
use crate::protocol::{Start, TopicPosition};
use crate::publication::{POSITION_MAX, Position};
use crate::topic::{Pattern, Topic};

/// A position that no server knows: the answer is a reset. Asked for where members come from different epochs, so that
/// whoever is not up to date is told.
const NOWHERE: Position = Position {
    epoch: POSITION_MAX,
    offset: 1,
};

/// The starts that several members asked for, as one.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// The positions to go on from. What is not named here is wanted from its beginning.
    since: Option<OrderedMap<Topic, Position>>,
    /// Whether somebody wants the latest values, too.
    latest: bool,
}

impl Wanted {
    /// What members who are up to date want: to go on from these positions.
    pub(super) fn going_on(since: OrderedMap<Topic, Position>) -> Self {
        Self {
            since: Some(since),
            latest: false,
        }
    }

    /// What members want to whom the latest value of a topic is still on its way.
    pub(super) const fn latest() -> Self {
        Self {
            since: None,
            latest: true,
        }
    }

    /// Somebody else wants to start like this.
    pub(super) fn add(&mut self, pattern: &Pattern, start: &Start) {
        let known = match start {
            Start::New => return,
            Start::Latest => {
                self.latest = true;
                return;
            }
            Start::Since(known) => matching(pattern, known),
        };
        if pattern.is_exact() && known.is_empty() {
            // To have seen nothing of a topic is to want its latest value.
            self.latest = true;
            return;
        }
        self.since = Some(match self.since.take() {
            None => known,
            Some(since) => {
                let mut both = OrderedMap::new();
                for (topic, position) in since.iter() {
                    if let Some(other) = known.get(topic) {
                        both.insert(topic, older(*position, *other));
                    }
                }
                both
            }
        });
    }

    /// The positions to go on from, where there are any.
    pub(super) fn positions(&self) -> Option<Vec<TopicPosition>> {
        let since = self.since.as_ref()?.iter();
        let positions = since.map(|(topic, position)| TopicPosition {
            topic: topic.clone(),
            position: self.with_latest(*position),
        });
        Some(positions.collect())
    }

    /// A step back, where somebody wants the latest value, so that it comes again.
    const fn with_latest(&self, position: Position) -> Position {
        Position {
            epoch: position.epoch,
            offset: position.offset.saturating_sub(self.latest as u64),
        }
    }

    pub(super) fn start(&self) -> Start {
        match self.positions() {
            Some(positions) => Start::Since(positions),
            None if self.latest => Start::Latest,
            None => Start::New,
        }
    }
}

fn older(a: Position, b: Position) -> Position {
    if a.epoch != b.epoch {
        return NOWHERE;
    }
    Position {
        epoch: a.epoch,
        offset: a.offset.min(b.offset),
    }
}
