//! The job's state, as others see it, kept in a watch channel.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::job::JobSpec;
use super::outcome::Outcome;
use super::progress::Reading;

/// The status of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobStatus {
    /// The command runs.
    Running,
    /// It exited with 0.
    Complete,
    /// It exited with another code, was ended by a signal that was not a request to stop, or never ran.
    Failed,
    /// It was asked to stop, and did.
    Cancelled,
}

impl JobStatus {
    /// Whether no other status follows it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self != Self::Running
    }
}

/// The complete state of a job at some moment. Each update is complete: the latest one replaces all earlier ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobUpdate {
    /// The job's id.
    pub job_id: String,
    /// The command line, shortened.
    pub name: String,
    /// The job's status.
    pub status: JobStatus,
    /// The part that is done, from 0 to 1 in steps of 0.0001; 1 when COMPLETE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// How much is done, if the command counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// The total amount, if the command counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The last line of output, or why the command could not be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The command's exit code, once it has exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// The name of the signal that ended the command, such as `SIGTERM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// When the job started, in milliseconds since 1970.
    pub started_at: u64,
    /// How long the job had been running at this update, in milliseconds.
    pub elapsed_ms: u64,
}

/// Keeps the latest [`JobUpdate`] in a watch channel, changing it only when there is news.
#[derive(Debug)]
pub(super) struct Reporter {
    updates: watch::Sender<Option<JobUpdate>>,
    first: JobUpdate,
    started: Instant,
}

impl Reporter {
    pub(super) fn new(job: &JobSpec, updates: watch::Sender<Option<JobUpdate>>) -> Arc<Self> {
        let started_at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| whole_millis(since.as_millis()));
        let first = JobUpdate {
            job_id: job.id().to_string(),
            name: job.name(),
            status: JobStatus::Running,
            progress: None,
            done: None,
            total: None,
            message: None,
            exit_code: None,
            signal: None,
            started_at,
            elapsed_ms: 0,
        };
        Arc::new(Self {
            updates,
            first,
            started: Instant::now(),
        })
    }

    /// The command runs.
    pub(super) fn started(&self) {
        self.change(|_| {});
    }

    /// The command printed something: perhaps another reading, perhaps another last line.
    pub(super) fn observed(&self, reading: Option<Reading>, line: Option<String>) {
        self.change(|update| {
            if let Some(reading) = reading {
                update.progress = Some(rounded(reading.fraction));
                update.done = reading.done;
                update.total = reading.total;
            }
            if line.is_some() {
                update.message = line;
            }
        });
    }

    /// The command ended, or never ran.
    pub(super) fn ended(&self, outcome: &Outcome) {
        self.change(|update| {
            update.status = outcome.status;
            if outcome.status == JobStatus::Complete {
                update.progress = Some(1.0);
            }
            if let Some(error) = &outcome.error {
                update.message = Some(error.to_string());
            }
            match outcome.signal {
                Some(signal) => update.signal = Some(signal_name(signal)),
                None => update.exit_code = Some(outcome.exit_code),
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut JobUpdate)) {
        let elapsed_ms = whole_millis(self.started.elapsed().as_millis());
        self.updates.send_if_modified(|latest| {
            let mut update = latest.clone().unwrap_or_else(|| self.first.clone());
            change(&mut update);
            let is_news = latest.as_ref() != Some(&update);
            if is_news {
                update.elapsed_ms = elapsed_ms;
                *latest = Some(update);
            }
            is_news
        });
    }
}

fn whole_millis(millis: u128) -> u64 {
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// Rounds a fraction: finer steps can't be seen in any bar, and would only cause bytes and updates.
fn rounded(fraction: f64) -> f64 {
    (fraction * 10_000.0).round() / 10_000.0
}

#[cfg(unix)]
fn signal_name(signal: i32) -> String {
    signal_hook::low_level::signal_name(signal)
        .map_or_else(|| format!("SIG{signal}"), str::to_owned)
}

#[cfg(not(unix))]
fn signal_name(signal: i32) -> String {
    format!("SIG{signal}")
}

#[cfg(test)]
mod tests {
    use super::super::outcome::{Ending, RunError, StopRequest};
    use super::*;

    fn reporter() -> (Arc<Reporter>, watch::Receiver<Option<JobUpdate>>) {
        let id = Some("build-1".parse().unwrap());
        let job = JobSpec::new(id, vec!["make".into(), "all".into()]).unwrap();
        let (updates, latest) = watch::channel(None);
        (Reporter::new(&job, updates), latest)
    }

    fn reading(fraction: f64) -> Option<Reading> {
        Some(Reading {
            fraction,
            done: Some(1),
            total: Some(3),
        })
    }

    /// The latest update, if there was one since the last look.
    fn news(latest: &mut watch::Receiver<Option<JobUpdate>>) -> Option<JobUpdate> {
        let changed = latest.has_changed().unwrap_or(true);
        changed
            .then(|| latest.borrow_and_update().clone())
            .flatten()
    }

    #[test]
    fn only_news_make_an_update() {
        let (reporter, mut latest) = reporter();
        assert_eq!(news(&mut latest), None);
        reporter.started();
        assert_eq!(news(&mut latest).unwrap().status, JobStatus::Running);
        reporter.started();
        assert_eq!(news(&mut latest), None);
        reporter.observed(reading(1.0 / 3.0), Some("[1/3]".to_owned()));
        let update = news(&mut latest).unwrap();
        assert_eq!(
            (update.progress, update.done, update.total),
            (Some(0.3333), Some(1), Some(3))
        );
        reporter.observed(reading(0.333_31), Some("[1/3]".to_owned()));
        reporter.observed(None, None);
        assert_eq!(news(&mut latest), None);
    }

    #[test]
    fn the_last_update_tells_how_it_ended() {
        let asked = StopRequest::default();
        let cases = [
            (
                Ending::Exited { code: 0, asked },
                JobStatus::Complete,
                Some(1.0),
                Some(0),
                None,
            ),
            (
                Ending::Exited { code: 3, asked },
                JobStatus::Failed,
                Some(0.5),
                Some(3),
                None,
            ),
            (
                Ending::Killed { signal: 15, asked },
                JobStatus::Cancelled,
                Some(0.5),
                None,
                Some("SIGTERM"),
            ),
            (
                Ending::NotStarted(RunError::UnsupportedSystem),
                JobStatus::Failed,
                Some(0.5),
                Some(125),
                None,
            ),
        ];
        for (ending, status, progress, exit_code, signal) in cases {
            let (reporter, mut latest) = reporter();
            reporter.observed(reading(0.5), None);
            reporter.ended(&Outcome::of(ending));
            drop(reporter);
            let update = news(&mut latest).unwrap();
            assert_eq!(update.status, status);
            assert_eq!(update.progress, progress);
            assert_eq!(update.exit_code, exit_code);
            assert_eq!(update.signal.as_deref(), signal);
        }
    }

    #[test]
    fn an_update_is_json_without_what_is_not_known() {
        let (reporter, latest) = reporter();
        reporter.started();
        let mut update = latest.borrow().clone().unwrap();
        update.started_at = 1_700_000_000_000;
        update.elapsed_ms = 12;
        let json = serde_json::to_string(&update).unwrap();
        let expected = r#"{"job_id":"build-1","name":"make all","status":"RUNNING","started_at":1700000000000,"elapsed_ms":12}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<JobUpdate>(&json).unwrap(), update);
    }
}
