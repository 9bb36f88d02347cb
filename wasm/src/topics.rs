//! Topics as small integers, which JavaScript learns once per topic.
//!
//! A number may be given up once no payload holds it; JavaScript asks for that when it knows many
//! ([`sweep_topics`]), and forgets those that are named to it.

use std::cell::RefCell;

use slab::Slab;
use tidegate_core::topic::Topic;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::errors::to_js;
use crate::records::{self, Record};

thread_local! {
    static TOPICS: RefCell<Slab<Interned>> = const { RefCell::new(Slab::new()) };
}

struct Interned {
    topic: Topic,
    holders: u32,
}

/// The number of a topic that JavaScript knows no number for.
///
/// # Errors
/// What is wrong with the text, and at which byte.
#[wasm_bindgen]
pub fn intern_topic(text: &str) -> Result<u32, JsValue> {
    let topic = Topic::new(text).map_err(|error| to_js::topic(text, &error))?;
    let number = TOPICS.with_borrow_mut(|topics| topics.insert(Interned { topic, holders: 0 }));
    Ok(u32::try_from(number).expect("fewer than 2^32 topics fit into this memory"))
}

/// Gives up the numbers that no payload holds, and names them among the records.
#[wasm_bindgen]
pub fn sweep_topics() -> u32 {
    records::begin();
    TOPICS.with_borrow_mut(|topics| {
        topics.retain(|number, interned| {
            let is_held = interned.holders > 0;
            if !is_held {
                records::push(Record::TopicForgotten { topic: number });
            }
            is_held
        });
    });
    records::finish()
}

/// The topic with a number.
pub(crate) fn topic(number: u32) -> Topic {
    TOPICS.with_borrow(|topics| topics[number as usize].topic.clone())
}

/// A topic's number that must stay.
#[derive(Debug)]
pub(crate) struct Held(u32);

impl Held {
    pub(crate) fn new(number: u32) -> Self {
        TOPICS.with_borrow_mut(|topics| topics[number as usize].holders += 1);
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
        TOPICS.with_borrow_mut(|topics| topics[self.0 as usize].holders -= 1);
    }
}
