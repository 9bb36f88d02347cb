//! The deadlines of a million gates, identified by small dense keys.
//!
//! # Why entries are moved lazily
//! Most often, a deadline moves later: a debounced gate moves its own at every call, a connection with every frame.
//! With a million of them, the cost is the number of scattered places in memory that are touched. So the new deadline
//! is stored with the key, one write to one place, and the waiting entry stays where it is. When the entry comes up, it
//! is moved to where it belongs: once per delay, however often the deadline was moved in the meantime. A cancelled
//! deadline leaves its entry, too, which the key reuses if it is armed again before that. Only a deadline that moves
//! earlier needs another entry, which makes the first one useless. Deadlines still come up in order; only the earliest
//! deadline may be reported too early.
//!
//! # Why ranges
//! Putting an entry back into a heap of a million takes twenty steps, each of which waits for memory whose address the
//! previous one has read. Here, waiting entries are in **ranges** (a radix heap): the highest bit in which a deadline
//! differs from the last one that was reached is the number of its range. Adding is appending. When a range is reached,
//! its entries are spread over the finer ranges before it, which are empty then, from first to last, so that memory is
//! read and written in order. An entry passes through about ten of them in a delay of a second. Entries within some
//! hundred microseconds are in a heap, which is small most of the time.
//!
//! An entry is 16 bytes and a key 16 more, armed or not, and arrays have room to grow. Useless entries are removed
//! together once there are more of them than keys.

use core::cmp::Ordering;
use core::mem::size_of;

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;

use crate::time::Instant;

/// The time of a missing entry or deadline, in microseconds: later than any clock.
const NEVER: u64 = u64::MAX;

/// How many ranges there are: one for each bit of a time.
const RANGES: usize = u64::BITS as usize;

/// A range up to this number is moved to the heap as a whole when it is reached. It covers two to the power of its
/// number microseconds.
const WHOLE_MAX: usize = 7;

/// How many empty places a range keeps allocated while it has no entries.
const KEPT_MAX: usize = 256;

/// Useless entries are kept up to this number, however few keys there are.
const USELESS_MIN: usize = 64;

/// At most one deadline for each key.
///
/// Keys are indexes, such as those of gates in their array: memory grows with the largest key that was ever armed. Keys
/// that are due at the same instant come up in ascending order, so that the same calls have the same results.
#[derive(Debug)]
pub struct Timers {
    /// What comes up next: every entry up to `reached`.
    next: BinaryHeap<Entry>,
    /// In microseconds.
    reached: u64,
    /// The later entries.
    ranges: [Range; RANGES],
    /// A bit for each range that has entries.
    filled: u64,
    /// How many entries there are.
    entries: usize,
    keys: Vec<Key>,
    /// How many keys are armed.
    armed: usize,
}

/// Entries whose highest bit that differs from the reached time is the same.
#[derive(Debug)]
struct Range {
    /// The earliest of them; [`NEVER`] if there are none.
    first: u64,
    entries: Vec<Entry>,
}

impl Range {
    const EMPTY: Self = Self {
        first: NEVER,
        entries: Vec::new(),
    };
}

/// The state of a key, in one place. [`NEVER`] stands for none.
#[derive(Clone, Copy, Debug)]
struct Key {
    /// Its deadline, in microseconds.
    at: u64,
    /// The time of its entry, which is never later than the deadline. All other entries of this key are useless; if
    /// several have this time, it doesn't matter which one is meant.
    entry: u64,
}

impl Key {
    const NEW: Self = Self {
        at: NEVER,
        entry: NEVER,
    };
}

