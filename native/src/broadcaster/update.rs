//! One update of a job.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidegate_core::lifecycle::EndReason;

use crate::{JsonError, Publication};

/// What a job says of itself. Each update is whole: the latest one wins.
///
/// Publishers may say more, and less: what has no field here is kept in [`extra`](Self::extra), and whoever reads
/// [`crate::Broadcaster::subscribe`] is given an id and a status in any case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobUpdate {
    /// The job's id.
    #[serde(default, deserialize_with = "text_or_number")]
    pub job_id: String,
    /// Where the job stands: RUNNING, COMPLETE, FAILED, CANCELLED, or a word of the application's.
    #[serde(default)]
    pub status: String,
    /// The part that is done, from 0 to 1 where the job is one of Tidegate's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// What it is at, or why it failed: for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// All else that was said, by name.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

const RUNNING: &str = "RUNNING";

impl JobUpdate {
    /// An update with a status. Its id is that of the job which it is sent for.
    pub fn new(status: impl Into<String>) -> Self {
        Self {
            status: status.into(),
            ..Self::default()
        }
    }

    /// The job is at work.
    pub fn running() -> Self {
        Self::new(RUNNING)
    }

    /// The job is done.
    pub fn complete() -> Self {
        Self::new(status(EndReason::Complete))
    }

    /// The job went wrong.
    pub fn failed(why: impl Into<String>) -> Self {
        Self::new(status(EndReason::Failed)).with_message(why)
    }

    /// The job was called off.
    pub fn cancelled() -> Self {
        Self::new(status(EndReason::Cancelled))
    }

    /// With the part that is done, from 0 to 1.
    #[must_use]
    pub const fn with_progress(mut self, progress: f64) -> Self {
        self.progress = Some(progress);
        self
    }

    /// With words for people.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// With a field of the application's.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }

    /// Why the job ended, if by this update: its status in any letter case.
    pub fn end(&self) -> Option<EndReason> {
        self.status.parse().ok()
    }

    /// The update that a publication of the job is. One that ended the topic has a status that says so.
    pub(super) fn read(job_id: &str, publication: &Publication) -> Result<Self, JsonError> {
        let mut update: Self = publication.payload.parse()?;
        if update.job_id.is_empty() {
            job_id.clone_into(&mut update.job_id);
        }
        match publication.end {
            Some(reason) if update.end().is_none() => update.status = status(reason),
            None if update.status.is_empty() => RUNNING.clone_into(&mut update.status),
            Some(_) | None => {}
        }
        Ok(update)
    }
}

/// The status of a job that ended so.
fn status(reason: EndReason) -> String {
    reason.as_str().to_ascii_uppercase()
}

/// Ids are numbers in many databases, and in what their applications publish.
fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null => Ok(String::new()),
        other => Err(serde::de::Error::custom(format!(
            "job_id is {other}, and should be a text or a number"
        ))),
    }
}
