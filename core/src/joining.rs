//! A subscriber that has joined others, on its way from its own position to theirs.
//!
//! What the others were sent may not be enough to tell it the state of its topics. So their uplink goes back, and each
//! newcomer takes what it doesn't know of what arrives again, and of what is new after that.

use alloc::vec::Vec;

use crate::ordered::OrderedMap;
use crate::protocol::{Start, TopicPosition};
use crate::publication::{Position, Publication};
use crate::sorted::SortedMap;
use crate::topic::{Pattern, Topic};

/// A newcomer that waits for its start.
#[derive(Debug)]
pub(crate) struct Joining {
    wants: Wants,
    /// Whether what it waits for is arriving.
    has_begun: bool,
    /// How far it has come with each topic.
    known: SortedMap<Topic, Known>,
}

/// How far a newcomer has come with a topic.
#[derive(Clone, Copy, Debug)]
struct Known {
    position: Position,
    /// Whether the topic ended there: another epoch is expected to follow.
    is_over: bool,
}

impl Known {
    const fn at(position: Position) -> Self {
        Self {
            position,
            is_over: false,
        }
    }
}

/// What a newcomer starts with, of topics that it doesn't know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    Latest,
    New,
    /// Everything, from the beginning.
    All,
    /// Everything that arrives: it is a device, and the uplink knows its cursor.
    Cursor,
}

/// How new a publication is to the other subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Novelty {
    /// New.
    New,
    /// Repeated, and the latest of its topic that they have seen.
    Latest,
    /// Repeated, and they have seen later ones.
    Earlier,
}

impl Novelty {
    /// A repeated publication, perhaps the latest.
    pub(crate) const fn repeated(is_latest: bool) -> Self {
        if is_latest {
            Self::Latest
        } else {
            Self::Earlier
        }
    }
}

/// What a late subscriber gets when a publication arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Continuation {
    /// It is there already, or doesn't want the publication.
    Nothing,
    /// It gets the publication, which is all that it misses.
    Latest,
    /// It gets the publication, but others before it were left out; if that is a loss to the subscriber, it must be
    /// told.
    Gap,
    /// More is missing than is available: it gets a reset, and the publication.
    Reset,
}

impl Joining {
    pub(crate) fn new(pattern: &Pattern, start: &Start) -> Self {
        let mut known = SortedMap::new();
        if let Start::Since(since) = start {
            for TopicPosition { topic, position } in since {
                known.insert(topic.clone(), Known::at(*position));
            }
        }
        let wants = match start {
            Start::New => Wants::New,
            Start::Since(_) if !pattern.is_exact() => Wants::All,
            Start::Latest | Start::Since(_) => Wants::Latest,
        };
        Self {
            wants,
            has_begun: false,
            known,
        }
    }

    /// A device that is to be sent what follows its cursor.
    pub(crate) const fn at_cursor() -> Self {
        Self {
            wants: Wants::Cursor,
            has_begun: false,
            known: SortedMap::new(),
        }
    }

    /// Returns whether it is a device that is being sent what follows its cursor.
    pub(crate) fn is_at_cursor(&self) -> bool {
        self.wants == Wants::Cursor && self.has_begun
    }

    /// Returns whether what it waits for has not begun to arrive.
    pub(crate) const fn is_waiting(&self) -> bool {
        !self.has_begun
    }

    /// The uplink has gone back, to the cursor or for newcomers that aren't devices: what arrives from here on is for
    /// the respective newcomers.
    pub(crate) fn begin(&mut self, to_cursor: bool) {
        self.has_begun |= (self.wants == Wants::Cursor) == to_cursor;
    }