/// The greatest entry comes up first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    at: u64,
    key: u32,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.key).cmp(&(self.at, self.key))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Timers {
    /// No deadlines.
    pub const fn new() -> Self {
        Self {
            next: BinaryHeap::new(),
            reached: 0,
            ranges: [const { Range::EMPTY }; RANGES],
            filled: 0,
            entries: 0,
            keys: Vec::new(),
            armed: 0,
        }
    }

    /// Sets or moves the deadline of `key`. The last microsecond that can be represented counts as the one before.
    ///
    /// # Panics
    /// If `key` is `u32::MAX`.
    pub fn arm(&mut self, key: u32, at: Instant) {
        let at = at.as_micros().min(NEVER - 1);
        if self.keys.len() <= key as usize {
            assert_ne!(key, u32::MAX, "timer keys are below 2^32 - 1");
            self.keys.resize(key as usize + 1, Key::NEW);
        }
        let known = &mut self.keys[key as usize];
        self.armed += usize::from(known.at == NEVER);
        known.at = at;
        if at < known.entry {
            known.entry = at;
            if self.entries > 2 * self.keys.len() + USELESS_MIN {
                return self.clear_away();
            }
            self.entries += 1;
            self.add(Entry { at, key });
        }
    }

    /// Cancels the deadline of `key`. Returns whether there was one.
    pub fn disarm(&mut self, key: u32) -> bool {
        match self.keys.get_mut(key as usize) {
            Some(known) if known.at != NEVER => {
                known.at = NEVER;
                self.armed -= 1;
                true
            }
            Some(_) | None => false,
        }
    }

    /// The deadline of `key`, if it is armed.
    pub fn deadline(&self, key: u32) -> Option<Instant> {
        let at = self.keys.get(key as usize)?.at;
        (at != NEVER).then(|| Instant::from_micros(at))
    }

    /// When to call [`expire`](Self::expire): no later than the earliest deadline, and after the time at which it last
    /// returned `None`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.armed > 0).then(|| Instant::from_micros(self.first()))
    }

    /// Disarms and returns the key that is due first; `None` if none is due at `now`.
    pub fn expire(&mut self, now: Instant) -> Option<u32> {
        let now = now.as_micros();
        while self.armed > 0 && self.first() <= now {
            let Some(Entry { at, key }) = self.next.pop() else {
                self.reach();
                continue;
            };
            let known = &mut self.keys[key as usize];
            let is_own = known.entry == at;
            if is_own && known.at == at {
                *known = Key::NEW;
                self.entries -= 1;
                self.armed -= 1;
                return Some(key);
            }
            if is_own {
                known.entry = known.at;
            }
            if is_own && known.at != NEVER {
                let at = known.at;
                self.add(Entry { at, key });
            } else {
                self.entries -= 1;
            }
        }
        None
    }

    /// How many keys are armed.
    pub fn len(&self) -> usize {
        self.armed
    }

    /// Returns whether no key is armed.
    pub fn is_empty(&self) -> bool {
        self.armed == 0
    }

    /// How many bytes are allocated. The memory of keys never shrinks.
    pub fn memory_bytes(&self) -> usize {
        let of_ranges = self.ranges.iter().map(|range| range.entries.capacity());
        let entries = of_ranges.sum::<usize>() + self.next.capacity();
        entries * size_of::<Entry>() + self.keys.capacity() * size_of::<Key>()
    }

    /// The time of the first entry; [`NEVER`] if there is none.
    fn first(&self) -> u64 {
        match (self.next.peek(), self.filled) {
            (Some(entry), _) => entry.at,
            (None, 0) => NEVER,
            (None, filled) => self.ranges[filled.trailing_zeros() as usize].first,
        }
    }

    fn add(&mut self, entry: Entry) {
        if entry.at <= self.reached {
            return self.next.push(entry);
        }
        let number = (entry.at ^ self.reached).ilog2();
        let range = &mut self.ranges[number as usize];
        range.first = range.first.min(entry.at);
        range.entries.push(entry);
        self.filled |= 1 << number;
    }

    /// Moves on to the first range with entries. There must be no earlier entries.
    fn reach(&mut self) {
        let number = self.filled.trailing_zeros() as usize;
        let Some(range) = self.ranges.get_mut(number) else {
            return;
        };
        self.filled &= self.filled - 1;
        let mut reached = core::mem::replace(range, Range::EMPTY);
        if number <= WHOLE_MAX {
            // Up to the range's end.
            self.reached = reached.first | ((1 << number) - 1);
            self.next.extend(reached.entries.drain(..));
        } else {
            self.reached = reached.first;
            for entry in reached.entries.drain(..) {
                self.add(entry);
            }
        }
        if reached.entries.capacity() <= KEPT_MAX {
            self.ranges[number].entries = reached.entries;
        }
    }

    /// Removes all entries, and adds one for each armed key, at its deadline.
    fn clear_away(&mut self) {
        self.next.clear();
        self.ranges = [const { Range::EMPTY }; RANGES];
        self.filled = 0;
        self.entries = self.armed;
        for key in 0..self.keys.len() {
            let known = &mut self.keys[key];
            known.entry = known.at;
            if known.at != NEVER {
                let at = known.at;
                // Keys are numbers of 32 bits.
                let key = key as u32;
                self.add(Entry { at, key });
            }
        }
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
