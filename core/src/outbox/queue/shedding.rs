//! Which publications are dropped if too many wait, and how their subscribers are told.

use alloc::collections::{BTreeMap, BTreeSet};

use super::Queue;
use crate::flow::Conflate;
use crate::hub::SubscriptionId;
use crate::outbox::item::{Item, Lag, values};
use crate::payload::Payload;

/// Shedding reduces what waits to this share of the limit, so that it isn't necessary at every push.
const SHED_TO_PERCENT: usize = 75;

impl<P: Payload> Queue<P> {
    /// Drops the oldest publications that are followed by a newer one, until there is enough room.
    pub(super) fn shed(&mut self) {
        let target = self.limit() / 100 * SHED_TO_PERCENT;
        self.shed_to(target);
    }

    /// Drops everything that may be dropped.
    pub(in crate::outbox) fn shed_all(&mut self) {
        self.shed_to(0);
        self.settle();
    }

    fn shed_to(&mut self, target: usize) {
        let dropped = self.to_be_dropped(target);
        if dropped.is_empty() {
            return;
        }
        self.note_losses(&dropped);
        let mut missed = self.missed_with(&dropped);
        let mut index = 0;
        self.retain(|item| {
            let is_dropped = dropped.contains(&index);
            index += 1;
            match item {
                Item::Frame(_) => true,
                Item::Lagged(lag) => match missed.get_mut(&lag.subscription) {
                    None => true,
                    Some(missed) => match missed.take() {
                        Some(missed) => {
                            lag.missed = missed;
                            true
                        }
                        None => false,
                    },
                },
                Item::Delivery(_) if !is_dropped => true,
                Item::Delivery(delivery) => {
                    let missed = missed.get_mut(&delivery.subscription);
                    let Some(missed) = missed.and_then(Option::take) else {
                        return false;
                    };
                    *item = Item::Lagged(Lag {
                        subscription: delivery.subscription,
                        pattern: delivery.pattern(),
                        missed,
                    });
                    true
                }
            }
        });
    }

    /// The indexes of the oldest deliveries that may be dropped, as many as make enough room.
    fn to_be_dropped(&self, target: usize) -> BTreeSet<usize> {
        let mut excess = self.bytes.saturating_sub(target);
        let mut dropped = self.superseded();
        dropped.retain(|index| {
            let is_dropped = excess > 0;
            excess = excess.saturating_sub(self.items[*index].size());
            is_dropped
        });
        dropped
    }

    fn note_losses(&mut self, dropped: &BTreeSet<usize>) {
        for index in dropped {
            let item = &self.items[*index];
            self.losses.shed_bytes += item.size() as u64;
            let Item::Delivery(delivery) = item else {
                continue;
            };
            let count = values(&delivery.emission).len() as u64;
            if delivery.conflate.is_none() {
                self.losses.lagged += count;
            } else {
                self.losses.conflated += count;
            }
            let slowness = self.slowness.as_ref();
            self.is_forfeit |=
                slowness.is_some_and(|slowness| slowness.disconnects(delivery.subscription));
        }
    }

    /// The number of publications that each subscription has lost, including those in `dropped`, if it has to be told
    /// about the latter.
    fn missed_with(&self, dropped: &BTreeSet<usize>) -> BTreeMap<SubscriptionId, Option<u64>> {
        let mut missed = BTreeMap::new();
        for index in dropped {
            if let Item::Delivery(delivery) = &self.items[*index]
                && delivery.conflate.is_none()
            {
                let count = missed.entry(delivery.subscription).or_insert(0);
                *count += values(&delivery.emission).len() as u64;
            }
        }
        for item in &self.items {
            if let Item::Lagged(lag) = item
                && let Some(count) = missed.get_mut(&lag.subscription)
            {
                *count += lag.missed;
            }
        }
        missed
            .into_iter()
            .map(|(subscription, count)| (subscription, Some(count)))
            .collect()
    }

    /// The indexes of the deliveries that may be dropped: not terminal, and followed by a newer one of the same topic.
    pub(super) fn superseded(&self) -> BTreeSet<usize> {
        let mut newest = BTreeSet::new();
        let mut superseded = BTreeSet::new();
        for (index, item) in self.items.iter().enumerate().rev() {
            let Item::Delivery(delivery) = item else {
                continue;
            };
            let Some(last) = values(&delivery.emission).last() else {
                continue;
            };
            let is_newest = newest.insert((delivery.subscription, last.topic.clone()));
            // Later publications don't contain what was merged or summed while it waited.
            let is_replaced = matches!(delivery.conflate, None | Some(Conflate::Latest));
            if !is_newest && is_replaced && !delivery.is_terminal() {
                superseded.insert(index);
            }
        }
        superseded
    }
}