    /// What the newcomer gets of a publication.
    pub(crate) fn take<P>(
        &mut self,
        publication: &Publication<P>,
        novelty: Novelty,
    ) -> Continuation {
        let Publication {
            topic, position, ..
        } = publication;
        if !self.has_begun {
            return Continuation::Nothing;
        }
        let is_first = position.offset == 1;
        let known = self.known.get(topic).copied();
        let is_same_epoch = |known: &Known| known.position.epoch == position.epoch;
        let continuation = match known {
            known if self.wants == Wants::Cursor => {
                let known = known.filter(is_same_epoch);
                if known.is_some_and(|known| known.position.offset >= position.offset) {
                    Continuation::Nothing
                } else {
                    Continuation::Latest
                }
            }
            Some(known) if is_same_epoch(&known) => {
                match position.offset.checked_sub(known.position.offset) {
                    None | Some(0) => Continuation::Nothing,
                    Some(1) => Continuation::Latest,
                    Some(_) => Continuation::Gap,
                }
            }
            Some(known) if known.position == Position::default() && is_first => {
                Continuation::Latest
            }
            Some(Known { is_over: false, .. }) => Continuation::Reset,
            Some(Known { is_over: true, .. }) | None => match (self.wants, novelty) {
                (Wants::Latest, Novelty::New | Novelty::Latest) | (Wants::New, Novelty::New) => {
                    Continuation::Latest
                }
                (Wants::Latest | Wants::New, Novelty::Latest | Novelty::Earlier) => {
                    Continuation::Nothing
                }
                (Wants::All, _) if is_first => Continuation::Latest,
                (Wants::All | Wants::Cursor, _) => Continuation::Reset,
            },
        };
        if matches!(continuation, Continuation::Gap | Continuation::Reset)
            && novelty == Novelty::Earlier
        {
            // It is told of its loss together with the latest value, as if it were alone.
            return Continuation::Nothing;
        }
        if continuation != Continuation::Nothing {
            self.note(publication);
        }
        continuation
    }

    fn note<P>(&mut self, publication: &Publication<P>) {
        let known = Known {
            position: publication.position,
            is_over: publication.is_terminal(),
        };
        self.known.insert(publication.topic.clone(), known);
    }

    /// What the uplink missed of a topic is lost. Returns whether that is a loss to this newcomer, too: the latest
    /// value, at this position, doesn't continue what it has seen.
    pub(crate) fn loses(&mut self, topic: &Topic, position: Position) -> bool {
        let known = self.known.get(topic);
        let is_lost = self.has_begun
            && self.wants != Wants::Cursor
            && known.is_some_and(
                |Known {
                     position: seen,
                     is_over,
                 }| {
                    // An end is followed by the beginning of another epoch.
                    let is_same_epoch = seen.epoch == position.epoch;
                    let continues = if *is_over && !is_same_epoch {
                        position.offset <= 1
                    } else {
                        let next = seen.offset + u64::from(!*is_over);
                        is_same_epoch && (seen.offset..=next).contains(&position.offset)
                    };
                    !continues
                },
            );
        if is_lost {
            self.handle_reset(topic, position);
        }
        is_lost
    }

    /// It was sent a reset of a topic; the latest value, at this position, follows.
    pub(crate) fn handle_reset(&mut self, topic: &Topic, position: Position) {
        let offset = position.offset.saturating_sub(1);
        let known = Known::at(Position { offset, ..position });
        self.known.insert(topic.clone(), known);
    }

    /// Returns whether it has seen publications that are lost: later ones than the latest of the topic.
    pub(crate) fn is_ahead_of<P>(&self, latest: &Publication<P>) -> bool {
        let known = self.known.get(&latest.topic);
        known.is_some_and(|Known { position, .. }| {
            position.epoch == latest.position.epoch && position.offset > latest.position.offset
        })
    }

    /// Its current start, for an uplink that has to go back for it again.
    pub(crate) fn start(&self, pattern: &Pattern) -> Start {
        if self.wants != Wants::All && !pattern.is_exact() {
            return Start::Latest;
        }
        Start::Since(self.positions().collect())
    }

    /// The positions after which it continues elsewhere; `None` if it hasn't been sent anything.
    pub(crate) fn resumes_after(&self) -> Option<Vec<TopicPosition>> {
        let is_at = self.has_begun && self.wants != Wants::Cursor && !self.known.is_empty();
        is_at.then(|| self.positions().collect())
    }

    fn positions(&self) -> impl Iterator<Item = TopicPosition> {
        self.known.iter().map(|(topic, known)| TopicPosition {
            topic: topic.clone(),
            position: known.position,
        })
    }

    /// The topics that it knows something of.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.known.keys()
    }
}

/// What is known of the topics that match a pattern.
pub(crate) fn matching(pattern: &Pattern, known: &[TopicPosition]) -> OrderedMap<Topic, Position> {
    let mut positions = OrderedMap::new();
    for known in known {
        if pattern.matches(&known.topic) {
            positions.insert(&known.topic, known.position);
        }
    }
    positions
}

#[cfg(test)]
mod tests;
