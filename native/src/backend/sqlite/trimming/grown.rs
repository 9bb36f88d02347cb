//! Topics whose history has grown, which take turns.

use std::collections::BTreeSet;
use std::ops::Bound;

use tidegate_core::topic::Topic;

#[derive(Default)]
pub(super) struct Grown {
    topics: BTreeSet<Topic>,
    /// The last topic that had its turn. Turns are needed because a topic that is published to all the time never has nothing left to trim,
    /// and so stays in the set.
    last: Option<Topic>,
}

impl Grown {
    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(super) fn insert(&mut self, topic: &Topic) {
        if !self.topics.contains(topic) {
            self.topics.insert(topic.clone());
        }
    }

    pub(super) fn extend(&mut self, topics: BTreeSet<Topic>) {
        self.topics.extend(topics);
    }

    /// Removes a topic for which nothing is left to be done.
    pub(super) fn remove(&mut self, topic: &Topic) {
        self.topics.remove(topic);
    }

    /// The next topics whose turn it is, at most `count_max`.
    pub(super) fn next(&mut self, count_max: usize) -> Vec<Topic> {
        let after = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.topics.range::<Topic, _>((after, Bound::Unbounded));
        // One round, in which none of them comes twice.
        let all = later.chain(&self.topics);
        let next: Vec<Topic> = all
            .take(count_max.min(self.topics.len()))
            .cloned()
            .collect();
        self.last = next.last().cloned();
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(texts: &[&str]) -> Vec<Topic> {
        let topics = texts.iter().map(|text| Topic::new(text).expect("valid"));
        topics.collect()
    }

    #[test]
    fn each_has_its_turn_whichever_stay() {
        let mut grown = Grown::default();
        assert_eq!(grown.next(2), []);
        grown.extend(topics(&["a", "b", "c"]).into_iter().collect());
        assert_eq!(grown.next(2), topics(&["a", "b"]));
        assert_eq!(grown.next(2), topics(&["c", "a"]));
        grown.insert(&topics(&["d"])[0]);
        grown.remove(&topics(&["a"])[0]);
        assert_eq!(grown.next(5), topics(&["b", "c", "d"]));
        assert_eq!(grown.next(1), topics(&["b"]));
    }
}
