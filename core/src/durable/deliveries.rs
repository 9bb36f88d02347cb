//! What the subscribers to a durable subscription were handed, and what none of them has processed.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::limits::UNHANDLED_MAX;
use crate::ordered::OrderedMap;
use crate::publication::{Position, Publication};
use crate::topic::Topic;

/// The publications handed to the subscribers of one pattern that none of them has processed, in the order of each
/// topic.
///
/// The subscribers are one device: what one of them has processed counts for all. A publication can only be
/// acknowledged once all before it are processed, because a position covers everything up to it. So a subscriber that
/// joins must be given what is waiting here.
#[derive(Debug)]
pub(crate) struct Deliveries<P> {
    topics: OrderedMap<Topic, TopicDeliveries<P>>,
}

#[derive(Debug)]
struct TopicDeliveries<P> {
    /// What was handed out, and whether it was processed.
    publications: Vec<(Arc<Publication<P>>, bool)>,
    /// How many of the first ones are processed.
    done: usize,
    /// More was handed out than can be remembered: later publications can't be acknowledged any more.
    is_lost: bool,
}

impl<P> Deliveries<P> {
    /// Nothing was handed yet.
    pub(crate) const fn new() -> Self {
        Self {
            topics: OrderedMap::new(),
        }
    }

    /// Returns whether everything is processed.
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// A subscriber was handed a publication. Another one may have had later ones already, because each has its own
    /// pace.
    pub(crate) fn add(&mut self, publication: &Arc<Publication<P>>) {
        let deliveries = self
            .topics
            .or_insert_with(&publication.topic, || TopicDeliveries {
                publications: Vec::new(),
                done: 0,
                is_lost: false,
            });
        let Some(place) = deliveries.place(publication.position) else {
            return;
        };
        deliveries.is_lost |= deliveries.publications.len() >= UNHANDLED_MAX;
        if !deliveries.is_lost {
            let entry = (Arc::clone(publication), false);
            deliveries.publications.insert(place, entry);
        }
    }

    /// A subscriber has processed a publication and, with `stands_for_them`, all before it. If everything up to a later
    /// position than before is processed now, returns that.
    pub(crate) fn handle_processed(
        &mut self,
        topic: &Topic,
        position: Position,
        stands_for_them: bool,
    ) -> Option<Position> {
        let deliveries = self.topics.get_mut(topic)?;
        let before = deliveries.done;
        let mut unprocessed = deliveries.publications[before..].iter();
        let at = before + unprocessed.position(|(known, _)| known.position == position)?;
        let first = if stands_for_them { before } else { at };
        for (_, is_processed) in &mut deliveries.publications[first..=at] {
            *is_processed = true;
        }
        while let Some((_, true)) = deliveries.publications.get(deliveries.done) {
            deliveries.done += 1;
        }
        let done = deliveries.done;
        if done == before {
            return None;
        }
        let last = deliveries.publications[done - 1].0.position;
        if done == deliveries.publications.len() && !deliveries.is_lost {
            self.topics.remove(topic);
        } else if done > deliveries.publications.len() / 2 {
            deliveries.publications.drain(..done);
            deliveries.done = 0;
        }
        Some(last)
    }

    /// The publications that nobody has processed.
    pub(crate) fn waiting(&self) -> Vec<Arc<Publication<P>>> {
        let mut waiting = Vec::new();
        for deliveries in self.topics.values() {
            for (publication, is_processed) in &deliveries.publications {
                if !is_processed {
                    waiting.push(Arc::clone(publication));
                }
            }
        }
        waiting
    }
}

