//! How much a hub holds, and which topics there are, for operators.

use std::sync::atomic::Ordering;

use super::{Counts, Hub};
use crate::error::Stopped;
use crate::shard::{TopicSeen, Totals};

impl Hub {
    /// How much the hub holds, and what it has done.
    pub(crate) async fn totals(&self) -> Result<(Counts, Totals), Stopped> {
        let (counts, mut totals) = self.inner.shards.counts().await?;
        totals.backlog.slowed += self.inner.slowed.load(Ordering::Relaxed);
        Ok((counts, totals))
    }

    /// Up to `most` topics, the most recently touched.
    pub(crate) async fn survey(&self, most: usize) -> Result<Vec<TopicSeen>, Stopped> {
        self.inner.shards.survey(most).await
    }
}
