//! The messages between nodes, and their flat JSON form.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::section::{Entry, Section};
use super::{Key, NodeId};
use crate::topic::Topic;

/// A message from one node to all others. It may be lost or repeated, and may be overtaken by later ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceMessage<M> {
    /// The sender.
    pub from: NodeId,
    /// The content.
    pub body: PresenceBody<M>,
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresenceBody<M> {
    /// The node's messages arrive from now on, and it wants to know which other nodes there are.
    Hello,
    /// Some of the node's presences.
    Part(Part<M>),
    /// Asks another node for everything that it did after a clock.
    Request {
        /// The node that is asked.
        of: NodeId,
        /// The clock up to which nothing is missing.
        since: u64,
    },
    /// The node shuts down gracefully, and its presences leave.
    Bye,
}

/// What remains of a node's changes between two of its clocks. Without any changes, it is a sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<M> {
    /// It covers the clocks above this one,
    pub since: u64,
    /// up to this one. Presences with these clocks that are not among the joins are gone.
    pub until: u64,
    /// The node's clock. If it is above `until`, there is more to come.
    pub clock: u64,
    /// The presences that remain, by ascending clock.
    pub joins: Vec<(u64, Entry<M>)>,
    /// The clocks of earlier presences that were removed.
    pub leaves: Vec<u64>,
    /// Whether this is one of several parts that contain everything that remains, because the node no longer remembers
    /// the removals. Only all the parts with the same `clock` together tell what is gone.
    pub is_of_all: bool,
}

impl<M: Clone> Part<M> {
    /// What this part says, as a section. Joins outside of its clocks are ignored.
    pub(super) fn into_section(self) -> Section<M> {
        let mut section = Section::default();
        section.seen.insert(self.since, self.until);
        for clock in self.leaves {
            section.seen.insert(clock.saturating_sub(1), clock);
        }
        section.entries = self.joins.into_iter().collect();
        section
            .entries
            .retain(|clock, _| self.since < *clock && *clock <= self.until);
        section
    }
}

/// A [`PresenceMessage`] in its JSON form.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "M: Deserialize<'de>"))]
#[allow(missing_docs, reason = "the members are those of the messages")]
pub struct PresenceEnvelope<M> {
    #[serde(rename = "type")]
    pub kind: PresenceMessageType,
    pub node: NodeId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<NodeId>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub since: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub until: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clock: u64,
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub joins: Vec<JoinEnvelope<M>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaves: Vec<u64>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub all: bool,
}

/// A remaining presence in its JSON form.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "the members are those of an entry and its clock"
)]
pub struct JoinEnvelope<M> {
    pub clock: u64,
    pub topic: Topic,
    pub key: Key,
    pub data: M,
}

/// The `type` of a message between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "those of the bodies")]
pub enum PresenceMessageType {
    Hello,
    Part,
    Request,
    Bye,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl<'a, M> From<&'a PresenceMessage<M>> for PresenceEnvelope<&'a M> {
    fn from(message: &'a PresenceMessage<M>) -> Self {
        let empty = |kind| Self {
            kind,
            node: message.from,
            of: None,
            since: 0,
            until: 0,
            clock: 0,
            joins: Vec::new(),
            leaves: Vec::new(),
            all: false,
        };
        match &message.body {
            PresenceBody::Hello => empty(PresenceMessageType::Hello),
            PresenceBody::Part(part) => Self {
                since: part.since,
                until: part.until,
                clock: part.clock,
                joins: part.joins.iter().map(JoinEnvelope::from).collect(),
                leaves: part.leaves.clone(),
                all: part.is_of_all,
                ..empty(PresenceMessageType::Part)
            },
            PresenceBody::Request { of, since } => Self {
                of: Some(*of),
                since: *since,
                ..empty(PresenceMessageType::Request)
            },
            PresenceBody::Bye => empty(PresenceMessageType::Bye),
        }
    }
}

impl<'a, M> From<&'a (u64, Entry<M>)> for JoinEnvelope<&'a M> {
    fn from((clock, entry): &'a (u64, Entry<M>)) -> Self {
        Self {
            clock: *clock,
            topic: entry.topic.clone(),
            key: entry.key.clone(),
            data: &entry.meta,
        }
    }
}

impl<M> From<PresenceEnvelope<M>> for PresenceMessage<M> {
    /// A request that names no node is treated as a hello.
    fn from(envelope: PresenceEnvelope<M>) -> Self {
        let join = |join: JoinEnvelope<M>| {
            let entry = Entry {
                topic: join.topic,
                key: join.key,
                meta: join.data,
            };
            (join.clock, entry)
        };
        let body = match (envelope.kind, envelope.of) {
            (PresenceMessageType::Hello, _) | (PresenceMessageType::Request, None) => {
                PresenceBody::Hello
            }
            (PresenceMessageType::Part, _) => PresenceBody::Part(Part {
                since: envelope.since,
                until: envelope.until,
                clock: envelope.clock,
                joins: envelope.joins.into_iter().map(join).collect(),
                leaves: envelope.leaves,
                is_of_all: envelope.all,
            }),
            (PresenceMessageType::Request, Some(of)) => PresenceBody::Request {
                of,
                since: envelope.since,
            },
            (PresenceMessageType::Bye, _) => PresenceBody::Bye,
        };
        Self {
            from: envelope.node,
            body,
        }
    }
}
