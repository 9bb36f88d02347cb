//! The limits and timings of a tracker.

use core::time::Duration;

use crate::flow::Pace;
use crate::presence::NodeId;
use crate::topic::Topic;

/// The timings, paces and limits of a tracker.
///
/// Times must be above zero. `down_after` should be at least three heartbeats, or a lost heartbeat looks like a lost
/// server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressConfig {
    /// The name of the work: the same on all servers.
    pub work: Topic,
    /// Identifies this run of this server. It must never be reused, or counts are lost.
    pub node: NodeId,
    /// The window over which speed is measured.
    pub window: Duration,
    /// The number of buckets in the window, at most 240: the window moves by one of them at a time.
    pub buckets: usize,
    /// How long further changes are collected after one was sent to other nodes.
    pub gather: Duration,
    /// How long a node may be silent before it sends a sign of life.
    pub heartbeat: Duration,
    /// How long a node may be silent before it is considered down, and another one publishes.
    pub down_after: Duration,
    /// How long a node may take to answer before it is asked again for what was missed.
    pub ask_again: Duration,
    /// How long the last publication is delayed after the end, so that it includes what others had counted until then.
    pub linger: Duration,
    /// How often the falling speed is published while nothing is done.
    pub refresh: Duration,
    /// How often each kind of progress is published.
    pub paces: ProgressPaces,
    /// Its limits.
    pub limits: ProgressLimits,
}

impl ProgressConfig {
    /// Speed over 10 min in buckets of 10 s; changes are collected for 50 ms; a sign of life every 5 s; a silent node
    /// is down after 15 s, and asked again after 1 s; the last publication comes 1 s after the end, and a falling speed
    /// is published every 10 s.
    pub fn new(work: Topic, node: NodeId) -> Self {
        Self {
            work,
            node,
            window: Duration::from_secs(10 * 60),
            buckets: 60,
            gather: Duration::from_millis(50),
            heartbeat: Duration::from_secs(5),
            down_after: Duration::from_secs(15),
            ask_again: Duration::from_secs(1),
            linger: Duration::from_secs(1),
            refresh: Duration::from_secs(10),
            paces: ProgressPaces::default(),
            limits: ProgressLimits::default(),
        }
    }
}

/// How often each kind of progress is published: the one place that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgressPaces {
    /// What was done. Whatever waits is added up.
    pub events: Pace,
    /// How far the work is.
    pub progress: Pace,
    /// How many are working.
    pub users: Pace,
    /// How much is waiting.
    pub queue: Pace,
}

/// A throttle at both edges.
const fn every(secs: u64) -> Pace {
    Pace::Throttle {
        every: Duration::from_secs(secs),
        leading: true,
        trailing: true,
    }
}

impl Default for ProgressPaces {
    /// Events at once, progress at most once a second, the number of users every 5 s, the queue every 30 s.
    fn default() -> Self {
        Self {
            events: Pace::Immediate,
            progress: every(1),
            users: every(5),
            queue: every(30),
        }
    }
}

/// The limits of a tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgressLimits {
    /// The most sessions that a node counts by name. Further ones count in total, and among the others.
    pub sessions_max: usize,
    /// The most sessions that a snapshot names.
    pub sessions_told_max: usize,
    /// The most sessions that count as working. Further ones don't.
    pub active_max: usize,
    /// The most sessions in one message between nodes; more are sent in several.
    pub message_sessions_max: usize,
    /// The most nodes, including those that are gone: each start of a server is another one. Further ones are ignored.
    pub nodes_max: usize,
}

impl Default for ProgressLimits {
    /// 10,000 sessions per node, 20 in a snapshot, 10,000 working, 200 in a message, 1,000 nodes.
    fn default() -> Self {
        Self {
            sessions_max: 10_000,
            sessions_told_max: 20,
            active_max: 10_000,
            message_sessions_max: 200,
            nodes_max: 1_000,
        }
    }
}
