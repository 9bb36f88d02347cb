//! The limits and timings of a tracker.

use core::time::Duration;

use super::NodeId;

/// A tracker's timings and limits.
///
/// Times must be above zero. `down_after` should be at least three heartbeats, or a lost heartbeat looks like a lost
/// server; `forget_after` should be longer than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackerConfig {
    /// Identifies this run of this server.
    pub node: NodeId,
    /// How long further changes are collected after one was sent, both for other nodes and for watchers.
    pub gather: Duration,
    /// How long a node may be silent before it sends a sign of life.
    pub heartbeat: Duration,
    /// How long a node may be silent before it is considered down: its presences leave until it is heard from again.
    pub down_after: Duration,
    /// How long a node may be silent before its presences are forgotten. When it is heard from again, it is asked for
    /// all of them.
    pub forget_after: Duration,
    /// How long a node may take to answer before it is asked again for what was missed.
    pub ask_again: Duration,
    /// Its limits.
    pub limits: PresenceLimits,
}

impl TrackerConfig {
    /// Changes are collected for 50 ms; a sign of life every 5 s; a silent node is down after 15 s, forgotten after 20
    /// min, and asked again after 1 s.
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            gather: Duration::from_millis(50),
            heartbeat: Duration::from_secs(5),
            down_after: Duration::from_secs(15),
            forget_after: Duration::from_secs(20 * 60),
            ask_again: Duration::from_secs(1),
            limits: PresenceLimits::default(),
        }
    }
}

/// The limits of a tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceLimits {
    /// The most metas of a topic, counting all nodes. At the limit, this node adds no more.
    pub topic_metas_max: usize,
    /// The most presences of one session.
    pub session_tracks_max: usize,
    /// The most presences of all sessions of this node.
    pub tracks_max: usize,
    /// The largest meta, in bytes.
    pub meta_bytes_max: usize,
    /// The most bytes of presences in one message between nodes; more are sent in several.
    pub message_bytes_max: usize,
    /// The most removals that are remembered, for nodes that have missed them. Nodes that have missed more are sent
    /// everything.
    pub removals_max: usize,
    /// The most other nodes. Further ones are ignored.
    pub nodes_max: usize,
    /// The most gaps in what is known of a node. Changes beyond further gaps are dropped, and requested again.
    pub gaps_max: usize,
}

impl Default for PresenceLimits {
    /// 10,000 metas of a topic, 100 presences of a session, 1,000,000 of a node, 4 KiB for a meta, 64 KiB for a message,
    /// 10,000 removals, 1,000 nodes and 100 gaps of each.
    fn default() -> Self {
        Self {
            topic_metas_max: 10_000,
            session_tracks_max: 100,
            tracks_max: 1_000_000,
            meta_bytes_max: 4 * 1024,
            message_bytes_max: 64 * 1024,
            removals_max: 10_000,
            nodes_max: 1_000,
            gaps_max: 100,
        }
    }
}
