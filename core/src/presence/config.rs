//! What a tracker may hold, and its timings.

use core::time::Duration;

use super::NodeId;

/// A tracker's timings and limits.
///
/// Times are above zero. `down_after` should be at least three heartbeats, or a lost one looks like a lost server; `forget_after` more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackerConfig {
    /// This run of this server.
    pub node: NodeId,
    /// After a change was told, further ones are gathered for so long: to other nodes and to watchers.
    pub gather: Duration,
    /// A node that has nothing to tell says that it lives after so long a silence.
    pub heartbeat: Duration,
    /// After so long a silence a node counts as down: its presences leave, until it is heard of again.
    pub down_after: Duration,
    /// After so long a silence a node's presences are forgotten. When it is heard of again, it is asked for all of them.
    pub forget_after: Duration,
    /// How long an answer may take until a node is asked again for what was missed.
    pub ask_again: Duration,
    /// What it may hold.
    pub limits: PresenceLimits,
}

impl TrackerConfig {
    /// Changes are gathered for 50 ms, a heartbeat comes every 5 s, a silent node is down after 15 s and forgotten after
    /// 20 min, and asked again after 1 s.
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

/// What a tracker may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceLimits {
    /// The most metas of a topic at which this node still takes a further one. All nodes' count.
    pub topic_metas_max: usize,
    /// The most presences of one session.
    pub session_tracks_max: usize,
    /// The most presences of all sessions of this node.
    pub tracks_max: usize,
    /// The largest meta, in bytes.
    pub meta_bytes_max: usize,
    /// The most bytes of presences in one message between nodes; more are sent as several.
    pub message_bytes_max: usize,
    /// The most removals that are remembered to tell nodes that have missed them. Nodes that have missed more are told
    /// everything.
    pub removals_max: usize,
    /// The most other nodes. Further ones are not listened to.
    pub nodes_max: usize,
    /// The most gaps in what is known of a node. Changes beyond a further one are asked for anew.
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
