//! What waits for a slow connection.

mod shedding;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::item::{Delivery, Item, combine, values};
use super::slowness::Slowness;
use super::{Losses, Tally};
use crate::flow::Conflate;
use crate::gate::Emission;
use crate::hub::SubscriptionId;
use crate::payload::Payload;
use crate::protocol::ServerFrame;
use crate::publication::Publication;
use crate::topic::Topic;

/// A queue that conflates and sheds.
#[derive(Debug)]
pub(super) struct Queue<P> {
    items: VecDeque<Item<P>>,
    /// How many items have left at the front: converts a place in `waiting` into an index.
    popped: u64,
    /// The place of the conflatable item of each topic and subscription.
    waiting: BTreeMap<(Topic, SubscriptionId), u64>,
    bytes: usize,
    bytes_max: usize,
    /// How many bytes of subscriptions' starts may still be waiting; they don't count towards the limit.
    allowance: usize,
    /// How many bytes were waiting when the current start began.
    starting_at: Option<usize>,
    /// The number of bytes above which to shed: the limit, or more while little of what waits may be dropped.
    shed_at: usize,
    slowness: Option<Arc<Slowness>>,
    /// Whether something was dropped of a subscription with the policy to be disconnected.
    is_forfeit: bool,
    /// How many of its bytes are included in a tally.
    tallied: usize,
    /// Losses that are not included in a tally yet.
    losses: Losses,
}

impl<P: Payload> Queue<P> {
    /// An empty queue that sheds when more than `bytes_max` bytes wait.
    pub(super) const fn new(bytes_max: usize, slowness: Option<Arc<Slowness>>) -> Self {
        Self {
            items: VecDeque::new(),
            popped: 0,
            waiting: BTreeMap::new(),
            bytes: 0,
            bytes_max,
            allowance: 0,
            starting_at: None,
            shed_at: bytes_max,
            slowness,
            is_forfeit: false,
            tallied: 0,
            losses: Losses {
                conflated: 0,
                lagged: 0,
                shed_bytes: 0,
            },
        }
    }

    pub(super) fn set_slowness(&mut self, slowness: Option<Arc<Slowness>>) {
        self.slowness = slowness;
    }

    /// The waiting publications, oldest first, of the first `most` frames.
    pub(super) fn publications(&self, most: usize) -> impl Iterator<Item = &Arc<Publication<P>>> {
        let items = self.items.iter().take(most);
        items.flat_map(|item| match item {
            Item::Delivery(delivery) => values(&delivery.emission),
            Item::Frame(_) | Item::Lagged(_) => &[],
        })
    }

    /// Queues a frame that must arrive.
    pub(super) fn push_frame(&mut self, frame: ServerFrame<P>) {
        if let ServerFrame::Reset { topic, .. } = &frame {
            self.seal(topic);
        }
        self.push(Item::Frame(Box::new(frame)));
    }

    /// What is pushed until [`Queue::end_start`] doesn't count towards the limit until it has left, unless the limit is
    /// exceeded already.
    pub(super) fn begin_start(&mut self) {
        if self.bytes <= self.bytes_max {
            self.starting_at = Some(self.bytes);
        }
    }

    /// The start of a subscription is complete.
    pub(super) fn end_start(&mut self) {
        if let Some(before) = self.starting_at.take() {
            self.allowance += self.bytes.saturating_sub(before);
            self.shed_at = usize::MAX;
            self.settle();
        }
    }

    /// Prevents further combining with what waits of a topic, because it belongs before what is pushed next.
    fn seal(&mut self, topic: &Topic) {
        let first = (topic.clone(), SubscriptionId::MIN);
        let sealed: Vec<(Topic, SubscriptionId)> = self
            .waiting
            .range(first..)
            .map(|(key, _)| key)
            .take_while(|(waiting, _)| waiting == topic)
            .cloned()
            .collect();
        for key in sealed {
            let index = self
                .waiting
                .remove(&key)
                .and_then(|place| self.index_of(place));
            if let Some(Item::Delivery(delivery)) =
                index.and_then(|index| self.items.get_mut(index))
            {
                delivery.conflate = None;
            }
        }
    }

    /// The current index of an item's place; `None` once it has left.
    fn index_of(&self, place: u64) -> Option<usize> {
        usize::try_from(place.checked_sub(self.popped)?).ok()
    }

    /// Queues an emission.
    #[inline]
    pub(super) fn push_delivery(&mut self, mut delivery: Delivery<P>) {
        if let Some(slowness) = &self.slowness {
            slowness.apply(&mut delivery);
        }
        if delivery.conflate.is_none() && self.waiting.is_empty() {
            // It can't be combined with anything, nor does anything wait that could be combined with what follows it.
            return self.push(Item::Delivery(delivery));
        }
        self.push_beside_waiting(delivery);
    }

    fn push_beside_waiting(&mut self, mut delivery: Delivery<P>) {
        if delivery.is_terminal() {
            // A terminal publication stands alone: what was pending goes first, and nothing is combined with it.
            delivery.conflate = None;
        }
        match delivery.conflate {
            Some(conflate) => self.push_conflating(delivery, conflate),
            None => {
                self.forget_places(&delivery);
                self.push(Item::Delivery(delivery));
            }
        }
    }

    fn push_conflating(&mut self, delivery: Delivery<P>, conflate: Conflate) {
        let Emission::One(newer) = &delivery.emission else {
            return self.push(Item::Delivery(delivery));
        };
        let key = (newer.topic.clone(), delivery.subscription);
        let place = self.waiting.get(&key).copied();
        let index = place.and_then(|place| self.index_of(place));
        if let Some(index) = index
            && let Some(Item::Delivery(waiting)) = self.items.get_mut(index)
            && let Emission::One(older) = &mut waiting.emission
            && older.position.epoch == newer.position.epoch
        {
            let combined = combine(conflate, older, newer);
            self.bytes = self.bytes + combined.payload.size() - older.payload.size();
            *older = combined;
            self.losses.conflated += 1;
            self.settle();
            return;
        }
        self.waiting
            .insert(key, self.popped + self.items.len() as u64);
        self.push(Item::Delivery(delivery));
    }

