//! Reading topics and listing them.

use std::collections::BTreeSet;

use redis::Value;
use tidegate_core::history::Excerpt;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic};

use super::announcement::{entry, number};
use super::call::{Call, READ};
use super::error::{is_of_keys, server_error, text, unexpected};
use super::layout::{Partition, glob};
use super::link::Link;
use super::store::millis;
use crate::backend::BackendError;
use crate::hub::Publication;
use crate::json::Json;

/// The most topics that one step of a listing scans.
const SCANNED_MAX: usize = 1_000;

/// The most topics that one step of a listing reads.
const LISTED_MAX: usize = 64;

impl Link {
    pub(super) async fn read(
        &self,
        topic: &Topic,
        since: Option<Position>,
    ) -> Result<Excerpt<Json>, BackendError> {
        let partition = self.shared.layout.partition(topic.as_str());
        let value = self
            .run(partition, &[self.reading(topic, since)])
            .await?
            .pop();
        self.excerpt(topic, value)
    }

    fn reading(&self, topic: &Topic, since: Option<Position>) -> Call {
        let keys = self.shared.layout.keys(topic);
        let number = |number: u64| number.to_string();
        let age_max = self.shared.keep.get().history_of(topic).age_max;
        Call::script(
            &READ,
            vec![keys.meta, keys.log, keys.sizes],
            [
                &since.map(|since| number(since.epoch)).unwrap_or_default(),
                &since.map(|since| number(since.offset)).unwrap_or_default(),
                &millis(age_max),
            ],
        )
    }

    fn excerpt(&self, topic: &Topic, value: Option<Value>) -> Result<Excerpt<Json>, BackendError> {
        let value = match value {
            // Another program has damaged the topic. Its followers are told that something is missing.
            Some(Value::ServerError(error)) if is_of_keys(&error) => {
                let error = server_error(self.name(), &error);
                self.damaged.tell_damaged(topic, &error);
                return Ok(unknown(topic));
            }
            value => self.value(value)?,
        };
        let excerpt = match value.as_sequence().unwrap_or_default() {
            [] => Some(unknown(topic)),
            [epoch, offset, Value::Array(entries)] => {
                let position = text(epoch)
                    .and_then(number)
                    .zip(text(offset).and_then(number));
                position.map(|(epoch, offset)| Excerpt {
                    topic: topic.clone(),
                    position: Position { epoch, offset },
                    publications: self.publications(topic, Position { epoch, offset }, entries),
                })
            }
            _ => None,
        };
        Ok(excerpt.unwrap_or_else(|| {
            self.tell_history(topic);
            unknown(topic)
        }))
    }

    /// Parses entries of a stream. If some are damaged, only the latest is returned, unless it is damaged itself.
    fn publications(
        &self,
        topic: &Topic,
        position: Position,
        entries: &[Value],
    ) -> Vec<Publication> {
        let read = entries
            .iter()
            .map(|value| entry(topic, position.epoch, value));
        if let Some(all) = read.collect() {
            return all;
        }
        self.tell_history(topic);
        let latest = entries
            .last()
            .and_then(|value| entry(topic, position.epoch, value));
        latest
            .filter(|latest| latest.position == position)
            .into_iter()
            .collect()
    }

    fn tell_history(&self, topic: &Topic) {
        let error = unexpected(self.name(), &format!("the history of {topic}"));
        self.damaged.tell_damaged(topic, &error);
    }

    pub(super) async fn list(&self, pattern: &Pattern) -> Result<Vec<Excerpt<Json>>, BackendError> {
        if let Some(topic) = pattern.exact() {
            let excerpt = self.read(&topic, None).await?;
            return Ok(Some(excerpt).filter(is_remembered).into_iter().collect());
        }
        let mut listed = Vec::new();
        for partition in self.shared.layout.partitions() {
            let topics: Vec<Topic> = self.topics(partition, pattern).await?.into_iter().collect();
            for topics in topics.chunks(LISTED_MAX) {
                let calls: Vec<Call> = topics
                    .iter()
                    .map(|topic| self.reading(topic, None))
                    .collect();
                for (topic, value) in topics.iter().zip(self.run(partition, &calls).await?) {
                    let excerpt = self.excerpt(topic, Some(value))?;
                    listed.extend(Some(excerpt).filter(is_remembered));
                }
            }
        }
        Ok(listed)
    }

    /// The topics of a partition that `pattern` matches, a page at a time.
    async fn topics(
        &self,
        partition: Partition,
        pattern: &Pattern,
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
                self.damaged.tell_damaged(pattern, &error);
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
                    .filter(|topic| pattern.matches(topic)),
            );
            text(next).unwrap_or("0").clone_into(&mut cursor);
            if cursor == "0" {
                return Ok(topics);
            }
        }
    }
}

/// The answer for a topic that isn't remembered.
fn unknown(topic: &Topic) -> Excerpt<Json> {
    Excerpt {
        topic: topic.clone(),
        position: Position::default(),
        publications: Vec::new(),
    }
}

fn is_remembered(excerpt: &Excerpt<Json>) -> bool {
    !excerpt.publications.is_empty()
}
