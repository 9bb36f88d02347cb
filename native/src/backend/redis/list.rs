//! Reading the latest publications of the topics that match a pattern.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use redis::Value;
use tidegate_core::history::Excerpt;
use tidegate_core::payload::Payload as _;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::Page;

use super::call::Call;
use super::error::{is_of_keys, server_error, text, unexpected};
use super::layout::{Partition, glob};
use super::link::Link;
use crate::backend::BackendError;
use crate::json::Json;

/// How many topics are looked at in one step of a listing.
const SCANNED_MAX: usize = 1_000;

/// How many topics are read in one step of a listing.
const LISTED_MAX: usize = 64;

impl Link {
    pub(super) async fn list(&self, pattern: &Pattern) -> Result<Vec<Excerpt<Json>>, BackendError> {
        if let Some(topic) = pattern.exact() {
            return Ok(self.remembered(&topic).await?.into_iter().collect());
        }
        let mut listed = Vec::new();
        for partition in self.shared.layout.partitions() {
            let is_wanted = |topic: &Topic| pattern.matches(topic);
            let topics = self.topics(partition, pattern, is_wanted).await?;
            let topics: Vec<&Topic> = topics.iter().collect();
            for topics in topics.chunks(LISTED_MAX) {
                listed.extend(self.latest(partition, topics).await?);
            }
        }
        Ok(listed)
    }

    /// Only the names are scanned from the beginning: Redis has them in the order of time, and the values elsewhere.
    pub(super) async fn list_page(&self, page: &Page) -> Result<Vec<Excerpt<Json>>, BackendError> {
        if let Some(topic) = page.pattern.exact() {
            let is_wanted = page.selects(&topic);
            let found = match is_wanted {
                true => self.remembered(&topic).await?,
                false => None,
            };
            return Ok(found.into_iter().collect());
        }
        let mut topics = BTreeSet::new();
        for partition in self.shared.layout.partitions() {
            let is_wanted = |topic: &Topic| page.selects(topic);
            topics.extend(self.topics(partition, &page.pattern, is_wanted).await?);
        }
        let topics: Vec<&Topic> = topics.iter().collect();
        let (mut listed, mut bytes) = (Vec::new(), 0);
        let mut rest = &topics[..];
        while !rest.is_empty() {
            let missing = page.count_max.saturating_sub(listed.len());
            let (next, later) = rest.split_at(missing.clamp(1, LISTED_MAX).min(rest.len()));
            rest = later;
            for excerpt in self.latest_of_all(next).await? {
                let publications = excerpt.publications.iter();
                bytes += publications.map(|it| it.payload.size()).sum::<usize>();
                listed.push(excerpt);
                if page.is_full(listed.len(), bytes) {
                    return Ok(listed);
                }
            }
        }
        Ok(listed)
    }

    /// The latest publication of a topic, if it is kept.
    async fn remembered(&self, topic: &Topic) -> Result<Option<Excerpt<Json>>, BackendError> {
        let excerpt = self.read(topic, None).await?;
        Ok(Some(excerpt).filter(is_remembered))
    }

    /// The latest publications of those topics that are kept, on any node, by topic.
    async fn latest_of_all(&self, topics: &[&Topic]) -> Result<Vec<Excerpt<Json>>, BackendError> {
        let mut by_partition: BTreeMap<Partition, Vec<&Topic>> = BTreeMap::new();
        for topic in topics {
            let partition = self.shared.layout.partition(topic.as_str());
            by_partition.entry(partition).or_default().push(topic);
        }
        let read = by_partition
            .iter()
            .map(|(partition, topics)| self.latest(*partition, topics));
        let mut found = try_join_all(read).await?.concat();
        found.sort_by(|a, b| a.topic.cmp(&b.topic));
        Ok(found)
    }

    /// The latest of those topics of a partition that are remembered.
    async fn latest(
        &self,
        partition: Partition,
        topics: &[&Topic],
    ) -> Result<Vec<Excerpt<Json>>, BackendError> {
        let calls: Vec<Call> = topics
            .iter()
            .map(|topic| self.reading(topic, None))
            .collect();
        let mut found = Vec::new();
        for (topic, value) in topics.iter().zip(self.run(partition, &calls).await?) {
            let excerpt = self.excerpt(topic, Some(value))?;
            found.extend(Some(excerpt).filter(is_remembered));
        }
        Ok(found)
    }

    /// The topics of a partition that are wanted, of those that `pattern` matches; a part of them at a time.
    async fn topics(
        &self,
        partition: Partition,
        pattern: &Pattern,
        is_wanted: impl Fn(&Topic) -> bool,
    ) -> Result<BTreeSet<Topic>, BackendError> {
        let mut topics = BTreeSet::new();
        let mut cursor = "0".to_owned();
        loop {
            let mut cmd = redis::cmd("ZSCAN");
            cmd.arg(self.shared.layout.index(partition))
                .arg(&cursor)
                .arg("MATCH")
                .arg(glob("", pattern))
                .arg("COUNT")
                .arg(SCANNED_MAX);
            let value = self.run(partition, &[Call::Plain(cmd)]).await?.pop();
            if let Some(Value::ServerError(error)) = &value
                && is_of_keys(error)
            {
                let error = server_error(self.name(), error);
                self.damaged.log_damaged(pattern, &error);
                return Ok(topics);
            }
            let value = self.value(value)?;
            let Some([next, Value::Array(members)]) = value.as_sequence() else {
                return Err(unexpected(self.name(), "ZSCAN answered something else"));
            };
            let names = members.iter().step_by(2).filter_map(text);
            topics.extend(
                names
                    .filter_map(|name| Topic::new(name).ok())
                    .filter(&is_wanted),
            );
            text(next).unwrap_or("0").clone_into(&mut cursor);
            if cursor == "0" {
                return Ok(topics);
            }
        }
    }
}

fn is_remembered(excerpt: &Excerpt<Json>) -> bool {
    !excerpt.publications.is_empty()
}