    /// Later publications must not be combined with what waits before `delivery`, or they would overtake it.
    fn forget_places(&mut self, delivery: &Delivery<P>) {
        if self.waiting.is_empty() {
            return;
        }
        for publication in values(&delivery.emission) {
            let key = (publication.topic.clone(), delivery.subscription);
            self.waiting.remove(&key);
        }
    }

    fn push(&mut self, item: Item<P>) {
        self.bytes += item.size();
        self.items.push_back(item);
        self.settle();
    }

    /// Makes room if too much is waiting, and decides when to check again.
    #[inline]
    fn settle(&mut self) {
        // The usual case: within the limit, and no exception applies.
        let is_plain = self.allowance == 0 && self.shed_at == self.bytes_max;
        if self.starting_at.is_none() && !(is_plain && self.bytes <= self.bytes_max) {
            self.settle_anew();
        }
    }

    #[cold]
    fn settle_anew(&mut self) {
        self.allowance = self.allowance.min(self.bytes);
        if self.bytes > self.shed_at {
            self.shed();
            self.shed_at = usize::MAX;
        }
        self.shed_at = self.shed_at.min(self.next_shed_at());
    }

    /// When to check again: somewhat above what is waiting, so that what must stay isn't examined at every push; but
    /// not above the point at which the queue would be overfull before it has tried to make room.
    fn next_shed_at(&self) -> usize {
        let above = self.bytes + self.bytes / 4;
        let above = if self.bytes > self.overfull_above() {
            above
        } else {
            above.min(self.overfull_above())
        };
        above.max(self.limit())
    }

    /// Takes the next frame to send.
    pub(super) fn pop(&mut self) -> Option<ServerFrame<P>> {
        let item = self.items.pop_front()?;
        self.popped += 1;
        self.bytes -= item.size();
        self.settle();
        match item {
            Item::Frame(frame) => Some(*frame),
            Item::Lagged(lag) => Some(ServerFrame::Lagged {
                pattern: lag.pattern,
                missed: lag.missed,
            }),
            Item::Delivery(delivery) => {
                if delivery.conflate.is_some()
                    && let Emission::One(publication) = &delivery.emission
                {
                    self.forget_place(delivery.subscription, publication);
                }
                Some(delivery.into_frame())
            }
        }
    }

    fn forget_place(&mut self, subscription: SubscriptionId, publication: &Publication<P>) {
        let key = (publication.topic.clone(), subscription);
        if self
            .waiting
            .get(&key)
            .is_some_and(|place| *place < self.popped)
        {
            self.waiting.remove(&key);
        }
    }

    /// Drops what waits for a subscription that its subscriber has ended.
    pub(super) fn discard(&mut self, subscription: SubscriptionId) {
        self.retain(|item| match item {
            Item::Frame(_) => true,
            Item::Delivery(delivery) => delivery.subscription != subscription,
            Item::Lagged(lag) => lag.subscription != subscription,
        });
        self.settle();
    }

    /// Brings a tally up to date.
    pub(super) fn settle_tally(&mut self, tally: &mut Tally) {
        tally.waiting_bytes = tally.waiting_bytes + self.bytes - self.tallied;
        self.tallied = self.bytes;
        tally.losses.add(core::mem::take(&mut self.losses));
    }

    /// Returns whether none of its bytes are included in a tally.
    pub(super) const fn is_settled(&self) -> bool {
        self.tallied == 0
    }

    fn retain(&mut self, keep: impl FnMut(&mut Item<P>) -> bool) {
        self.items.retain_mut(keep);
        self.bytes = self.items.iter().map(Item::size).sum();
        self.waiting.clear();
        for (index, item) in self.items.iter().enumerate() {
            let Item::Delivery(delivery) = item else {
                continue;
            };
            for publication in values(&delivery.emission) {
                let key = (publication.topic.clone(), delivery.subscription);
                if delivery.conflate.is_some() {
                    self.waiting.insert(key, self.popped + index as u64);
                } else {
                    self.waiting.remove(&key);
                }
            }
        }
    }

    /// Returns whether a start is in progress.
    pub(super) const fn is_starting(&self) -> bool {
        self.starting_at.is_some()
    }

    /// Returns whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many frames wait.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many bytes wait, by the estimate that the limit uses.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns whether something was dropped of a subscription with the policy to be disconnected.
    pub(super) const fn is_forfeit(&self) -> bool {
        self.is_forfeit
    }

    /// Returns whether what must not be dropped exceeds twice the limit by itself, or a subscription wants to be
    /// disconnected.
    pub(super) const fn is_overfull(&self) -> bool {
        self.is_forfeit || (self.starting_at.is_none() && self.bytes > self.overfull_above())
    }

    const fn overfull_above(&self) -> usize {
        self.limit().saturating_add(self.bytes_max)
    }

    const fn limit(&self) -> usize {
        self.bytes_max.saturating_add(self.allowance)
    }
}

#[cfg(test)]
impl<P: Payload> Queue<P> {
    pub(super) fn counted_bytes(&self) -> usize {
        self.items.iter().map(Item::size).sum()
    }

    /// How many places of combinable items are known.
    pub(super) fn places(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn droppable_bytes(&self) -> usize {
        let droppable = self.superseded();
        droppable
            .iter()
            .map(|index| self.items[*index].size())
            .sum()
    }
}
