//! Payloads as handles: numbers of slots in a table on the JavaScript side.

use alloc::string::String;
use alloc::vec::Vec;

use tidegate_core::payload::Payload;

use crate::machines::ask;
use crate::single::Single;
use crate::topics;

#[cfg_attr(target_arch = "wasm32", link(wasm_import_module = "slots"))]
unsafe extern "C" {
    safe fn merge_slots(older: u32, newer: u32) -> u32;
    safe fn sum_slots(older: u32, newer: u32) -> u32;
    safe fn patch_slots(base: u32, patch: u32) -> u32;
    safe fn slot_bytes(slot: u32) -> usize;
}

static SLOTS: Single<Slots> = Single::new(Slots {
    needs: Vec::new(),
    freed: Vec::new(),
});

struct Slots {
    /// The reference count of each slot.
    needs: Vec<u32>,
    freed: Vec<u32>,
}

/// A counted reference to a slot. When the last one is dropped, JavaScript is told to empty the slot.
#[derive(Debug)]
pub(crate) struct Slot(u32);

impl Slot {
    /// Refers to a slot that JavaScript has just filled.
    pub(crate) fn new(number: u32) -> Self {
        let mut slots = SLOTS.borrow();
        let index = number as usize;
        if slots.needs.len() <= index {
            slots.needs.resize(index + 1, 0);
        }
        slots.needs[index] = 1;
        Self(number)
    }

    /// Its number.
    pub(crate) const fn number(&self) -> u32 {
        self.0
    }
}

impl Clone for Slot {
    fn clone(&self) -> Self {
        SLOTS.borrow().needs[self.0 as usize] += 1;
        Self(self.0)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slots = SLOTS.borrow();
        let needs = &mut slots.needs[self.0 as usize];
        *needs -= 1;
        if *needs == 0 {
            slots.freed.push(self.0);
        }
    }
}

/// Calls `tell` for each slot that was freed since the last call. They must be recorded after everything that
/// JavaScript may still read from them.
pub(crate) fn for_each_freed(tell: impl FnMut(u32)) {
    SLOTS.borrow().freed.drain(..).for_each(tell);
}

/// A publication's payload. It also holds its topic's number, which saves a lookup when it is recorded.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    slot: Slot,
    topic: topics::Held,
}

impl Handle {
    /// The payload in `slot`, for the topic with number `topic`.
    pub(crate) fn new(slot: u32, topic: u32) -> Self {
        Self {
            slot: Slot::new(slot),
            topic: topics::Held::new(topic),
        }
    }

    /// The payload in `slot`, without a topic.
    pub(crate) fn without_topic(slot: u32) -> Self {
        Self {
            slot: Slot::new(slot),
            topic: topics::Held::NOTHING,
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
        let merged = ask(|| merge_slots(self.slot(), newer.slot()));
        Self::new(merged, newer.topic())
    }

    fn sum(&self, newer: &Self) -> Self {
        let sum = ask(|| sum_slots(self.slot(), newer.slot()));
        Self::new(sum, newer.topic())
    }

    fn patched(&self, patch: &Self) -> Option<Self> {
        let patched = ask(|| patch_slots(self.slot(), patch.slot()));
        Some(Self::new(patched, patch.topic()))
    }

    /// Never needed: JavaScript passes the member that the terminal rule reads along with each publish.
    fn text_field(&self, _field: &str) -> Option<String> {
        None
    }

    fn size(&self) -> usize {
        0
    }

    fn encoded_bytes(&self) -> usize {
        ask(|| slot_bytes(self.slot()))
    }

    fn is_same(&self, other: &Self) -> bool {
        self.slot() == other.slot()
    }
}
