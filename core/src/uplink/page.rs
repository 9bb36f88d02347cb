//! A part of what a pattern selects, for whoever reads it part by part.

use alloc::vec::Vec;

use crate::history::Excerpt;
use crate::payload::Payload;
use crate::topic::{Pattern, Topic};

/// The first topics that a pattern selects, in the order of their names, from one on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Page {
    /// The pattern.
    pub pattern: Pattern,
    /// The topic that it begins after; none to begin with the first.
    pub after: Option<Topic>,
    /// The most topics. At least one is found if there is one.
    pub count_max: usize,
    /// The payload bytes with which it ends: with the topic that takes it beyond them, if that is not the first.
    pub bytes_max: usize,
}

impl Page {
    /// All that a pattern selects.
    pub const fn all(pattern: Pattern) -> Self {
        Self {
            pattern,
            after: None,
            count_max: usize::MAX,
            bytes_max: usize::MAX,
        }
    }

    /// Whether a topic lies on it or on a later one.
    pub fn selects(&self, topic: &Topic) -> bool {
        self.after.as_ref().is_none_or(|after| topic > after) && self.pattern.matches(topic)
    }

    /// Whether it ends with so many topics, whose payloads have so many bytes. What ends before holds all that is left.
    pub const fn is_full(&self, count: usize, bytes: usize) -> bool {
        count > 0 && (count >= self.count_max || (count > 1 && bytes > self.bytes_max))
    }

    /// Whether it ends with these.
    pub fn is_full_with<P: Payload>(&self, excerpts: &[Excerpt<P>]) -> bool {
        self.is_full(excerpts.len(), excerpts.iter().map(bytes).sum())
    }

    /// What of all that its pattern selects lies on it.
    pub fn of<P: Payload>(&self, mut all: Vec<Excerpt<P>>) -> Vec<Excerpt<P>> {
        all.retain(|excerpt| self.selects(&excerpt.topic));
        all.sort_by(|a, b| a.topic.cmp(&b.topic));
        let (mut count, mut page_bytes) = (0, 0);
        for excerpt in &all {
            if self.is_full(count, page_bytes) {
                break;
            }
            count += 1;
            page_bytes += bytes(excerpt);
        }
        all.truncate(count);
        all
    }
}

/// The payload bytes of what an excerpt tells.
fn bytes<P: Payload>(excerpt: &Excerpt<P>) -> usize {
    let publications = excerpt.publications.iter();
    publications.map(|it| it.payload.size()).sum()
}
