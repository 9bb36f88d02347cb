//! Who is here: the presences of topics, kept in sync across servers without being stored anywhere.
//!
//! A **presence** is a key (a user, say) in a topic, with a *meta* that describes one of the places where the key is
//! present: a tab, a device. The same key may be present several times: it has *joined* with the first of its metas,
//! and *left* with the last.
//!
//! Each server is a **node** with a [`Tracker`]. Only a node itself changes the presences of its own sessions, and it
//! numbers each change with its clock; other nodes copy them. Their copy of a node is an observed-remove set with a
//! causal context, in the manner of Phoenix.Tracker ("What makes Phoenix Presence special", McCord, 2016) and of the
//! delta-state CRDTs it builds on (Almeida, Shoker and Baquero, 2018): the numbers of all changes seen, and the
//! presences that remain of them. Joining two such sets is associative, commutative and idempotent. So messages between
//! nodes may be lost, repeated and reordered, and best-effort broadcasts are enough.
//!
//! [`Roster`] is the other end: the presences of one topic as a watcher knows them, and what each message changes about
//! its keys.

mod clocks;
mod config;
mod error;
mod key;
mod message;
mod own;
mod peer;
mod roster;
mod section;
mod tracker;
mod view;

use serde::{Deserialize, Serialize};

pub use config::{PresenceLimits, TrackerConfig};
pub use error::TrackError;
pub use key::{Key, KeyError};
pub use message::{
    JoinEnvelope, Part, PresenceBody, PresenceEnvelope, PresenceMessage, PresenceMessageType,
};
pub use roster::{KeyChange, KeyChangeKind, Roster};
pub use section::Entry;
pub use tracker::{PresenceCounts, PresenceOutput, Tracker};

use crate::topic::Topic;

/// Identifies one run of a server. A restarted server is a new node; a number must never be reused.
///
/// Below 2^53, so that it is a JavaScript number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(u64);

impl NodeId {
    /// The largest number.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The node with this number, of which the lower 53 bits count.
    pub const fn new(number: u64) -> Self {
        Self(number & Self::MAX.0)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Identifies one meta of one key: the node that added it, and that node's clock at the time. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PresenceId {
    /// The node.
    pub node: NodeId,
    /// Its clock.
    pub clock: u64,
}

/// Identifies a request for a presence: a session, and its number for the presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId {
    /// The session.
    pub session: u64,
    /// The session's number for this presence.
    pub number: u64,
}

/// One meta of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present<M> {
    /// Its id.
    pub id: PresenceId,
    /// The key.
    pub key: Key,
    /// What describes the key there.
    pub meta: M,
}

/// A meta that is gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Absent {
    /// Its key.
    pub key: Key,
    /// Its id.
    #[serde(flatten)]
    pub id: PresenceId,
}

/// All presences of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceState<M> {
    /// The topic.
    pub topic: Topic,
    /// Ordered by key, then by id.
    pub present: alloc::vec::Vec<Present<M>>,
}

/// What has changed about a topic's presences. A meta that replaces another leaves and joins in the same diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceDiff<M> {
    /// The topic.
    pub topic: Topic,
    /// The metas that were added, ordered by id.
    pub joins: alloc::vec::Vec<Present<M>>,
    /// The metas that were removed, ordered by key, then by id.
    pub leaves: alloc::vec::Vec<Absent>,
}

#[cfg(test)]
mod tests;
