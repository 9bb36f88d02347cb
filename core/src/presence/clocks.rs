//! A set of clock values of one node: its causal context.

use alloc::collections::BTreeMap;
use core::ops::RangeInclusive;

/// Clocks starting at 1, as disjoint spans that do not touch.
///
/// If nothing was lost, there is one span from 1: the plain clock of a version vector. What lies beyond a gap is what
/// other designs keep in a dot cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clocks {
    /// The last clock of each span, by its first.
    spans: BTreeMap<u64, u64>,
}

impl Clocks {
    /// Adds the clocks above `since`, up to `until`.
    pub(super) fn insert(&mut self, since: u64, until: u64) {
        if until <= since {
            return;
        }
        let (mut first, mut last) = (since + 1, until);
        // Spans that overlap or touch the new one become part of it. They start at or below its end.
        while let Some((&start, &end)) = self.spans.range(..=last.saturating_add(1)).next_back()
            && end.saturating_add(1) >= first
        {
            self.spans.remove(&start);
            first = first.min(start);
            last = last.max(end);
        }
        self.spans.insert(first, last);
    }

    pub(super) fn contains(&self, clock: u64) -> bool {
        self.spans
            .range(..=clock)
            .next_back()
            .is_some_and(|(_, last)| clock <= *last)
    }

    pub(super) fn join(&mut self, other: &Self) {
        for (first, last) in &other.spans {
            self.insert(first - 1, *last);
        }
    }

    pub(super) fn spans(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        self.spans.iter().map(|(first, last)| *first..=*last)
    }

    /// The clock up to which nothing is missing.
    pub(super) fn whole(&self) -> u64 {
        self.spans.get(&1).copied().unwrap_or(0)
    }

    /// How many spans there are: one, plus one for each gap.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn members(clocks: &Clocks) -> BTreeSet<u64> {
        clocks.spans().flatten().collect()
    }

    proptest! {
        #[test]
        fn it_is_a_set_of_numbers(spans in prop::collection::vec((0..40_u64, 0..8_u64), 0..12)) {
            let (mut clocks, mut model) = (Clocks::default(), BTreeSet::new());
            for (since, length) in spans {
                clocks.insert(since, since + length);
                model.extend(since + 1..=since + length);
                prop_assert_eq!(members(&clocks), model.clone());
                prop_assert!((0..60).all(|clock| clocks.contains(clock) == model.contains(&clock)));
                let whole = (1..).take_while(|clock| model.contains(clock)).last();
                prop_assert_eq!(clocks.whole(), whole.unwrap_or(0));
                let spans: Vec<_> = clocks.spans().collect();
                prop_assert_eq!(clocks.len(), spans.len());
                prop_assert!(spans.windows(2).all(|two| two[0].end() + 1 < *two[1].start()));
            }
        }
    }
}
