//! Finding an element of an array by its name.

use core::hash::BuildHasher;
use core::mem::size_of;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// The indexes of an array's elements by the hashes of their names; the names themselves are only in the array.
///
/// Half of each hash is stored, so that a growing table need not read the names again: with a hundred thousand of them
/// scattered over memory, that would cause a pause. The table is never iterated.
#[derive(Debug)]
pub(crate) struct Names {
    hasher: FixedState,
    table: HashTable<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    hash: u32,
    index: u32,
}

impl Entry {
    /// A 64-bit hash for the table, which uses the lower bits for the place and the upper ones for a tag.
    const fn spread(self) -> u64 {
        (self.hash as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

impl Names {
    pub(crate) const fn new(hasher: FixedState) -> Self {
        Self {
            hasher,
            table: HashTable::new(),
        }
    }

    fn entry(&self, name: &str, index: u32) -> Entry {
        #[expect(clippy::cast_possible_truncation, reason = "half of it is enough")]
        let hash = self.hasher.hash_one(name) as u32;
        Entry { hash, index }
    }

    /// The index of a name; `is_named` says whether the element at an index has it.
    pub(crate) fn find(&self, name: &str, is_named: impl Fn(u32) -> bool) -> Option<u32> {
        let wanted = self.entry(name, 0);
        let is_it = |entry: &Entry| entry.hash == wanted.hash && is_named(entry.index);
        let found = self.table.find(wanted.spread(), is_it);
        found.map(|entry| entry.index)
    }

    /// Adds a name, which must not be there.
    pub(crate) fn insert(&mut self, name: &str, index: u32) {
        let entry = self.entry(name, index);
        self.table
            .insert_unique(entry.spread(), entry, |other| other.spread());
    }

    /// Removes a name, which must be there.
    pub(crate) fn remove(&mut self, name: &str, index: u32) {
        let entry = self.entry(name, index);
        match self
            .table
            .find_entry(entry.spread(), |other| *other == entry)
        {
            Ok(found) => drop(found.remove()),
            Err(_) => unreachable!("what has a name is found by it as long as it lives"),
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.table.allocation_size() + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use hashbrown::HashMap;

    use super::*;

    fn text(number: u32) -> String {
        format!("job:{number}")
    }

    #[test]
    #[cfg_attr(miri, ignore = "tens of thousands of names")]
    fn names_of_the_same_hash_are_told_apart() {
        let mut names = Names::new(FixedState::with_seed(7));
        let mut known = HashMap::with_hasher(FixedState::with_seed(7));
        let alike = (0..).find_map(|number| {
            let hash = names.entry(&text(number), 0).hash;
            let earlier = known.insert(hash, number)?;
            Some([earlier, number])
        });
        let [first, second] = alike.expect("there are more names than hashes").map(text);
        let find = |names: &Names, name, index| names.find(name, |at| at == index);
        names.insert(&first, 1);
        assert_eq!(find(&names, &second, 2), None);
        names.insert(&second, 2);
        assert_eq!(find(&names, &first, 1), Some(1));
        assert_eq!(find(&names, &second, 2), Some(2));
        names.remove(&first, 1);
        assert_eq!(find(&names, &first, 1), None);
        assert_eq!(find(&names, &second, 2), Some(2));
    }
}
