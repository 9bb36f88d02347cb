//! Payloads as handles: numbers of slots in a table on the JavaScript side.

use std::cell::RefCell;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidegate_core::payload::Payload;
use tidegate_core::publication::Combine;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::topics;

#[wasm_bindgen(raw_module = "../slots.js")]
extern "C" {
    fn merge_slots(older: u32, newer: u32) -> u32;
    fn sum_slots(older: u32, newer: u32) -> u32;
    fn slot_text(slot: u32, field: &str) -> Option<String>;
}

thread_local! {
    static SLOTS: RefCell<Slots> = const { RefCell::new(Slots { needs: Vec::new(), freed: Vec::new() }) };
}

struct Slots {
    /// How many need each slot.
    needs: Vec<u32>,
    freed: Vec<u32>,
}

/// A slot that is needed. Dropping the last one of its number says that JavaScript may empty it.
#[derive(Debug)]
pub(crate) struct Slot(u32);

impl Slot {
    /// Takes over a slot that JavaScript has just filled.
    pub(crate) fn new(number: u32) -> Self {
        SLOTS.with_borrow_mut(|slots| {
            let index = number as usize;
            if slots.needs.len() <= index {
                slots.needs.resize(index + 1, 0);
            }
            slots.needs[index] = 1;
        });
        Self(number)
    }

    /// Its number.
    pub(crate) const fn number(&self) -> u32 {
        self.0
    }
}

impl Clone for Slot {
    fn clone(&self) -> Self {
        SLOTS.with_borrow_mut(|slots| slots.needs[self.0 as usize] += 1);
        Self(self.0)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        SLOTS.with_borrow_mut(|slots| {
            let needs = &mut slots.needs[self.0 as usize];
            *needs -= 1;
            if *needs == 0 {
                slots.freed.push(self.0);
            }
        });
    }
}

/// Names the slots that were freed since this was last called, to be told to JavaScript after
/// everything that it may still have to read from them.
pub(crate) fn for_each_freed(tell: impl FnMut(u32)) {
    SLOTS.with_borrow_mut(|slots| slots.freed.drain(..).for_each(tell));
}

/// A publication's payload, which also knows its topic's number so that nothing is looked up on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    slot: Slot,
    topic: topics::Held,
    has_text: bool,
}

impl Handle {
    /// The payload in `slot`, for the topic with number `topic`.
    ///
    /// `has_text` says whether the payload has the member that the terminal rule reads, as a text: asking
    /// for it costs more than the rest of a publish, and most payloads have none.
    pub(crate) fn new(slot: u32, topic: u32, has_text: bool) -> Self {
        Self {
            slot: Slot::new(slot),
            topic: topics::Held::new(topic),
            has_text,
        }
    }

    /// The number of its slot.
    pub(crate) const fn slot(&self) -> u32 {
        self.slot.number()
    }

    /// The number of its topic.
    pub(crate) const fn topic(&self) -> u32 {
        self.topic.number()
    }
}

impl Payload for Handle {
    fn merge(&self, newer: &Self) -> Self {
        Self::new(
            merge_slots(self.slot(), newer.slot()),
            newer.topic(),
            newer.has_text,
        )
    }

    fn sum(&self, newer: &Self) -> Self {
        Self::new(
            sum_slots(self.slot(), newer.slot()),
            newer.topic(),
            newer.has_text,
        )
    }

    fn text_field(&self, field: &str) -> Option<String> {
        if self.has_text {
            slot_text(self.slot(), field)
        } else {
            None
        }
    }

    fn size(&self) -> usize {
        0
    }

    fn is_same(&self, other: &Self) -> bool {
        self.slot() == other.slot()
    }
}

/// A payload is written as its slot's number; JavaScript puts the value in its place.
impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.slot())
    }
}

/// Frames with payloads come in as numbers, never as objects.
impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(_deserializer: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("this type of frame carries no data"))
    }
}

/// The arguments of a call of a plain function. They are conflated by keeping the newest alone.
impl Combine for Slot {
    fn merge_over(self, _older: &Self) -> Self {
        self
    }

    fn add_to(self, _older: &Self) -> Self {
        self
    }
}
