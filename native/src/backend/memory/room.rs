//! Limits what all parts of a memory hold together.

use crate::atomics::{AtomicUsize, Ordering};

/// The limits, and how much there is.
///
/// Only what is added or removed changes it. A topic whose history is full and keeps its size leaves it alone, so that
/// the processors don't contend for it.
#[derive(Debug)]
pub(crate) struct Room {
    topics_max: usize,
    bytes_max: usize,
    topics: AtomicUsize,
    /// The bytes of the payloads that are kept.
    bytes: AtomicUsize,
}

impl Room {
    pub(crate) fn unlimited() -> Self {
        Self::new(usize::MAX, usize::MAX)
    }

    pub(crate) fn new(topics_max: usize, bytes_max: usize) -> Self {
        Self {
            topics_max,
            bytes_max,
            topics: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    pub(crate) fn topics_max(&self) -> usize {
        self.topics_max
    }

    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub(crate) fn topics(&self) -> usize {
        self.topics.load(Ordering::Relaxed)
    }

    /// Whether there may be more topics.
    pub(crate) fn has_topics(&self) -> bool {
        self.topics() < self.topics_max
    }

    /// Counts another topic, unless the limit is reached.
    pub(crate) fn take_topic(&self) -> bool {
        let one_more = |topics| (topics < self.topics_max).then_some(topics + 1);
        let taken = self
            .topics
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.is_ok()
    }

    /// Gives back the room of a topic that is forgotten.
    pub(crate) fn give_back(&self, bytes: usize) {
        self.topics.fetch_sub(1, Ordering::Relaxed);
        self.change_bytes(bytes, 0);
    }

    /// Whether a topic that keeps `own` bytes can keep another `bytes`, if need be instead of those.
    pub(crate) fn has_bytes(&self, own: usize, bytes: usize) -> bool {
        let all = self.bytes.load(Ordering::Relaxed);
        all.saturating_sub(own).saturating_add(bytes) <= self.bytes_max
    }

    /// Notes that a topic keeps `after` bytes instead of `before`, and returns whether that is within the limit.
    pub(crate) fn change_bytes(&self, before: usize, after: usize) -> bool {
        if before < after {
            let more = after - before;
            return self.bytes.fetch_add(more, Ordering::Relaxed) + more <= self.bytes_max;
        }
        if after < before {
            self.bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
        self.has_bytes(0, 0)
    }
}
