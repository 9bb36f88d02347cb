//! A map by topic that remembers a bounded number: those that were touched last.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::topic::Topic;

/// A map that forgets what was not touched for the longest, once it holds more than it may.
///
/// It forgets a quarter at a time, so that the work is spread over as many touches.
#[derive(Debug)]
pub(crate) struct Recent<V> {
    entries: BTreeMap<Topic, Entry<V>>,
    touches: u64,
    topics_max: usize,
}

#[derive(Debug)]
struct Entry<V> {
    touched: u64,
    value: V,
}

impl<V> Recent<V> {
    pub(crate) const fn new(topics_max: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            touches: 0,
            topics_max,
        }
    }

    /// The value of a topic, which this touches; made where there is none.
    pub(crate) fn touch(&mut self, topic: &Topic, make: impl FnOnce() -> V) -> &mut V {
        self.touches += 1;
        if self.entries.len() >= self.topics_max && !self.entries.contains_key(topic) {
            self.forget_oldest();
        }
        let entry = self.entries.entry(topic.clone()).or_insert_with(|| Entry {
            touched: 0,
            value: make(),
        });
        entry.touched = self.touches;
        &mut entry.value
    }

    fn forget_oldest(&mut self) {
        let mut touches: Vec<u64> = self.entries.values().map(|entry| entry.touched).collect();
        touches.sort_unstable();
        let oldest_kept = touches[touches.len() / 4];
        self.entries.retain(|_, entry| entry.touched > oldest_kept);
    }

    pub(crate) fn get(&self, topic: &Topic) -> Option<&V> {
        self.entries.get(topic).map(|entry| &entry.value)
    }

    pub(crate) fn remove(&mut self, topic: &Topic) {
        self.entries.remove(topic);
    }

    /// Everything, in the order of the topics.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Topic, &V)> {
        self.entries
            .iter()
            .map(|(topic, entry)| (topic, &entry.value))
    }

    /// Everything, last touched first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = (&Topic, &V)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_unstable_by_key(|(_, entry)| core::cmp::Reverse(entry.touched));
        entries
            .into_iter()
            .map(|(topic, entry)| (topic, &entry.value))
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn topic(number: u32) -> Topic {
        Topic::new(&format!("t:{number}")).expect("valid")
    }

    #[test]
    fn what_was_touched_last_stays() {
        let mut recent = Recent::new(100);
        for number in 0..1000 {
            *recent.touch(&topic(number), || 0) = number;
            recent.touch(&topic(0), || unreachable!("touched again and again"));
            assert!(recent.iter().count() <= 100);
        }
        for number in [0, 999, 998, 950] {
            assert_eq!(recent.get(&topic(number)), Some(&number));
        }
        assert_eq!(recent.get(&topic(1)), None);
        assert_eq!(recent.newest_first().next(), Some((&topic(0), &0)));
    }
}
