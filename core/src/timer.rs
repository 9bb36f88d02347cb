//! Deadlines of a million gates, under small dense keys.
//!
//! # Why a heap whose entries lag behind
//! What happens most is that a deadline moves later: a debounced gate moves its own at every call, a connection with every
//! frame. With a million of them, what that costs is how many scattered places it touches. So a deadline that moves later is
//! noted with its key, one write to one place, and its entry in the heap stays where it is. When the entry comes up, it is put
//! where it belongs: once for each of its own delays, however often it was moved meanwhile. What is due comes in
//! its order all the same; only the earliest deadline may be told too early.
//!
//! A timing wheel moves in constant time, too, but touches both neighbours of an entry in the old slot and the new one, and it either
//! rounds deadlines or sorts them late. Four children to a node make three entries of four leaves, and those that are compared share
//! a line of the processor's cache.
//!
//! An entry is 16 bytes, a key 16 more, armed or not. Nothing is allocated per entry.

use core::mem::size_of;

use alloc::vec::Vec;

use crate::time::Instant;

/// How many children a heap node has.
const CHILDREN: usize = 4;

/// The root's place: with this one, the four children of every node lie in one [`Family`].
const ROOT: usize = CHILDREN - 1;

/// The position of a key that isn't armed.
const NOWHERE: u32 = u32::MAX;

/// At most one deadline for each key.
///
/// Keys are indexes, such as those of gates in their array: memory grows with the largest key that was ever
/// armed. Whatever is due at one instant is due in the order of the keys, so that the same calls
/// have the same results.
#[derive(Debug, Default)]
pub struct Timers {
    /// No entry is before its parent. Places before the root are not used.
    heap: Vec<Family>,
    /// How many places are in use, from the root on.
    len: usize,
    keys: Vec<Key>,
}

/// What is known of a key, in one place.
#[derive(Clone, Copy, Debug)]
struct Key {
    /// Its deadline. Its entry in the heap is never later.
    at: Instant,
    /// Where in the heap it is.
    position: u32,
}

impl Key {
    const NOWHERE: Self = Self {
        at: Instant::ZERO,
        position: NOWHERE,
    };
}

/// The children of one node: a cache line, wherever the array lies.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Family([Entry; CHILDREN]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    at: Instant,
    key: u32,
}

impl Entry {
    /// What is in a place that is not in use.
    const NONE: Self = Self {
        at: Instant::from_micros(u64::MAX),
        key: NOWHERE,
    };

    fn is_before(self, other: Self) -> bool {
        (self.at, self.key) < (other.at, other.key)
    }
}

/// Where the parent of the node at `position` is, which is not the root.
const fn parent(position: usize) -> usize {
    position / CHILDREN + ROOT - 1
}

/// Where the children of the node at `position` begin.
const fn children(position: usize) -> usize {
    (position - ROOT + 1) * CHILDREN
}

impl Timers {
    /// Nothing armed.
    pub const fn new() -> Self {
        Self {
            heap: Vec::new(),
            len: 0,
            keys: Vec::new(),
        }
    }

    /// Sets the deadline of `key`, or moves it, earlier or later.
    ///
    /// # Panics
    /// If `key` is `u32::MAX`.
    pub fn arm(&mut self, key: u32, at: Instant) {
        let Some(position) = self.position(key) else {
            return self.add(Entry { at, key });
        };
        let known = &mut self.keys[key as usize].at;
        let is_earlier = at < *known;
        *known = at;
        if is_earlier && at < self.entry(position).at {
            self.rise(position, Entry { at, key });
        }
    }

    /// Takes the deadline of `key` away, and says whether there was one.
    pub fn disarm(&mut self, key: u32) -> bool {
        match self.position(key) {
            None => false,
            Some(position) => {
                self.remove(position);
                true
            }
        }
    }

