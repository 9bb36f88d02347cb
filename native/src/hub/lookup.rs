//! Looks up what topics have published, without a subscription and without keeping anything of it.

use std::collections::BTreeMap;

use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::{Found, Lookup};
use tokio::sync::oneshot;

use super::{Hub, Publication};
use crate::error::{LookupError, Stopped};
use crate::json::Json;
use crate::shard::Command;

/// What a topic keeps, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicHistory {
    /// The topic's position: with offset 0 if it has not begun, and in epoch 0 if nothing is known of it.
    pub position: Position,
    /// Whether this is everything that was published since the given position or, without one, in this epoch. If not, the topic has started
    /// anew or keeps less, and the publications are all that it keeps.
    pub recovered: bool,
    /// Publications without a gap, the oldest first. The last one is at `position`.
    pub publications: Vec<Publication>,
}

impl Hub {
    /// The retained latest publication of a topic, read where topics live: it includes everything published before this was called. This
    /// does not subscribe to the topic. [`Hub::latest_matching`] reads those of a pattern.
    ///
    /// # Errors
    /// If the topic has invalid syntax, the backend has not answered within 10 s (as
    /// [`UplinkConfig::lookup_patience`](tidegate_core::uplink::UplinkConfig::lookup_patience) says), or the hub has stopped.
    pub async fn latest(&self, topic: &str) -> Result<Option<Publication>, LookupError> {
        let pattern = Topic::new(topic)?.into();
        let found = self.look_up(Lookup::Latest(pattern)).await?;
        let mut publications = found.iter().flat_map(|excerpt| &excerpt.publications);
        Ok(publications.next().cloned())
    }

    /// The retained latest publication of every topic that matches a pattern, ordered by topic. Otherwise like [`Hub::latest`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hub = tidegate::Hub::new(Default::default())?;
    /// hub.publish("job:2", &0.5).await?;
    /// hub.publish("job:1", &0.1).await?;
    /// let jobs = hub.latest_matching("job:*").await?;
    /// let topics: Vec<&str> = jobs.iter().map(|job| job.topic.as_str()).collect();
    /// assert_eq!(topics, ["job:1", "job:2"]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`Hub::latest`].
    pub async fn latest_matching(&self, pattern: &str) -> Result<Vec<Publication>, LookupError> {
        let found = self.look_up(Lookup::Latest(Pattern::new(pattern)?)).await?;
        let publications = found.iter().flat_map(|excerpt| &excerpt.publications);
        let by_topic: BTreeMap<&Topic, &Publication> = publications
            .map(|publication| (&publication.topic, publication))
            .collect();
        Ok(by_topic.into_values().cloned().collect())
    }

    /// What a topic has published after `since`, as far as it keeps that; without `since`, all that it keeps. Otherwise like
    /// [`Hub::latest`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hub = tidegate::Hub::new(Default::default())?;
    /// let first = hub.publish("job:42", &0.1).await?;
    /// hub.publish("job:42", &0.2).await?;
    /// let history = hub.history("job:42", Some(first)).await?;
    /// assert!(history.recovered);
    /// assert_eq!(history.publications[0].payload.as_str(), "0.2");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`Hub::latest`].
    pub async fn history(
        &self,
        topic: &str,
        since: Option<Position>,
    ) -> Result<TopicHistory, LookupError> {
        self.history_of(Topic::new(topic)?, since).await
    }

    pub(crate) async fn history_of(
        &self,
        topic: Topic,
        since: Option<Position>,
    ) -> Result<TopicHistory, LookupError> {
        // The default position is before the beginning, which is the same as none.
        let since = since.filter(|since| *since != Position::default());
        if let Some(since) = since {
            let history = self.history_since(&topic, since).await?;
            if history.recovered {
                return Ok(history);
            }
        }
        let whole = self.history_since(&topic, Position::default()).await?;
        Ok(TopicHistory {
            recovered: whole.recovered && since.is_none(),
            ..whole
        })
    }

    async fn history_since(
        &self,
        topic: &Topic,
        since: Position,
    ) -> Result<TopicHistory, LookupError> {
        let lookup = Lookup::History {
            topic: topic.clone(),
            since,
        };
        let found = self.look_up(lookup).await?;
        let Some(excerpt) = found.first() else {
            return Ok(TopicHistory {
                position: Position::default(),
                recovered: since == Position::default(),
                publications: Vec::new(),
            });
        };
        let begins = if since == Position::default() {
            Position {
                offset: 0,
                ..excerpt.position
            }
        } else {
            since
        };
        let publications = excerpt.publications.iter();
        Ok(TopicHistory {
            position: excerpt.position,
            recovered: excerpt.is_whole_since(begins),
            publications: publications
                .filter(|it| {
                    it.position.epoch != begins.epoch || it.position.offset > begins.offset
                })
                .cloned()
                .collect(),
        })
    }

    pub(crate) async fn look_up(&self, lookup: Lookup) -> Result<Found<Json>, LookupError> {
        let (reply, answer) = oneshot::channel();
        let shard = self.inner.shards.for_lookup(&lookup)?;
        shard.send(Command::LookUp { lookup, reply })?;
        Ok(answer.await.map_err(|_| Stopped)??)
    }
}
