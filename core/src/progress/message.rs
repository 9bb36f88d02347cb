//! The messages between nodes about a piece of work.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tally::Tally;
use crate::presence::NodeId;
use crate::topic::Topic;

/// A message from one node to all others. It may be lost or repeated, and may be overtaken by later ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressMessage {
    /// `progress`: several kinds of messages are exchanged between servers over the same channel.
    #[serde(rename = "type")]
    pub kind: ProgressMessageType,
    /// The name of the work.
    pub work: Topic,
    /// The sender.
    pub node: NodeId,
    /// The content.
    pub body: ProgressBody,
}

/// The `type` that distinguishes these messages from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "there is one")]
pub enum ProgressMessageType {
    Progress,
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgressBody {
    /// The node's messages arrive from now on, and it wants to know what the others know.
    Hello {},
    /// What the node has counted, or knows that another has. Without a share, it is a sign of life.
    Tell {
        /// A part of what it knows.
        tally: Tally,
        /// The version up to which it knows each node's share.
        known: BTreeMap<NodeId, u64>,
    },
    /// Asks one node for what it knows beyond this.
    Ask {
        /// The node that is asked.
        of: NodeId,
        /// The version up to which the sender knows each node's share.
        known: BTreeMap<NodeId, u64>,
    },
    /// The node shuts down gracefully. What it has counted stays.
    Bye {},
}
