//! A map by topic or pattern, in the order of their texts.
//!
//! # Why not the standard library's
//! Its map is compiled anew for every type of value, and that code is large: half a dozen of them made up a quarter of
//! the browser's module. Here, everything that depends on the order is compiled once, over texts and small integers;
//! only an array is compiled for each type of value.
//!
//! # How
//! The texts form a treap: a search tree that is also a heap by priorities. The priorities depend on the numbers of the
//! nodes alone, so that the same calls give the same tree. Its depth is logarithmic, like that of a tree whose texts
//! were inserted in random order.

#[cfg(test)]
mod tests;

use core::cmp::Ordering;
use core::mem;
use core::ops::Index;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::topic::{Pattern, Topic};

/// A key of the map.
pub(crate) trait Text {
    /// The text that determines its place in the order.
    fn text(&self) -> &Arc<str>;
}

/// A map keyed by topics or patterns.
#[derive(Debug)]
pub(crate) struct OrderedMap<K, V> {
    tree: Tree,
    /// By the numbers of the tree's nodes.
    entries: Vec<Option<(K, V)>>,
}

impl<K: Text + Clone, V> OrderedMap<K, V> {
    pub(crate) const fn new() -> Self {
        Self {
            tree: Tree::new(),
            entries: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.tree.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tree.len == 0
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.tree.find(key.text()).is_some()
    }

    /// The number of a key. It doesn't change while the key is in the map.
    pub(crate) fn number(&self, key: &K) -> Option<u32> {
        self.tree.find(key.text())
    }

    /// The entry with a number.
    pub(crate) fn entry(&self, number: u32) -> Option<(&K, &V)> {
        let (key, value) = self.entries.get(number as usize)?.as_ref()?;
        Some((key, value))
    }

    /// The value with a number.
    pub(crate) fn value_mut(&mut self, number: u32) -> Option<&mut V> {
        let (_, value) = self.entries.get_mut(number as usize)?.as_mut()?;
        Some(value)
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let (_, value) = self.entry(self.number(key)?)?;
        Some(value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.value_mut(self.number(key)?)
    }

    /// Inserts a value, or replaces the one that the key has. Returns the key's number.
    pub(crate) fn insert(&mut self, key: &K, value: V) -> u32 {
        let number = self.tree.insert(key.text());
        let index = number as usize;
        if index == self.entries.len() {
            self.entries.push(None);
        }
        self.entries[index] = Some((key.clone(), value));
        number
    }

    /// The value of a key, inserted if there is none.
    pub(crate) fn or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        let number = match self.number(key) {
            Some(number) => number,
            None => self.insert(key, make()),
        };
        self.value_mut(number).expect("found or inserted")
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let number = self.tree.remove(key.text())?;
        let (_, value) = self.entries[number as usize].take()?;
        Some(value)
    }

    /// All entries, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.range("")
    }

    /// The entries from a text on, in order.
    pub(crate) fn range(&self, from: &str) -> impl Iterator<Item = (&K, &V)> {
        let mut next = self.tree.first_from(from, true);
        core::iter::from_fn(move || {
            let at = next?;
            next = self
                .tree
                .first_from(&self.tree.nodes[at as usize].text, false);
            self.entry(at)
        })
    }

    /// All keys, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values, in the order of their numbers.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().flatten().map(|(_, value)| value)
    }

    /// All values, in order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Text + Clone, V> Default for OrderedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Text + Clone, V> Index<&K> for OrderedMap<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key).expect("the key is there")
    }
}

impl Text for Topic {
    fn text(&self) -> &Arc<str> {
        self.shared()
    }
}

impl Text for Pattern {
    fn text(&self) -> &Arc<str> {
        self.shared()
    }
}

/// No node.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Tree {
    nodes: Vec<Node>,
    root: u32,
    /// The first free node; the `left` of a free node is the next one.
    free: u32,
    len: usize,
}

#[derive(Debug)]
struct Node {
    text: Arc<str>,
    left: u32,
    right: u32,
}

impl Tree {
    const fn new() -> Self {
        Self {
            nodes: Vec::new(),
            root: NONE,
            free: NONE,
            len: 0,
        }
    }

    fn find(&self, text: &str) -> Option<u32> {
        let mut at = self.root;
        while let Some(node) = self.nodes.get(at as usize) {
            at = match text.cmp(&node.text) {
                Ordering::Less => node.left,
                Ordering::Equal => return Some(at),
                Ordering::Greater => node.right,
            };
        }
        None
    }

