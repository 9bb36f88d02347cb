//! A trie of patterns by their segments.
//!
//! ```text
//! job:*:log    root ─ job ─ * ─ log        the route is at `log`
//! job:**       root ─ job                  the route is at `job`, as its `many`
//! ```
//!
//! A node has at most one `*` child and any number of literal ones; one hash table holds the literal children of all
//! nodes. A node exists as long as a route is at it or below it.

use core::hash::BuildHasher;

use alloc::boxed::Box;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::RouteId;
use super::slab::Slab;
use crate::topic::{Pattern, SEPARATOR, Segment, Topic};

#[derive(Debug)]
pub(super) struct Trie {
    hasher: FixedState,
    nodes: Slab<Node>,
    root: u32,
    /// The nodes of literal segments, by the hash of their parent and the segment.
    literals: HashTable<u32>,
}

#[derive(Debug, Default)]
struct Node {
    /// The parent node; the root is its own.
    parent: u32,
    /// The segment of the node; `None` for `*` and for the root.
    literal: Option<Box<str>>,
    /// The route whose pattern ends with this node's segment.
    route: Option<RouteId>,
    /// The route whose pattern ends with `**` after this node's segment.
    many: Option<RouteId>,
    /// The child for `*`.
    one: Option<u32>,
    /// How many children have a literal segment.
    literal_count: u32,
}

impl Node {
    fn is_needed(&self) -> bool {
        self.literal_count > 0 || self.one.is_some() || self.route.is_some() || self.many.is_some()
    }
}

/// The trie's reference to a route.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leaf {
    Route { node: u32 },
    Many { node: u32 },
}

impl Trie {
    pub(super) fn new(hasher: FixedState) -> Self {
        let mut nodes = Slab::default();
        let root = nodes.insert(Node::default());
        Self {
            hasher,
            nodes,
            root,
            literals: HashTable::new(),
        }
    }

    /// Inserts `route` under `pattern`, which must not be in the trie.
    pub(super) fn insert(&mut self, pattern: &Pattern, route: RouteId) -> Leaf {
        let mut node = self.root;
        for segment in pattern.segments() {
            node = match segment {
                Segment::Literal(text) => self.literal_or_new(node, text),
                Segment::One => self.one_or_new(node),
                Segment::Many => {
                    self.nodes[node].many = Some(route);
                    return Leaf::Many { node };
                }
            };
        }
        self.nodes[node].route = Some(route);
        Leaf::Route { node }
    }

    /// Removes the route that was inserted at `leaf`, and nodes that only it needed.
    pub(super) fn remove(&mut self, leaf: Leaf) {
        let mut at = match leaf {
            Leaf::Route { node } => {
                self.nodes[node].route = None;
                node
            }
            Leaf::Many { node } => {
                self.nodes[node].many = None;
                node
            }
        };
        while at != self.root && !self.nodes[at].is_needed() {
            let node = self.nodes.remove(at);
            match node.literal {
                None => self.nodes[node.parent].one = None,
                Some(text) => {
                    self.nodes[node.parent].literal_count -= 1;
                    let hash = self.hasher.hash_one((node.parent, &*text));
                    match self.literals.find_entry(hash, |other| *other == at) {
                        Ok(entry) => drop(entry.remove()),
                        Err(_) => unreachable!("a literal is found as long as it lives"),
                    }
                }
            }
            at = node.parent;
        }
    }

    /// Calls `found` with every route whose pattern matches `topic`, once each: at each node `**` before `*` before the
    /// literal.
    pub(super) fn for_each_match(&self, topic: &Topic, found: &mut impl FnMut(RouteId)) {
        self.visit(self.root, Some(topic.as_str()), found);
    }

    /// Visits everything that `rest` leads to from the node `at`. It recurses only into `*`, and only beside a literal
    /// child, so the recursion is no deeper than the topic has segments.
    fn visit(&self, mut at: u32, mut rest: Option<&str>, found: &mut impl FnMut(RouteId)) {
        while let Some(text) = rest {
            let node = &self.nodes[at];
            if let Some(route) = node.many {
                found(route);
            }
            let (segment, after) = match text.split_once(SEPARATOR) {
                Some((segment, after)) => (segment, Some(after)),
                None => (text, None),
            };
            at = match (node.one, self.literal(at, segment)) {
                (None, None) => return,
                (Some(child), None) | (None, Some(child)) => child,
                (Some(one), Some(literal)) => {
                    self.visit(one, after, found);
                    literal
                }
            };
            rest = after;
        }
        if let Some(route) = self.nodes[at].route {
            found(route);
        }
    }

    fn literal(&self, parent: u32, text: &str) -> Option<u32> {
        if self.nodes[parent].literal_count == 0 {
            return None;
        }
        let hash = self.hasher.hash_one((parent, text));
        let found = self.literals.find(hash, |child| {
            let child = &self.nodes[*child];
            child.parent == parent && child.literal.as_deref() == Some(text)
        });
        found.copied()
    }

    fn literal_or_new(&mut self, parent: u32, text: &str) -> u32 {
        if let Some(child) = self.literal(parent, text) {
            return child;
        }
        let child = self.nodes.insert(Node {
            parent,
            literal: Some(text.into()),
            ..Node::default()
        });
        self.nodes[parent].literal_count += 1;
        let hash = self.hasher.hash_one((parent, text));
        let (hasher, nodes) = (&self.hasher, &self.nodes);
        self.literals.insert_unique(hash, child, |other| {
            let other = &nodes[*other];
            let text = other.literal.as_deref().expect("only literals are here");
            hasher.hash_one((other.parent, text))
        });
        child
    }

    fn one_or_new(&mut self, parent: u32) -> u32 {
        if let Some(child) = self.nodes[parent].one {
            return child;
        }
        let child = self.nodes.insert(Node {
            parent,
            ..Node::default()
        });
        self.nodes[parent].one = Some(child);
        child
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let texts = self
            .nodes
            .iter()
            .filter_map(|(_, node)| node.literal.as_deref());
        self.nodes.memory_bytes()
            + self.literals.allocation_size()
            + texts.map(size_of_val).sum::<usize>()
    }

    /// The number of nodes, without the root.
    #[cfg(test)]
    pub(super) fn node_count(&self) -> usize {
        assert!(self.literals.len() < self.nodes.len());
        self.nodes.len() - 1
    }
}
