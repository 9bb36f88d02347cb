//! Publishing and renewing.

use std::time::Duration;

use futures_util::future::try_join_all;
use redis::Value;
use tidegate_core::hub::PublishError;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::limits::IDEMPOTENCY_KEYS_MAX;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::{Position, first_epoch, later_epoch};
use tidegate_core::topic::Topic;

use super::call::{Call, PUBLISH, RENEW};
use super::error::{publish_error, text, unexpected};
use super::layout::Partition;
use super::link::{Link, Shared, lock};
use crate::backend::BackendError;
use crate::json::Json;

/// What is needed in addition when publishing takes in a raw message.
#[derive(Clone, Copy)]
pub(super) struct AsTaken<'a> {
    pub(super) lease: &'a str,
    pub(super) token: &'a str,
    /// The channel on which the others are told.
    pub(super) channel: &'a str,
    pub(super) mark: &'a str,
    pub(super) scope: &'a str,
}

impl Shared {
    /// Makes the call that publishes.
    pub(super) fn publishing(
        &self,
        request: &PublishRequest<Json>,
        as_taken: Option<AsTaken<'_>>,
    ) -> Call {
        let (layout, keep) = (&self.layout, self.keep.get());
        let history = keep.history_of(&request.topic);
        let keys = layout.keys(&request.topic);
        let index = layout.index(layout.partition(request.topic.as_str()));
        let mut keys = vec![keys.meta, keys.log, keys.sizes, keys.ids, index];
        // An empty key is a key, too.
        let id = request
            .id
            .as_deref()
            .map(|id| format!("={id}"))
            .unwrap_or_default();
        let [token, channel, mark, scope] = as_taken.map_or([""; 4], |taken| {
            keys.push(taken.lease.to_owned());
            [taken.token, taken.channel, taken.mark, taken.scope]
        });
        Call::script(
            &PUBLISH,
            keys,
            [
                &request.topic.as_str(),
                &layout.feed(&request.topic),
                &layout.announce(),
                &request.payload.as_str(),
                &request.end_reason().map_or("", EndReason::as_str),
                &id,
                &if request.restart { "1" } else { "0" },
                &first_epoch(&mut lock(&self.random)).to_string(),
                &history.count_max.to_string(),
                &history.bytes_max.to_string(),
                &history.age_max.as_millis().to_string(),
                &millis(keep.retention_of(&request.topic)),
                &IDEMPOTENCY_KEYS_MAX.to_string(),
                &token,
                &channel,
                &mark,
                &scope,
                &millis(keep.longest_retention()),
            ],
        )
    }
}

/// In milliseconds; Redis doesn't accept 0.
pub(super) fn millis(retention: Duration) -> String {
    retention.as_millis().max(1).to_string()
}

impl Link {
    /// Stores a batch: one pipeline for each partition, concurrently.
    pub(super) async fn publish(
        &self,
        batch: &[PublishRequest<Json>],
    ) -> Result<Vec<Result<Position, PublishError>>, BackendError> {
        let layout = &self.shared.layout;
        let mut parts: Vec<(Vec<usize>, Vec<Call>)> = Vec::new();
        parts.resize_with(layout.partitions().len(), Default::default);
        for (at, request) in batch.iter().enumerate() {
            let (places, calls) = &mut parts[layout.partition(request.topic.as_str())];
            places.push(at);
            calls.push(self.shared.publishing(request, None));
        }
        let used = parts
            .iter()
            .enumerate()
            .filter(|(_, (places, _))| !places.is_empty());
        let run = used.map(|(partition, (places, calls))| async move {
            let values = self.run(partition, calls).await?;
            let topics = places.iter().map(|place| &batch[*place].topic);
            let answers = topics
                .zip(values)
                .map(|(topic, value)| self.stored(topic, value));
            let answers: Result<Vec<_>, _> = answers.collect();
            Ok::<_, BackendError>((places, answers?))
        });
        let mut answers: Vec<Option<Result<Position, PublishError>>> = vec![None; batch.len()];
        for (places, part) in try_join_all(run).await? {
            for (place, answer) in places.iter().zip(part) {
                answers[*place] = Some(answer);
            }
        }
        let answers: Option<Vec<_>> = answers.into_iter().collect();
        answers.ok_or_else(|| unexpected(self.name(), "an answer is missing"))
    }

    fn stored(
        &self,
        topic: &Topic,
        value: Value,
    ) -> Result<Result<Position, PublishError>, BackendError> {
        if let Value::ServerError(error) = &value {
            let error = publish_error(self.name(), error);
            if !matches!(error, BackendError::Content { .. }) {
                return Err(error);
            }
            self.refused.log_refused(topic, &error);
            return Ok(Err(PublishError::Refused));
        }
        let words: Option<Vec<&str>> = value
            .as_sequence()
            .and_then(|words| words.iter().map(text).collect());
        let answer = match words.as_deref() {
            Some(["ok", position]) => position.parse().ok().map(Ok),
            Some(["ended", reason]) => reason.parse().ok().map(|end| Err(PublishError::Ended(end))),
            _ => None,
        };
        answer.ok_or_else(|| unexpected(self.name(), "publishing answered something else"))
    }

    /// Writes what the backend keeps, as a server does, or reads what servers have written. It is always written, even if it is there
    /// already, because writing reveals a server that has become a replica. A server without room is still good for readers, so it is
    /// written later.
    pub(super) async fn agree_on_keep(&self) -> Result<(), BackendError> {
        match self.say_or_hear_keep().await {
            Err(error @ BackendError::Full { .. }) => {
                self.unwritten.log_unwritten(&error);
                Ok(())
            }
            said => said,
        }
    }

    async fn say_or_hear_keep(&self) -> Result<(), BackendError> {
        let (partition, key) = self.shared.layout.keep();
        let command = match self.shared.keep.to_write() {
            Some(text) => redis::cmd("SET").arg(key).arg(text).take(),
            None => redis::cmd("GET").arg(key).take(),
        };
        let value = self.run(partition, &[Call::Plain(command)]).await?.pop();
        if let Value::BulkString(_) = self.value(value.clone())?
            && let Some(said) = value.as_ref().and_then(text)
        {
            self.shared.keep.update(said);
        }
        Ok(())
    }

    /// Begins a new epoch of a topic that is still in `epoch`.
    pub(super) async fn renew(&self, topic: &Topic, epoch: u64) -> Result<(), BackendError> {
        let layout = &self.shared.layout;
        let keys = layout.keys(topic);
        let call = Call::script(
            &RENEW,
            vec![keys.meta, keys.log, keys.sizes],
            [
                &topic.as_str(),
                &layout.feed(topic),
                &layout.announce(),
                &epoch.to_string(),
                &later_epoch(&mut lock(&self.shared.random)).to_string(),
                &millis(self.shared.keep.get().retention_of(topic)),
            ],
        );
        let partition: Partition = layout.partition(topic.as_str());
        let value = self.run(partition, &[call]).await?.pop();
        self.value(value)?;
        Ok(())
    }
}