    /// The first node whose text comes after `text`, or equals it if `is_included`.
    fn first_from(&self, text: &str, is_included: bool) -> Option<u32> {
        let mut first = None;
        let mut at = self.root;
        while let Some(node) = self.nodes.get(at as usize) {
            let order = text.cmp(&node.text);
            at = if order == Ordering::Less || (is_included && order == Ordering::Equal) {
                first = Some(at);
                node.left
            } else {
                node.right
            };
        }
        first
    }

    /// Finds or adds the node of a text.
    fn insert(&mut self, text: &Arc<str>) -> u32 {
        if let Some(known) = self.find(text) {
            return known;
        }
        let new = self.take_node(text);
        self.len += 1;
        // Descends to the first node with a lower priority, whose subtree is split around the new node.
        let mut link = Link::Root;
        let mut at = self.root;
        while at != NONE && priority(at) > priority(new) {
            link = self.towards(at, text);
            at = self.linked(link);
        }
        let [before, after] = self.split(at, text);
        self.nodes[new as usize].left = before;
        self.nodes[new as usize].right = after;
        *self.link(link) = new;
        new
    }

    fn remove(&mut self, text: &str) -> Option<u32> {
        let mut link = Link::Root;
        let mut at = self.root;
        while self.nodes.get(at as usize)?.text.as_ref() != text {
            link = self.towards(at, text);
            at = self.linked(link);
        }
        let Node { left, right, .. } = self.nodes[at as usize];
        *self.link(link) = self.join(left, right);
        let free = mem::replace(&mut self.free, at);
        self.nodes[at as usize] = Node {
            text: Arc::default(),
            left: free,
            right: NONE,
        };
        self.len -= 1;
        Some(at)
    }

    fn take_node(&mut self, text: &Arc<str>) -> u32 {
        let node = Node {
            text: Arc::clone(text),
            left: NONE,
            right: NONE,
        };
        if let Some(free) = self.nodes.get_mut(self.free as usize) {
            let next = mem::replace(free, node).left;
            return mem::replace(&mut self.free, next);
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).expect("limits keep every map far below 2^32 entries")
    }

    /// Splits the tree at `at` into what comes before `text` and what comes after it.
    fn split(&mut self, mut at: u32, text: &str) -> [u32; 2] {
        let mut halves = [NONE; 2];
        // Where to attach the next node of each half.
        let mut open = [Link::Root; 2];
        while at != NONE {
            let link = self.towards(at, text);
            let half = usize::from(matches!(link, Link::Left(_)));
            match open[half] {
                Link::Root => halves[half] = at,
                Link::Left(_) | Link::Right(_) => *self.link(open[half]) = at,
            }
            open[half] = link;
            at = self.linked(link);
        }
        for link in open {
            if link != Link::Root {
                *self.link(link) = NONE;
            }
        }
        halves
    }

    /// Joins two trees, of which the first comes before the second.
    fn join(&mut self, mut left: u32, mut right: u32) -> u32 {
        let mut joined = NONE;
        let mut link = Link::Root;
        loop {
            let (top, next) = if left == NONE {
                (right, Link::Root)
            } else if right == NONE {
                (left, Link::Root)
            } else if priority(left) > priority(right) {
                (left, Link::Right(left))
            } else {
                (right, Link::Left(right))
            };
            match link {
                Link::Root => joined = top,
                Link::Left(_) | Link::Right(_) => *self.link(link) = top,
            }
            match next {
                Link::Root => return joined,
                Link::Right(_) => left = self.linked(next),
                Link::Left(_) => right = self.linked(next),
            }
            link = next;
        }
    }

    /// The link of the node at `at` that leads to `text`.
    fn towards(&self, at: u32, text: &str) -> Link {
        if text < &*self.nodes[at as usize].text {
            Link::Left(at)
        } else {
            Link::Right(at)
        }
    }

    fn linked(&mut self, link: Link) -> u32 {
        *self.link(link)
    }

    fn link(&mut self, link: Link) -> &mut u32 {
        match link {
            Link::Root => &mut self.root,
            Link::Left(at) => &mut self.nodes[at as usize].left,
            Link::Right(at) => &mut self.nodes[at as usize].right,
        }
    }
}

/// A link to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Root,
    Left(u32),
    Right(u32),
}

/// A number that looks random and differs for every node: the finalizer of a 32-bit hash, which is a bijection.
const fn priority(node: u32) -> u32 {
    let mut bits = node.wrapping_add(0x9E37_79B9);
    bits = (bits ^ (bits >> 16)).wrapping_mul(0x85EB_CA6B);
    bits = (bits ^ (bits >> 13)).wrapping_mul(0xC2B2_AE35);
    bits ^ (bits >> 16)
}
