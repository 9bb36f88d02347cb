//! Numbers topics, so that the text of each crosses only once.
//!
//! A number may be freed once no payload holds it. JavaScript requests that when it knows many numbers
//! ([`sweep_topics`]), and forgets those that are recorded as freed.

use slab::Slab;
use tidegate_core::topic::Topic;

use crate::errors::{bad_topic, number_or_failed};
use crate::records::{self, Record};
use crate::single::Single;
use crate::texts;

static TOPICS: Single<Slab<Interned>> = Single::new(Slab::new());

struct Interned {
    topic: Topic,
    holders: u32,
}

/// Numbers a topic for which JavaScript has no number yet.
///
/// Fails if the text is not a topic; the error says why, and at which byte.
#[unsafe(no_mangle)]
extern "C" fn intern_topic(text: u32) -> u32 {
    let text = texts::take(text);
    let topic = Topic::new(&text).map_err(|error| bad_topic(&text, error));
    number_or_failed(topic.map(|topic| {
        let number = TOPICS.borrow().insert(Interned { topic, holders: 0 });
        u32::try_from(number).expect("fewer than 2^32 topics fit into this memory")
    }))
}

/// Frees the numbers that no payload holds, and records them.
#[unsafe(no_mangle)]
extern "C" fn sweep_topics() -> u32 {
    records::begin();
    TOPICS.borrow().retain(|number, interned| {
        let is_held = interned.holders > 0;
        if !is_held {
            records::push(Record::TopicForgotten { topic: number });
        }
        is_held
    });
    records::finish()
}

/// The topic with a number.
pub(crate) fn topic(number: u32) -> Topic {
    TOPICS.borrow()[number as usize].topic.clone()
}

/// A reference to a topic's number that keeps it from being freed.
#[derive(Debug)]
pub(crate) struct Held(u32);

impl Held {
    /// No topic's number.
    pub(crate) const NOTHING: Self = Self(u32::MAX);

    pub(crate) fn new(number: u32) -> Self {
        if let Some(interned) = TOPICS.borrow().get_mut(number as usize) {
            interned.holders += 1;
        }
        Self(number)
    }

    pub(crate) const fn number(&self) -> u32 {
        self.0
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        Self::new(self.0)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(interned) = TOPICS.borrow().get_mut(self.0 as usize) {
            interned.holders -= 1;
        }
    }
}
