//! A page of a listing: some of the topics that match a pattern, for clients that read a long listing in parts.

use alloc::vec::Vec;

use crate::history::Excerpt;
use crate::payload::Payload;
use crate::topic::{Pattern, Topic};

/// A request for the first topics that match a pattern, ordered by name, after a given one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Page {
    /// The pattern.
    pub pattern: Pattern,
    /// The topic after which the page begins; `None` to begin with the first.
    pub after: Option<Topic>,
    /// The largest number of topics. A page has at least one topic, if any is left.
    pub count_max: usize,
    /// The limit of payload bytes: the page ends with the topic that exceeds it, unless that is the first.
    pub bytes_max: usize,
}

impl Page {
    /// A page without limits: every topic that matches the pattern.
    pub const fn all(pattern: Pattern) -> Self {
        Self {
            pattern,
            after: None,
            count_max: usize::MAX,
            bytes_max: usize::MAX,
        }
    }

    /// Returns whether a topic belongs to this page or a later one.
    pub fn selects(&self, topic: &Topic) -> bool {
        self.after.as_ref().is_none_or(|after| topic > after) && self.pattern.matches(topic)
    }

    /// Returns whether a page with this many topics and payload bytes is complete. A page that ends before it is full is
    /// the last.
    pub const fn is_full(&self, count: usize, bytes: usize) -> bool {
        count > 0 && (count >= self.count_max || (count > 1 && bytes > self.bytes_max))
    }

    /// Returns whether a page with these excerpts is complete.
    pub fn is_full_with<P: Payload>(&self, excerpts: &[Excerpt<P>]) -> bool {
        self.is_full(excerpts.len(), excerpts.iter().map(bytes).sum())
    }

    /// Selects the excerpts of this page from those of all topics.
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

/// The payload bytes of an excerpt's publications.
fn bytes<P: Payload>(excerpt: &Excerpt<P>) -> usize {
    let publications = excerpt.publications.iter();
    publications.map(|it| it.payload.size()).sum()
}
