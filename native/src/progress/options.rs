//! The options of counting progress and of publishing it.

use std::time::Duration;

use tidegate_core::presence::NodeId;
use tidegate_core::progress::{ProgressConfig, ProgressLimits, ProgressPaces, Tally};
use tidegate_core::topic::{Topic, TopicError};

/// How progress is counted and published.
#[derive(Clone, Debug)]
pub struct ProgressOptions {
    /// The topics to publish it to.
    pub topics: ProgressTopics,
    /// How often to publish it.
    pub paces: ProgressPaces,
    /// The window over which speed is measured.
    pub window: Duration,
    /// The number of buckets that the window consists of, at most 240.
    pub buckets: usize,
    /// The limits of each server.
    pub limits: ProgressLimits,
    /// What was counted before, if the application has stored it.
    pub stored: Option<Tally>,
}

impl Default for ProgressOptions {
    /// Events at once, progress at most once a second, the number of users every 5 s and the queue every 30 s, on the
    /// default topics; speed over 10 minutes.
    fn default() -> Self {
        Self {
            topics: ProgressTopics::default(),
            paces: ProgressPaces::default(),
            window: Duration::from_secs(10 * 60),
            buckets: 60,
            limits: ProgressLimits::default(),
            stored: None,
        }
    }
}

impl ProgressOptions {
    pub(super) fn config(&self, work: Topic, node: NodeId) -> ProgressConfig {
        ProgressConfig {
            window: self.window,
            buckets: self.buckets,
            paces: self.paces,
            limits: self.limits,
            ..ProgressConfig::new(work, node)
        }
    }
}

/// The last segments of the topics to publish to; the name of the work comes before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressTopics {
    /// Who has done how much: `{"done", "by"}`. Subscribers that conflate with `sum` get the totals.
    pub events: String,
    /// How far the work is: a [`Snapshot`](tidegate_core::progress::Snapshot). The last one ends the topic.
    pub progress: String,
    /// How many are working: `{"active"}`.
    pub users: String,
    /// How much is waiting: `{"queued", "remaining"?}`.
    pub queue: String,
}

impl Default for ProgressTopics {
    /// `task:7:done`, `task:7:progress`, `task:7:users` and `task:7:queue`, if the work is `task:7`.
    fn default() -> Self {
        Self {
            events: "done".into(),
            progress: "progress".into(),
            users: "users".into(),
            queue: "queue".into(),
        }
    }
}

/// The topics of a piece of work.
pub(super) struct Topics {
    pub(super) events: Topic,
    pub(super) progress: Topic,
    pub(super) users: Topic,
    pub(super) queue: Topic,
}

impl ProgressTopics {
    pub(super) fn of(&self, work: &Topic) -> Result<Topics, TopicError> {
        let topic = |last: &str| Topic::new(&format!("{work}:{last}"));
        Ok(Topics {
            events: topic(&self.events)?,
            progress: topic(&self.progress)?,
            users: topic(&self.users)?,
            queue: topic(&self.queue)?,
        })
    }
}
