//! The topics that a hub follows.

use std::collections::HashSet;

use tidegate_core::topic::{Pattern, Topic};

/// The most names that a reader passes to the server to select by; with more, it reads everything.
const SELECTED_MAX: usize = 100;

/// The patterns that a hub follows.
#[derive(Debug, Default)]
pub(super) struct Following {
    exact: HashSet<Topic>,
    wild: Vec<Pattern>,
}

/// What a reader requests from the server. It is coarser than what is followed, never finer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selection {
    /// Whether to read everything;
    pub(super) is_all: bool,
    /// if not, these topics
    pub(super) topics: Vec<String>,
    /// and those that begin like this.
    pub(super) prefixes: Vec<String>,
}

impl Following {
    pub(super) fn add(&mut self, patterns: &[Pattern]) {
        for pattern in patterns {
            match pattern.exact() {
                Some(topic) => {
                    self.exact.insert(topic);
                }
                None if self.wild.contains(pattern) => {}
                None => self.wild.push(pattern.clone()),
            }
        }
    }

    pub(super) fn remove(&mut self, patterns: &[Pattern]) {
        for pattern in patterns {
            match pattern.exact() {
                Some(topic) => {
                    self.exact.remove(&topic);
                }
                None => self.wild.retain(|known| known != pattern),
            }
        }
    }

    pub(super) fn matches(&self, topic: &Topic) -> bool {
        self.exact.contains(topic) || self.wild.iter().any(|pattern| pattern.matches(topic))
    }

    pub(super) fn selection(&self) -> Selection {
        let is_all = self.exact.len() + self.wild.len() > SELECTED_MAX
            || self
                .wild
                .iter()
                .any(|pattern| pattern.literal_prefix().is_empty());
        let mut selection = Selection {
            is_all,
            topics: Vec::new(),
            prefixes: Vec::new(),
        };
        if !is_all {
            selection.topics = self
                .exact
                .iter()
                .map(|topic| topic.as_str().to_owned())
                .collect();
            selection.prefixes = self
                .wild
                .iter()
                .map(|pattern| pattern.literal_prefix().to_owned())
                .collect();
        }
        selection
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).expect("valid")
    }

    #[test]
    fn the_server_selects_while_it_is_little() {
        let mut following = Following::default();
        following.add(&[
            pattern("job:1"),
            pattern("task:*:log"),
            pattern("task:*:log"),
        ]);
        let selection = following.selection();
        assert!(!selection.is_all);
        assert_eq!(selection.topics, ["job:1"]);
        assert_eq!(selection.prefixes, ["task:"]);
        assert!(following.matches(&Topic::new("task:1:log").expect("valid")));
        assert!(!following.matches(&Topic::new("task:1").expect("valid")));
        following.remove(&[pattern("task:*:log")]);
        assert!(!following.matches(&Topic::new("task:1:log").expect("valid")));
    }

    #[test]
    fn everything_is_read_where_a_pattern_begins_with_a_wildcard_or_there_are_many() {
        let mut following = Following::default();
        following.add(&[pattern("*:log")]);
        assert!(following.selection().is_all);
        following.remove(&[pattern("*:log")]);
        for number in 0..=SELECTED_MAX {
            following.add(&[pattern(&format!("job:{number}"))]);
        }
        assert!(following.selection().is_all);
    }
}
