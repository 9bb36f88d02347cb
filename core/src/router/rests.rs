//! Which entries of a route rest: a visit passes over them.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// How many entries a word stands for.
const WORD: usize = u64::BITS as usize;

/// A bit for each entry, by its index. Routes with few entries need no separate allocation for it, and a visit to ten
/// thousand entries that all rest looks at 160 words.
#[derive(Debug, Default)]
pub(super) struct Rests {
    len: u32,
    /// The first 64 entries.
    first: u64,
    /// The others, if any of them has ever rested. Few routes have that many.
    #[expect(
        clippy::box_collection,
        reason = "hardly any route needs the room of an array"
    )]
    more: Option<Box<Vec<u64>>>,
}

impl Rests {
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sets whether the entry at `at` rests.
    pub(super) fn set(&mut self, at: usize, rests: bool) {
        let word = at / WORD;
        if rests && word > 0 {
            let more = self.more.get_or_insert_default();
            more.resize(more.len().max(word), 0);
        }
        let Some(bits) = self.word_mut(word) else {
            return;
        };
        let bit = 1 << (at % WORD);
        let before = *bits;
        *bits = if rests { before | bit } else { before & !bit };
        let changed = u32::from(*bits != before);
        self.len = if rests {
            self.len + changed
        } else {
            self.len - changed
        };
    }

    pub(super) fn get(&self, at: usize) -> bool {
        self.word(at / WORD) & (1 << (at % WORD)) != 0
    }

    /// No entry rests any longer.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The first entry at or after `at` that doesn't rest, if it is below `end`.
    pub(super) fn next_awake(&self, mut at: usize, end: usize) -> Option<usize> {
        loop {
            // Beyond the last word, all entries are awake.
            let awake = !self.word(at / WORD) >> (at % WORD);
            if awake != 0 {
                at += awake.trailing_zeros() as usize;
                return (at < end).then_some(at);
            }
            at = (at / WORD + 1) * WORD;
        }
    }

    /// The entry at `at` is removed, and the one at `last` takes its place.
    pub(super) fn swap_remove(&mut self, at: usize, last: usize) {
        if !self.is_empty() {
            let moved = self.get(last);
            self.set(at, moved);
            self.set(last, false);
        }
    }

    fn word(&self, word: usize) -> u64 {
        match word {
            0 => self.first,
            word => {
                let more = self.more.as_ref();
                more.and_then(|more| more.get(word - 1))
                    .copied()
                    .unwrap_or(0)
            }
        }
    }

    fn word_mut(&mut self, word: usize) -> Option<&mut u64> {
        match word {
            0 => Some(&mut self.first),
            word => self.more.as_mut()?.get_mut(word - 1),
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let more = self.more.as_ref();
        more.map_or(0, |more| {
            size_of::<Vec<u64>>() + more.capacity() * size_of::<u64>()
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Add,
        Set { at: usize, rests: bool },
        Remove { at: usize },
        Clear,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Add),
            8 => (any::<usize>(), any::<bool>()).prop_map(|(at, rests)| Step::Set { at, rests }),
            3 => any::<usize>().prop_map(|at| Step::Remove { at }),
            1 => Just(Step::Clear),
        ]
    }

    #[test]
    fn who_rests_needs_no_memory_among_few_and_a_bit_among_many() {
        let mut rests = Rests::default();
        rests.set(WORD - 1, true);
        rests.set(100 * WORD, false);
        assert_eq!(rests.memory_bytes(), 0);
        rests.set(100 * WORD, true);
        let words = 100 * size_of::<u64>();
        assert!((words..2 * words).contains(&rests.memory_bytes()));
    }

    proptest! {
        #[test]
        fn they_agree_with_a_list(steps in prop::collection::vec(any_step(), 0..if cfg!(miri) { 60 } else { 300 })) {
            let mut rests = Rests::default();
            let mut list = alloc::vec![false; 120];
            for step in steps {
                match step {
                    Step::Add => list.push(false),
                    Step::Set { at, rests: value } if !list.is_empty() => {
                        let at = at % list.len();
                        rests.set(at, value);
                        list[at] = value;
                    }
                    Step::Remove { at } if !list.is_empty() => {
                        let at = at % list.len();
                        rests.swap_remove(at, list.len() - 1);
                        list.swap_remove(at);
                    }
                    Step::Clear => {
                        rests.clear();
                        list.fill(false);
                    }
                    Step::Set { .. } | Step::Remove { .. } => {}
                }
                prop_assert_eq!(rests.is_empty(), !list.contains(&true));
                let mut awake = Vec::new();
                let mut next = rests.next_awake(0, list.len());
                while let Some(at) = next {
                    awake.push(at);
                    next = rests.next_awake(at + 1, list.len());
                }
                let expected: Vec<usize> = (0..list.len()).filter(|at| !list[*at]).collect();
                prop_assert_eq!(awake, expected);
            }
        }
    }
}
