//! One update of a job.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use tidegate_core::lifecycle::EndReason;

use crate::{JsonError, Publication};

/// The state of a job, as the job reports it. Each update is complete: the latest one replaces all earlier ones.
///
/// Publishers may send more members, or fewer. Members without a field here are kept in [`extra`](Self::extra), and
/// updates from [`crate::Broadcaster::subscribe`] always have an id and a status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobUpdate {
    /// The job's id.
    #[serde(default, deserialize_with = "text_or_number")]
    pub job_id: String,
    /// The status: RUNNING, COMPLETE, FAILED, CANCELLED, or a word of the application's own.
    #[serde(default)]
    pub status: String,
    /// The part that is done; from 0 to 1 in jobs of Tidegate's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// What the job is doing, or why it failed; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// All other members, by name. A member with the name of a field above is not sent: the field is.
    #[serde(flatten, serialize_with = "without_fields")]
    pub extra: Map<String, Value>,
}

/// The names of the fields, which `extra` can't override.
const FIELDS: [&str; 4] = ["job_id", "status", "progress", "message"];

const RUNNING: &str = "RUNNING";

impl JobUpdate {
    /// An update with a status. Its id is set when it is sent.
    pub fn new(status: impl Into<String>) -> Self {
        Self {
            status: status.into(),
            ..Self::default()
        }
    }

    /// The job is running.
    pub fn running() -> Self {
        Self::new(RUNNING)
    }

    /// The job is done.
    pub fn complete() -> Self {
        Self::new(status(EndReason::Complete))
    }

    /// The job failed.
    pub fn failed(why: impl Into<String>) -> Self {
        Self::new(status(EndReason::Failed)).with_message(why)
    }

    /// The job was cancelled.
    pub fn cancelled() -> Self {
        Self::new(status(EndReason::Cancelled))
    }

    /// Sets the part that is done, from 0 to 1. NaN and infinity have no JSON form, so they unset it. Any other number
    /// is sent as it is; progress bars show less than 0 as 0, and more than 1 as 1.
    #[must_use]
    pub const fn with_progress(mut self, progress: f64) -> Self {
        self.progress = if progress.is_finite() {
            Some(progress)
        } else {
            None
        };
        self
    }

    /// Sets a message for people.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Sets a member of the application's own.
    ///
    /// The names `job_id`, `status`, `progress` and `message` set the fields of this type; a value that doesn't fit the
    /// field is ignored.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let name = name.into();
        match (name.as_str(), value.into()) {
            ("job_id", Value::String(id)) => self.job_id = id,
            ("job_id", Value::Number(id)) => self.job_id = id.to_string(),
            ("status", Value::String(status)) => self.status = status,
            ("progress", Value::Number(progress)) => self.progress = progress.as_f64(),
            ("message", Value::String(message)) => self.message = Some(message),
            (field, _) if FIELDS.contains(&field) => {}
            (_, value) => {
                self.extra.insert(name, value);
            }
        }
        self
    }

    /// Why the job ended, if this update ends it: its status, in any letter case.
    pub fn end(&self) -> Option<EndReason> {
        self.status.parse().ok()
    }

    /// Reads an update from a publication of the job. If the publication ended the topic, the update's status says so.
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

/// Leaves out members with the name of a field: if a name occurs twice, readers differ in which one they take.
fn without_fields<S: Serializer>(
    extra: &Map<String, Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        extra
            .iter()
            .filter(|(name, _)| !FIELDS.contains(&name.as_str())),
    )
}

/// The status of a job that ended for this reason.
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
