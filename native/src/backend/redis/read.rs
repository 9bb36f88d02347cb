//! Reading topics.

use redis::Value;
use tidegate_core::history::Excerpt;
use tidegate_core::publication::Position;
use tidegate_core::topic::Topic;

use super::announcement::{entry, number};
use super::call::{Call, READ};
use super::error::{is_of_keys, server_error, text, unexpected};
use super::link::Link;
use super::store::millis;
use crate::backend::BackendError;
use crate::hub::Publication;
use crate::json::Json;

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

    pub(super) fn reading(&self, topic: &Topic, since: Option<Position>) -> Call {
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

    pub(super) fn excerpt(
        &self,
        topic: &Topic,
        value: Option<Value>,
    ) -> Result<Excerpt<Json>, BackendError> {
        let value = match value {
            // Another program has damaged the topic. Its followers are told that something is missing.
            Some(Value::ServerError(error)) if is_of_keys(&error) => {
                let error = server_error(self.name(), &error);
                self.damaged.log_damaged(topic, &error);
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
            self.log_damaged_history(topic);
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
        self.log_damaged_history(topic);
        let latest = entries
            .last()
            .and_then(|value| entry(topic, position.epoch, value));
        latest
            .filter(|latest| latest.position == position)
            .into_iter()
            .collect()
    }

    fn log_damaged_history(&self, topic: &Topic) {
        let error = unexpected(self.name(), &format!("the history of {topic}"));
        self.damaged.log_damaged(topic, &error);
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
