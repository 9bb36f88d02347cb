//! A bucket for each of many keys, most of which are rarely used.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use super::{Bucket, Rate};
use crate::time::Instant;

/// Buckets by key. A full bucket is the same as a new one, so it isn't kept.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    count_max: usize,
    buckets: BTreeMap<K, Bucket>,
    /// The same, by when they will be full.
    ends: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Clone> Buckets<K> {
    /// No buckets. At most `count_max` are kept.
    pub const fn new(rate: Rate, count_max: usize) -> Self {
        Self {
            rate,
            count_max,
            buckets: BTreeMap::new(),
            ends: BTreeSet::new(),
        }
    }

    /// Takes one token from a key's bucket.
    ///
    /// # Errors
    /// If the bucket is empty, or the limit on buckets is reached. Nothing was taken; try again after the returned
    /// time.
    pub fn take(&mut self, now: Instant, key: &K) -> Result<(), Duration> {
        self.forget_full(now);
        let known = self.buckets.get(key).copied();
        if let (None, Some((next, _))) = (known, self.ends.first())
            && self.buckets.len() >= self.count_max
        {
            return Err(*next - now);
        }
        let mut bucket = known.unwrap_or_default();
        bucket.take(now, self.rate)?;
        if let Some(known) = known {
            self.ends.remove(&(known.full_at, key.clone()));
        }
        self.ends.insert((bucket.full_at, key.clone()));
        self.buckets.insert(key.clone(), bucket);
        Ok(())
    }

    fn forget_full(&mut self, now: Instant) {
        while self
            .ends
            .first()
            .is_some_and(|(full_at, _)| *full_at <= now)
            && let Some((_, key)) = self.ends.pop_first()
        {
            self.buckets.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::super::tests::rate;
    use super::*;

    proptest! {
        /// Each has what a bucket of its own would allow, whatever the others do.
        #[test]
        fn each_has_a_bucket_of_their_own_while_there_are_not_too_many(
            takes in prop::collection::vec((0_u64..300_000, 0_usize..5), 1..if cfg!(miri) { 30 } else { 200 }),
            count_max in 1_usize..6,
        ) {
            let rate = rate(10, 3);
            let mut buckets = Buckets::new(rate, count_max);
            let mut own = [Bucket::new(); 5];
            let mut now = Instant::ZERO;
            for (wait, who) in takes {
                now = now + Duration::from_micros(wait);
                let others = (0..5).filter(|other| *other != who && own[*other].full_at > now);
                let others: Vec<usize> = others.collect();
                let taken = buckets.take(now, &who);
                if own[who].full_at <= now && others.len() >= count_max {
                    let next = others.into_iter().map(|other| own[other].full_at - now).min();
                    prop_assert_eq!(taken.err(), next);
                } else {
                    prop_assert_eq!(taken, own[who].take(now, rate));
                }
                prop_assert!(buckets.buckets.len() <= count_max);
                prop_assert_eq!(buckets.buckets.len(), buckets.ends.len());
            }
        }
    }
}