    /// When `key` is due, if it is armed.
    pub fn deadline(&self, key: u32) -> Option<Instant> {
        self.position(key).map(|_| self.keys[key as usize].at)
    }

    /// When to ask for what is due: no later than the earliest of all deadlines, and after the time at which
    /// [`expire`](Self::expire) said that there is nothing.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.len > 0).then(|| self.entry(ROOT).at)
    }

    /// Disarms the key that is due first, and returns it; `None` when nothing is due at `now`.
    pub fn expire(&mut self, now: Instant) -> Option<u32> {
        while self.poll_timeout()? <= now {
            let Entry { at, key } = self.entry(ROOT);
            let due = self.keys[key as usize].at;
            if due == at {
                self.remove(ROOT);
                return Some(key);
            }
            self.sink(ROOT, Entry { at: due, key });
        }
        None
    }

    /// How many keys are armed.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no key is armed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes are allocated. Never falls: room once needed is kept.
    pub fn memory_bytes(&self) -> usize {
        self.heap.capacity() * size_of::<Family>() + self.keys.capacity() * size_of::<Key>()
    }

    fn position(&self, key: u32) -> Option<usize> {
        let position = self.keys.get(key as usize)?.position;
        (position != NOWHERE).then_some(position as usize)
    }

    fn add(&mut self, entry: Entry) {
        assert_ne!(entry.key, NOWHERE, "timer keys are below 2^32 - 1");
        let keys = entry.key as usize + 1;
        if self.keys.len() < keys {
            self.keys.resize(keys, Key::NOWHERE);
        }
        self.keys[entry.key as usize].at = entry.at;
        let position = ROOT + self.len;
        if position / CHILDREN == self.heap.len() {
            self.heap.push(Family([Entry::NONE; CHILDREN]));
        }
        self.len += 1;
        self.rise(position, entry);
    }

    /// Takes out what is at `position`, and puts the last entry there.
    fn remove(&mut self, position: usize) -> Entry {
        let removed = self.entry(position);
        self.keys[removed.key as usize].position = NOWHERE;
        self.len -= 1;
        let end = ROOT + self.len;
        let last = self.entry(end);
        self.heap[end / CHILDREN].0[end % CHILDREN] = Entry::NONE;
        if position != end {
            if last.is_before(removed) {
                self.rise(position, last);
            } else {
                self.sink(position, last);
            }
        }
        removed
    }

    /// Places `entry` at `position` or above it, moving later parents down.
    fn rise(&mut self, mut position: usize, entry: Entry) {
        while position > ROOT {
            let above = self.entry(parent(position));
            if !entry.is_before(above) {
                break;
            }
            self.place(position, above);
            position = parent(position);
        }
        self.place(position, entry);
    }

    /// Places `entry` at `position` or below it, moving earlier children up.
    fn sink(&mut self, mut position: usize, entry: Entry) {
        while let Some((child, below)) = self.first_child(position) {
            if !below.is_before(entry) {
                break;
            }
            self.place(position, below);
            position = child;
        }
        self.place(position, entry);
    }

    /// The child of the node at `position` that comes before the others.
    fn first_child(&self, position: usize) -> Option<(usize, Entry)> {
        let start = children(position);
        let Family(family) = self.heap.get(start / CHILDREN)?;
        let mut first = 0;
        for child in 1..CHILDREN {
            if family[child].is_before(family[first]) {
                first = child;
            }
        }
        (family[first].key != NOWHERE).then(|| (start + first, family[first]))
    }

    fn entry(&self, position: usize) -> Entry {
        self.heap[position / CHILDREN].0[position % CHILDREN]
    }

    fn place(&mut self, position: usize, entry: Entry) {
        self.heap[position / CHILDREN].0[position % CHILDREN] = entry;
        // Keys are distinct and below NOWHERE, so positions are too.
        self.keys[entry.key as usize].position = position as u32;
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Arm { key: u32, at: u64 },
        Disarm { key: u32 },
        Expire { now: u64 },
    }

    fn any_steps() -> impl Strategy<Value = Vec<Step>> {
        // Few keys and few instants, so that keys are moved and deadlines tie.
        let step = prop_oneof![
            6 => (0..60_u32, 0..40_u64).prop_map(|(key, at)| Step::Arm { key, at }),
            2 => (0..60_u32).prop_map(|key| Step::Disarm { key }),
            2 => (0..40_u64).prop_map(|now| Step::Expire { now }),
        ];
        prop::collection::vec(step, 0..400)
    }

    fn check_heap(timers: &Timers) {
        let end = ROOT + timers.len;
        for position in ROOT..end {
            let entry = timers.entry(position);
            if position > ROOT {
                assert!(!entry.is_before(timers.entry(parent(position))));
            }
            assert_eq!(timers.position(entry.key), Some(position));
            assert!(timers.deadline(entry.key) >= Some(entry.at));
        }
        for (position, entry) in timers.heap.iter().flat_map(|family| family.0).enumerate() {
            assert_eq!(entry == Entry::NONE, !(ROOT..end).contains(&position));
        }
        let armed = timers.keys.iter().filter(|key| key.position != NOWHERE);
        assert_eq!(armed.count(), timers.len());
    }

    proptest! {
        #[test]
        fn timers_agree_with_a_sorted_set(steps in any_steps()) {
            let mut timers = Timers::new();
            let mut deadlines: BTreeMap<u32, Instant> = BTreeMap::new();
            let mut sorted: BTreeSet<(Instant, u32)> = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Arm { key, at } => {
                        let at = Instant::from_millis(at);
                        timers.arm(key, at);
                        if let Some(old) = deadlines.insert(key, at) {
                            sorted.remove(&(old, key));
                        }
                        sorted.insert((at, key));
                    }
                    Step::Disarm { key } => {
                        let old = deadlines.remove(&key);
                        prop_assert_eq!(timers.disarm(key), old.is_some());
                        old.map(|old| sorted.remove(&(old, key)));
                    }
                    Step::Expire { now } => {
                        let now = Instant::from_millis(now);
                        let due = sorted.first().filter(|(at, _)| *at <= now).copied();
                        prop_assert_eq!(timers.expire(now), due.map(|(_, key)| key));
                        prop_assert!(due.is_some() || timers.poll_timeout().is_none_or(|at| at > now));
                        if let Some(due) = due {
                            sorted.remove(&due);
                            deadlines.remove(&due.1);
                        }
                    }
                }
                check_heap(&timers);
                prop_assert_eq!(timers.len(), sorted.len());
                let earliest = sorted.first().map(|(at, _)| *at);
                prop_assert_eq!(timers.poll_timeout().is_some(), earliest.is_some());
                prop_assert!(timers.poll_timeout() <= earliest);
                for key in 0..60 {
                    prop_assert_eq!(timers.deadline(key), deadlines.get(&key).copied());
                }
            }
            for (_, key) in sorted {
                prop_assert_eq!(timers.expire(Instant::from_millis(40)), Some(key));
            }
            prop_assert!(timers.is_empty());
        }
    }

    #[test]
    fn what_is_due_at_one_instant_comes_in_the_order_of_keys() {
        let mut timers = Timers::new();
        let at = Instant::from_millis(5);
        for key in [7, 2, 9, 0] {
            timers.arm(key, at);
        }
        assert_eq!(timers.expire(Instant::from_micros(4_999)), None);
        for key in [0, 2, 7, 9] {
            assert_eq!(timers.expire(at), Some(key));
        }
        assert_eq!(timers.expire(at), None);
        assert_eq!(timers.poll_timeout(), None);
    }

    #[test]
    #[should_panic(expected = "timer keys are below 2^32 - 1")]
    fn the_largest_key_is_refused_before_memory_is_taken_for_it() {
        Timers::new().arm(u32::MAX, Instant::ZERO);
    }
}
