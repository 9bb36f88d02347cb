//! The limits of a hub, and figures about it.

use core::time::Duration;

use crate::history::{HistoryLimits, HistoryRules};
use crate::lifecycle::TerminalRule;
use crate::topic::Topic;

/// The limits of a [`Hub`](super::Hub): what it may hold, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubConfig {
    /// Seeds epochs and hashing. Use a different one for each start of a hub.
    pub seed: u64,
    /// The most topics that have publications. In addition, each subscription may wait for one more.
    pub topics_max: usize,
    /// The most subscriptions.
    pub subscriptions_max: usize,
    /// The largest payload, in bytes.
    pub payload_bytes_max: usize,
    /// The most payload bytes that all topics together retain. At the limit, topics keep only their latest publication.
    pub retained_bytes_max: usize,
    /// What each topic keeps.
    pub history: HistoryLimits,
    /// Exceptions for some topics. A topic with its own rule is remembered as long as it keeps anything.
    pub histories: HistoryRules,
    /// How long a topic is remembered after its last publication, as long as nobody is subscribed to it by name.
    pub retention: Duration,
    /// What makes a payload terminal; `None`: only an explicit end reason does.
    pub terminal_rule: Option<TerminalRule>,
}

impl HubConfig {
    /// 100,000 topics, 1,000,000 subscriptions, payloads up to 1 MiB each and 1 GiB together, topics remembered
    /// for an hour.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            topics_max: 100_000,
            subscriptions_max: 1_000_000,
            payload_bytes_max: 1024 * 1024,
            retained_bytes_max: 1024 * 1024 * 1024,
            history: HistoryLimits::default(),
            histories: HistoryRules::none(),
            retention: Duration::from_secs(3600),
            terminal_rule: Some(TerminalRule::default()),
        }
    }
}

impl HubConfig {
    /// What a topic keeps.
    pub fn history_of(&self, topic: &Topic) -> HistoryLimits {
        self.histories.limits_of(topic, &self.history)
    }
}

/// What a hub is doing to stay in sync with topics that live in a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UplinkCounts {
    /// Patterns that are followed, or are about to be.
    pub followed: usize,
    /// Topics that are out of sync.
    pub behind: usize,
    /// Patterns with subscriptions that can't start yet.
    pub parked: usize,
    /// Publications that are waiting to be stored.
    pub publishes: usize,
}

/// How much a hub holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HubCounts {
    /// Topics that are remembered.
    pub topics: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Gates that hold something back or are within a window.
    pub gates: usize,
}
