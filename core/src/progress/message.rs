//! What nodes say to each other about a piece of work.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tally::Tally;
use crate::presence::NodeId;
use crate::topic::Topic;

/// What a node says to all others. It may be lost, repeated, and overtaken by what is said later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressMessage {
    /// `progress`: several kinds of messages share one way between servers.
    #[serde(rename = "type")]
    pub kind: ProgressMessageType,
    /// The name of the work.
    pub work: Topic,
    /// Who says it.
    pub node: NodeId,
    /// What.
    pub body: ProgressBody,
}

/// What tells these messages from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "there is one")]
pub enum ProgressMessageType {
    Progress,
}

/// What there is to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgressBody {
    /// The node can be heard from now on, and wants to know what the others know.
    Hello {},
    /// What the node has counted, or knows that another has. Without a share it is a heartbeat.
    Tell {
        /// A part of what it knows.
        tally: Tally,
        /// Up to which version it knows everybody's share.
        known: BTreeMap<NodeId, u64>,
    },
    /// One node is asked for what it knows beyond this.
    Ask {
        /// Which one.
        of: NodeId,
        /// Up to which version the one who asks knows everybody's share.
        known: BTreeMap<NodeId, u64>,
    },
    /// The node goes away in order. What it has counted stays.
    Bye {},
}
