//! Where the entry of each ticket currently is in its route.

use core::mem::size_of;

use alloc::vec::Vec;

use super::index;

/// A slot of [`Places`], as taken at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    index: u32,
    generation: u32,
}

impl Place {
    pub(super) const fn index(self) -> u32 {
        self.index
    }
}

/// The positions of entries. An entry moves when another one leaves, but tickets can't be updated: a ticket names a
/// slot here, which is.
#[derive(Debug, Default)]
pub(super) struct Places {
    slots: Vec<Slot>,
    /// The slot freed last, which is taken first.
    free: Option<u32>,
}

#[derive(Debug)]
struct Slot {
    /// The entry's index in its route. In a free slot, the next free one, or the slot itself at the end of the list.
    at: u32,
    /// Increases when the slot is freed, so that a ticket can't be used twice.
    generation: u32,
}

impl Places {
    /// Takes a slot for an entry whose index is set next, by [`move_to`](Self::move_to).
    pub(super) fn take(&mut self) -> Place {
        let Some(index) = self.free else {
            let index = index(self.slots.len());
            self.slots.push(Slot {
                at: 0,
                generation: 0,
            });
            return Place {
                index,
                generation: 0,
            };
        };
        let slot = &self.slots[index as usize];
        self.free = (slot.at != index).then_some(slot.at);
        Place {
            index,
            generation: slot.generation,
        }
    }

    /// Frees a slot, and returns its entry's index. Panics if the ticket was used before.
    pub(super) fn give_back(&mut self, place: Place) -> u32 {
        let slot = &mut self.slots[place.index as usize];
        assert_eq!(
            slot.generation, place.generation,
            "a ticket ends one subscription, once"
        );
        slot.generation = slot.generation.wrapping_add(1);
        let next_free = self.free.replace(place.index).unwrap_or(place.index);
        core::mem::replace(&mut slot.at, next_free)
    }

    /// The entry of the slot with this index is now at index `at`.
    pub(super) fn move_to(&mut self, index: u32, at: u32) {
        self.slots[index as usize].at = at;
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }
}
