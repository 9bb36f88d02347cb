//! A map by topic that keeps a bounded number of entries: those touched last.

use alloc::vec::Vec;

use crate::ordered::OrderedMap;
use crate::topic::Topic;

/// A map that, when it is full, removes the entry that was not touched for the longest time.
#[derive(Debug)]
pub(crate) struct Recent<V> {
    entries: OrderedMap<Topic, V>,
    order: Order,
    topics_max: usize,
}

impl<V> Recent<V> {
    pub(crate) const fn new(topics_max: usize) -> Self {
        Self {
            entries: OrderedMap::new(),
            order: Order::new(),
            topics_max,
        }
    }

    /// The value of a topic, which is touched by this; inserted if there is none.
    pub(crate) fn touch(&mut self, topic: &Topic, make: impl FnOnce() -> V) -> &mut V {
        let number = match self.entries.number(topic) {
            Some(number) => {
                self.order.unlink(number);
                number
            }
            None => {
                if self.entries.len() >= self.topics_max {
                    self.remove_oldest();
                }
                self.entries.insert(topic, make())
            }
        };
        self.order.link_newest(number);
        self.entries.value_mut(number).expect("just touched")
    }

    /// Removes the entry that was not touched for the longest time.
    pub(crate) fn remove_oldest(&mut self) -> Option<V> {
        let (topic, _) = self.entries.entry(self.order.ends.newer?)?;
        self.remove(&topic.clone())
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn get(&self, topic: &Topic) -> Option<&V> {
        self.entries.get(topic)
    }

    pub(crate) fn remove(&mut self, topic: &Topic) -> Option<V> {
        self.order.unlink(self.entries.number(topic)?);
        self.entries.remove(topic)
    }

    /// All entries, in the order of the topics.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Topic, &V)> {
        self.entries.iter()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut()
    }

    /// All entries, last touched first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = (&Topic, &V)> {
        let mut next = self.order.ends.older;
        core::iter::from_fn(move || {
            let number = next?;
            next = self.order.beside[number as usize].older;
            self.entries.entry(number)
        })
    }
}

/// A linked list of all entries by their numbers, in the order in which they were touched. It knows no values, so it is
/// compiled once for all maps.
#[derive(Debug)]
struct Order {
    /// Indexed by number; entries that were removed keep their old values.
    beside: Vec<Neighbours>,
    ends: Neighbours,
}

/// The numbers of the entries touched just before and after an entry. For the list as a whole, which closes the circle,
/// they are the last touched and the first touched.
#[derive(Clone, Copy, Debug)]
struct Neighbours {
    older: Option<u32>,
    newer: Option<u32>,
}

const NOBODY: Neighbours = Neighbours {
    older: None,
    newer: None,
};

impl Order {
    const fn new() -> Self {
        Self {
            beside: Vec::new(),
            ends: NOBODY,
        }
    }

    fn unlink(&mut self, number: u32) {
        let Neighbours { older, newer } = self.beside[number as usize];
        self.beside(newer).older = older;
        self.beside(older).newer = newer;
    }

    fn link_newest(&mut self, number: u32) {
        while self.beside.len() <= number as usize {
            self.beside.push(NOBODY);
        }
        let older = self.ends.older;
        self.beside[number as usize] = Neighbours { older, newer: None };
        self.beside(older).newer = Some(number);
        self.ends.older = Some(number);
    }

    /// The neighbours of an entry; the ends of the list for `None`.
    fn beside(&mut self, number: Option<u32>) -> &mut Neighbours {
        match number {
            Some(number) => &mut self.beside[number as usize],
            None => &mut self.ends,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn topic(number: u32) -> Topic {
        Topic::new(&format!("t:{number}")).expect("valid")
    }

    #[test]
    fn what_was_touched_last_stays() {
        let touched = if cfg!(miri) { 120 } else { 1000 };
        let mut recent = Recent::new(100);
        for number in 0..touched {
            *recent.touch(&topic(number), || 0) = number;
            recent.touch(&topic(0), || unreachable!("touched again and again"));
            assert!(recent.iter().count() <= 100);
        }
        for number in [0, touched - 1, touched - 2, touched - 50] {
            assert_eq!(recent.get(&topic(number)), Some(&number));
        }
        assert_eq!(recent.get(&topic(1)), None);
        assert_eq!(recent.newest_first().next(), Some((&topic(0), &0)));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Touch(u32),
        Remove(u32),
        RemoveOldest,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..9_u32).prop_map(Step::Touch),
            2 => (0..9_u32).prop_map(Step::Remove),
            1 => Just(Step::RemoveOldest),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(steps in prop::collection::vec(any_step(), 0..if cfg!(miri) { 20 } else { 60 })) {
            let mut recent = Recent::new(5);
            // Last touched first.
            let mut list: Vec<u32> = Vec::new();
            for step in steps {
                match step {
                    Step::Touch(number) => {
                        prop_assert_eq!(*recent.touch(&topic(number), || number), number);
                        list.retain(|known| *known != number);
                        list.insert(0, number);
                        list.truncate(5);
                    }
                    Step::Remove(number) => {
                        let known = list.iter().position(|known| *known == number);
                        prop_assert_eq!(recent.remove(&topic(number)), known.map(|at| list.remove(at)));
                    }
                    Step::RemoveOldest => prop_assert_eq!(recent.remove_oldest(), list.pop()),
                }
                prop_assert!(recent.newest_first().map(|(_, number)| number).eq(&list));
                prop_assert_eq!((recent.len(), recent.is_empty()), (list.len(), list.is_empty()));
                let mut sorted = list.clone();
                sorted.sort_unstable();
                prop_assert!(recent.iter().map(|(_, number)| number).eq(&sorted));
                for number in 0..9 {
                    let known = recent.get(&topic(number));
                    prop_assert_eq!(known.copied(), list.contains(&number).then_some(number));
                }
            }
        }
    }
}
