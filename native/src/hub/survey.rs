//! How much a hub holds, and which topics there are, for whoever runs the server.

use super::{Counts, Hub};
use crate::error::Stopped;
use crate::shard::{TopicSeen, Totals};

impl Hub {
    /// How much the hub holds, and what it has done.
    pub(crate) async fn totals(&self) -> Result<(Counts, Totals), Stopped> {
        self.inner.shards.counts().await
    }

    /// Up to `most` topics, those that were touched last.
    pub(crate) async fn survey(&self, most: usize) -> Result<Vec<TopicSeen>, Stopped> {
        self.inner.shards.survey(most).await
    }
}