impl<P> TopicDeliveries<P> {
    /// Where a publication belongs: within an epoch by offset, and epochs in the order of their arrival. `None` if it
    /// is there already, or was covered by a later one that was processed.
    fn place(&self, position: Position) -> Option<usize> {
        let mut place = None;
        for (index, (known, _)) in self.publications.iter().enumerate().rev() {
            if known.position.epoch != position.epoch {
                continue;
            }
            if known.position.offset == position.offset {
                return None;
            }
            place = Some(index);
            if known.position.offset < position.offset {
                place = Some(index + 1);
                break;
            }
        }
        let place = place.unwrap_or(self.publications.len());
        (place >= self.done).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(epoch: u64, offset: u64) -> Arc<Publication<u8>> {
        Arc::new(Publication {
            topic: Topic::new("user:7").expect("valid"),
            position: Position { epoch, offset },
            payload: 0,
            end: None,
        })
    }

    fn deliveries(positions: &[(u64, u64)]) -> Deliveries<u8> {
        let mut deliveries = Deliveries::new();
        for (epoch, offset) in positions {
            deliveries.add(&publication(*epoch, *offset));
        }
        deliveries
    }

    fn waiting(deliveries: &Deliveries<u8>) -> Vec<(u64, u64)> {
        let waiting = deliveries.waiting().into_iter().map(|known| known.position);
        waiting.map(|known| (known.epoch, known.offset)).collect()
    }

    #[test]
    fn what_is_handed_to_several_waits_once_and_in_order() {
        let deliveries = deliveries(&[
            (1, 4),
            (1, 6),
            (1, 4),
            (2, 1),
            (1, 5),
            (1, 3),
            (1, 6),
            (2, 2),
        ]);
        let expected = [(1, 3), (1, 4), (1, 5), (1, 6), (2, 1), (2, 2)];
        assert_eq!(waiting(&deliveries), expected);
    }

    #[test]
    fn whoever_deals_with_a_later_one_has_dealt_with_it_for_all() {
        let mut deliveries = deliveries(&[(1, 1), (1, 3), (1, 5), (1, 6), (1, 7)]);
        let topic = Topic::new("user:7").expect("valid");
        let at = |offset| Position { epoch: 1, offset };
        assert_eq!(
            deliveries.handle_processed(&topic, at(3), true),
            Some(at(3))
        );
        deliveries.add(&publication(1, 2));
        deliveries.add(&publication(1, 4));
        assert_eq!(waiting(&deliveries), [(1, 4), (1, 5), (1, 6), (1, 7)]);
        assert_eq!(
            deliveries.handle_processed(&topic, at(4), false),
            Some(at(4))
        );
    }

    #[test]
    fn a_position_is_told_once_everything_before_it_is_dealt_with() {
        let mut deliveries = deliveries(&[(1, 1), (1, 2), (1, 3), (1, 4)]);
        let topic = Topic::new("user:7").expect("valid");
        let at = |offset| Position { epoch: 1, offset };
        assert_eq!(deliveries.handle_processed(&topic, at(2), false), None);
        assert_eq!(waiting(&deliveries), [(1, 1), (1, 3), (1, 4)]);
        assert_eq!(
            deliveries.handle_processed(&topic, at(1), false),
            Some(at(2))
        );
        assert_eq!(
            deliveries.handle_processed(&topic, at(1), false),
            None,
            "a second time"
        );
        assert_eq!(
            deliveries.handle_processed(&topic, at(4), true),
            Some(at(4))
        );
        assert!(deliveries.is_empty());
    }

    #[test]
    fn what_is_dealt_with_takes_no_more_room_than_what_is_not() {
        let all: Vec<(u64, u64)> = (1..=20).map(|offset| (1, offset)).collect();
        let mut deliveries = deliveries(&all);
        let topic = Topic::new("user:7").expect("valid");
        for offset in 1..20 {
            let position = Position { epoch: 1, offset };
            assert_eq!(
                deliveries.handle_processed(&topic, position, false),
                Some(position)
            );
            let kept: usize = deliveries
                .topics
                .values()
                .map(|deliveries| deliveries.publications.len())
                .sum();
            assert!(kept <= 2 * waiting(&deliveries).len(), "{kept} at {offset}");
        }
    }

    #[test]
    #[cfg_attr(
        miri,
        ignore = "as many publications as are remembered, which are thousands"
    )]
    fn beyond_what_is_remembered_nothing_is_told_as_dealt_with() {
        let (topic, most) = (Topic::new("user:7").expect("valid"), UNHANDLED_MAX as u64);
        let at = |offset| Position { epoch: 1, offset };
        for is_lost in [false, true] {
            let all: Vec<(u64, u64)> = (1..=most).map(|offset| (1, offset)).collect();
            let mut deliveries = deliveries(&all);
            if is_lost {
                deliveries.add(&publication(1, most + 1));
            }
            assert_eq!(
                deliveries.handle_processed(&topic, at(most), true),
                Some(at(most))
            );
            if !is_lost {
                deliveries.add(&publication(1, most + 1));
            }
            let told = deliveries.handle_processed(&topic, at(most + 1), true);
            assert_eq!(told.is_some(), !is_lost);
        }
    }
}
