//! What a tracker may hold, and when it tells what.

use core::time::Duration;

use crate::flow::Pace;
use crate::presence::NodeId;
use crate::topic::Topic;

/// A tracker's timings, paces and limits.
///
/// Times are above zero. `down_after` should be at least three heartbeats, or a lost one looks like a lost server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressConfig {
    /// The name of the work: the same on all servers.
    pub work: Topic,
    /// This run of this server. Never used twice, or what is counted is lost.
    pub node: NodeId,
    /// The time that speed is measured over.
    pub window: Duration,
    /// The stretches that it is made of, at most 240: the window moves by one of them at a time.
    pub buckets: usize,
    /// After a change was told to other nodes, further ones are gathered for so long.
    pub gather: Duration,
    /// A node that has nothing to tell says that it lives after so long a silence.
    pub heartbeat: Duration,
    /// After so long a silence a node counts as down, and another one tells the world.
    pub down_after: Duration,
    /// How long an answer may take until a node is asked again for what was missed.
    pub ask_again: Duration,
    /// How long after the end the last word is put off, so that what others have counted until then is in it.
    pub linger: Duration,
    /// While nothing is done, the falling speed is told as often as this.
    pub refresh: Duration,
    /// How often the world is told what.
    pub paces: ProgressPaces,
    /// What it may hold.
    pub limits: ProgressLimits,
}

impl ProgressConfig {
    /// Speed over 10 min in buckets of 10 s; changes are gathered for 50 ms, a heartbeat comes every 5 s, a silent node is down
    /// after 15 s and asked again after 1 s; the last word comes 1 s after the end, and a falling speed is told every
    /// 10 s.
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

/// How often the world is told what: the one place where it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgressPaces {
    /// What was done. Whatever waits is added up.
    pub events: Pace,
    /// How far the work has come.
    pub progress: Pace,
    /// How many are at work.
    pub users: Pace,
    /// How much waits to be done.
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

/// What a tracker may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgressLimits {
    /// The most sessions that a node counts by name. What further ones do is counted in all, and among the others.
    pub sessions_max: usize,
    /// The most sessions that a snapshot names.
    pub sessions_told_max: usize,
    /// The most that count as at work. Further ones don't.
    pub active_max: usize,
    /// The most sessions in one message between nodes; more are sent as several.
    pub message_sessions_max: usize,
    /// The most nodes, those included that are gone: each start of a server is one more. Further ones are not listened to.
    pub nodes_max: usize,
}

impl Default for ProgressLimits {
    /// 10,000 sessions of a node, 20 in a snapshot, 10,000 at work, 200 in a message, 1,000 nodes.
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
