//! An array whose elements keep their index until they are removed.

use core::mem::size_of;
use core::ops::{Index, IndexMut};

use alloc::vec::Vec;

use super::index;

#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Slot<T>>,
    /// The slot freed last, which is taken first.
    free: Option<u32>,
    len: usize,
}

#[derive(Debug)]
enum Slot<T> {
    Taken(T),
    Free { next: Option<u32> },
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: None,
            len: 0,
        }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        let Some(at) = self.free else {
            let at = index(self.slots.len());
            self.slots.push(Slot::Taken(value));
            return at;
        };
        let slot = &mut self.slots[at as usize];
        match core::mem::replace(slot, Slot::Taken(value)) {
            Slot::Free { next } => self.free = next,
            Slot::Taken(_) => unreachable!("the free list leads to free slots only"),
        }
        at
    }

    /// Panics if the slot is free.
    pub(super) fn remove(&mut self, at: u32) -> T {
        let freed = Slot::Free { next: self.free };
        match core::mem::replace(&mut self.slots[at as usize], freed) {
            Slot::Taken(value) => {
                self.free = Some(at);
                self.len -= 1;
                value
            }
            Slot::Free { .. } => panic!("{at} was removed before"),
        }
    }

    pub(super) fn get(&self, at: u32) -> Option<&T> {
        match self.slots.get(at as usize) {
            Some(Slot::Taken(value)) => Some(value),
            Some(Slot::Free { .. }) | None => None,
        }
    }

    /// In ascending order of the indexes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.slots).filter_map(|(at, slot)| match slot {
            Slot::Taken(value) => Some((at, value)),
            Slot::Free { .. } => None,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<T>>()
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, at: u32) -> &T {
        match &self.slots[at as usize] {
            Slot::Taken(value) => value,
            Slot::Free { .. } => panic!("{at} was removed before"),
        }
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        match &mut self.slots[at as usize] {
            Slot::Taken(value) => value,
            Slot::Free { .. } => panic!("{at} was removed before"),
        }
    }
}
