//! What is followed, and which changes of it the server has to be told.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_core::topic::{Pattern, Topic};

use super::layout::{Layout, Partition, glob};

/// Everything that is followed on one link.
#[derive(Default)]
pub(super) struct Interest {
    exact: BTreeSet<Topic>,
    /// Patterns with wildcards, by the glob that stands for them, without a prefix.
    wild: BTreeMap<String, BTreeSet<Pattern>>,
    /// How many of both concern each partition of a Cluster.
    partitions: BTreeMap<Partition, usize>,
}

/// What was added or removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) exact: Vec<Topic>,
    /// One pattern for each glob.
    pub(super) wild: Vec<Pattern>,
    pub(super) partitions: Vec<Partition>,
}

impl Interest {
    pub(super) fn add(&mut self, layout: &Layout, patterns: &[Pattern]) -> Change {
        let mut change = Change::default();
        for pattern in patterns {
            let is_new = match pattern.exact() {
                Some(topic) => {
                    let is_new = self.exact.insert(topic.clone());
                    change.exact.extend(is_new.then_some(topic));
                    is_new
                }
                None => {
                    let alike = self.wild.entry(glob("", pattern)).or_default();
                    change
                        .wild
                        .extend(alike.is_empty().then(|| pattern.clone()));
                    alike.insert(pattern.clone())
                }
            };
            if is_new {
                for partition in concerned(layout, pattern) {
                    let count = self.partitions.entry(partition).or_default();
                    *count += 1;
                    change.partitions.extend((*count == 1).then_some(partition));
                }
            }
        }
        change
    }

    pub(super) fn remove(&mut self, layout: &Layout, patterns: &[Pattern]) -> Change {
        let mut change = Change::default();
        for pattern in patterns {
            let was_known = match pattern.exact() {
                Some(topic) => {
                    let was_known = self.exact.remove(&topic);
                    change.exact.extend(was_known.then_some(topic));
                    was_known
                }
                None => self.remove_wild(pattern, &mut change),
            };
            if was_known {
                for partition in concerned(layout, pattern) {
                    let count = self.partitions.entry(partition).or_default();
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.partitions.remove(&partition);
                        change.partitions.push(partition);
                    }
                }
            }
        }
        change
    }

    fn remove_wild(&mut self, pattern: &Pattern, change: &mut Change) -> bool {
        let glob = glob("", pattern);
        let Some(alike) = self.wild.get_mut(&glob) else {
            return false;
        };
        let was_known = alike.remove(pattern);
        if alike.is_empty() {
            self.wild.remove(&glob);
            change.wild.push(pattern.clone());
        }
        was_known
    }

    /// Whether a pattern with wildcards is followed.
    pub(super) fn is_any_wild(&self) -> bool {
        !self.wild.is_empty()
    }

    pub(super) fn wants(&self, topic: &Topic) -> bool {
        let mut wild = self.wild.values().flatten();
        self.exact.contains(topic) || wild.any(|pattern| pattern.matches(topic))
    }
}

fn concerned(layout: &Layout, pattern: &Pattern) -> std::ops::Range<Partition> {
    match pattern.exact() {
        Some(topic) => {
            let partition = layout.partition(topic.as_str());
            partition..partition + 1
        }
        None => layout.partitions(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).unwrap()
    }

    #[test]
    fn the_server_is_told_of_the_first_and_the_last_that_need_a_channel() {
        let layout = Layout::new("t", false);
        let mut interest = Interest::default();
        let both = [pattern("a:*"), pattern("a:**")];
        assert_eq!(interest.add(&layout, &both).wild, [pattern("a:*")]);
        assert_eq!(interest.add(&layout, &both), Change::default());
        assert!(interest.remove(&layout, &both[..1]).wild.is_empty());
        assert!(interest.wants(&Topic::new("a:b:c").unwrap()));
        let change = interest.remove(&layout, &both);
        assert_eq!(
            (change.wild.as_slice(), change.partitions.len()),
            (&both[1..], 1)
        );
    }

    #[test]
    fn a_partition_is_needed_as_long_as_any_topic_in_it() {
        let layout = Layout::new("t", true);
        let mut interest = Interest::default();
        assert_eq!(interest.add(&layout, &[pattern("a")]).partitions.len(), 1);
        assert_eq!(interest.add(&layout, &[pattern("*")]).partitions.len(), 63);
        assert_eq!(
            interest.remove(&layout, &[pattern("a")]).partitions,
            Vec::<Partition>::new()
        );
        assert_eq!(
            interest.remove(&layout, &[pattern("*")]).partitions.len(),
            64
        );
    }
}
