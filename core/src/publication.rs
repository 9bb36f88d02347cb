//! A publication: one message to one topic, and its position in the topic's history.

use core::fmt;
use core::str::FromStr;

use alloc::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::lifecycle::EndReason;
use crate::payload::Payload;
use crate::random::Random;
use crate::topic::Topic;

/// The largest epoch and offset: what a JavaScript number holds exactly.
pub const POSITION_MAX: u64 = (1 << 53) - 1;

/// A position in a topic's history: which history (`epoch`), and how far into it (`offset`).
///
/// Within an epoch, offsets rise by one with each publication, from 1; offset 0 is the position before the first.
/// Epochs can only be compared for equality: a different epoch means that the topic started over, and that nothing can
/// be said about what lies between. Both are at most [`POSITION_MAX`].
///
/// Code that keeps topics, copies of them or cursors relies on two more properties. A topic that restarts after its end
/// takes the next epoch ([`epoch_after`]), and any other start takes a random one, so a missed epoch is noticed. And a
/// topic's first epoch can be recognised ([`first_epoch`]), so a device that has never known the topic can tell whether
/// there was an epoch before the current one.
///
/// Its text form is `epoch:offset` in decimal, as in the `id:` of Server-Sent Events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The history that `offset` counts in.
    pub epoch: u64,
    /// How many publications of that history are at or before this position.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.offset)
    }
}

/// First epochs are multiples of this. A topic that has restarted this many times looks as if it never had.
const FIRST_EPOCHS: u64 = 1 << 16;

/// A random epoch for a topic with no remembered past.
pub const fn first_epoch(random: &mut Random) -> u64 {
    (1 + random.up_to(POSITION_MAX / FIRST_EPOCHS - 1)) * FIRST_EPOCHS
}

/// A random epoch for a topic that continues after a part of it was lost.
pub const fn later_epoch(random: &mut Random) -> u64 {
    first_epoch(random) + 1 + random.up_to(FIRST_EPOCHS - 2)
}

/// The first epoch of a topic that is now in `epoch`. After a loss, this is not the epoch that the topic really began
/// with, but it differs from `epoch`, which is what matters.
pub const fn first_epoch_of(epoch: u64) -> u64 {
    epoch - epoch % FIRST_EPOCHS
}

/// The epoch of a topic that restarts after it has ended in `epoch`: from 1 to [`POSITION_MAX`], then from 1 again.
pub const fn epoch_after(epoch: u64) -> u64 {
    epoch % POSITION_MAX + 1
}

/// A text that is not a [`Position`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a position is written epoch:offset, two whole numbers up to 2^53 - 1, such as 7120031:42")]
pub struct PositionError;

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (epoch, offset) = text.split_once(':').ok_or(PositionError)?;
        let number = |digits: &str| {
            let value: u64 = digits.parse().map_err(|_| PositionError)?;
            if value > POSITION_MAX {
                return Err(PositionError);
            }
            Ok(value)
        };
        Ok(Self {
            epoch: number(epoch)?,
            offset: number(offset)?,
        })
    }
}

/// A message on a topic, as it travels down the tree of hubs.
///
/// It is created once, where it enters the system, and shared (`Arc`) from then on, however many subscribers it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication<P> {
    /// Its topic.
    pub topic: Topic,
    /// Its position in the topic's history.
    pub position: Position,
    /// Its content.
    pub payload: P,
    /// Set on the topic's terminal publication: nothing follows it in this epoch.
    pub end: Option<EndReason>,
}

impl<P> Publication<P> {
    /// Whether this publication ends its topic.
    pub fn is_terminal(&self) -> bool {
        self.end.is_some()
    }
}

/// How an older and a newer value are combined, for the conflations that do so.
///
/// For shared publications, their payloads are combined under the newer one's position. Gates over plain values, such
/// as the arguments of a throttled function, implement it themselves.
pub trait Combine: Sized {
    /// `older` with `self` merged over it (RFC 7396).
    fn merge_over(self, older: &Self) -> Self;

    /// `older` and `self` added up.
    fn add_to(self, older: &Self) -> Self;

    /// Its size in bytes, which limits batches, too.
    fn bytes(&self) -> usize {
        0
    }
}

impl<P: Payload> Combine for Arc<Publication<P>> {
    fn merge_over(self, older: &Self) -> Self {
        combined(&self, older.payload.merge(&self.payload))
    }

    fn add_to(self, older: &Self) -> Self {
        combined(&self, older.payload.sum(&self.payload))
    }

    fn bytes(&self) -> usize {
        self.payload.size()
    }
}

fn combined<P>(newer: &Publication<P>, payload: P) -> Arc<Publication<P>> {
    Arc::new(Publication {
        topic: newer.topic.clone(),
        position: newer.position,
        payload,
        end: newer.end,
    })
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn positions_round_trip_as_text() {
        let position = Position {
            epoch: POSITION_MAX,
            offset: 42,
        };
        assert_eq!(position.to_string().parse(), Ok(position));
    }

    #[test]
    fn a_first_epoch_is_told_from_those_that_follow() {
        let mut random = Random::new(5);
        for _ in 0..1_000 {
            let first = first_epoch(&mut random);
            assert!((1..=POSITION_MAX).contains(&first));
            let again = epoch_after(epoch_after(first));
            for epoch in [first, epoch_after(first), again] {
                assert_eq!(first_epoch_of(epoch), first);
            }
            let later = later_epoch(&mut random);
            assert!(later <= POSITION_MAX && first_epoch_of(later) != later);
        }
    }

    #[test]
    fn the_rarest_epochs_are_what_they_should_be() {
        let most = POSITION_MAX / FIRST_EPOCHS;
        for bits in [0, 1, most - 2, most - 1, most, most + 1, u64::MAX] {
            let first = first_epoch(&mut Random::giving(bits, 0));
            assert!((FIRST_EPOCHS..=POSITION_MAX).contains(&first));
            assert_eq!(first_epoch_of(first), first);
        }
        for bits in (0..3).chain(FIRST_EPOCHS - 3..FIRST_EPOCHS + 3) {
            let mut random = Random::giving(bits, 1);
            let first = first_epoch(&mut random.clone());
            let later = later_epoch(&mut random);
            assert!(first_epoch_of(later) == first && later != first);
        }
        assert_eq!(epoch_after(POSITION_MAX - 1), POSITION_MAX);
        assert_eq!(epoch_after(POSITION_MAX), 1);
    }

    #[test]
    fn what_is_not_a_position_is_refused() {
        for text in [
            "",
            "1",
            "1:",
            ":1",
            "1:2:3",
            "-1:2",
            "9007199254740992:1",
            "1:x",
        ] {
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text:?}");
        }
    }
}
