//! `tidegate run`.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use tidegate::backend::BackendError;
use tidegate::client::ClientError;
use tidegate::core::lifecycle::EndReason;
use tidegate::run::{self, JobId, JobSpec, JobStatus, JobUpdate};
use tidegate::{Client, Publish};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long the last update may take once the command has ended.
const LAST_UPDATE_MAX: Duration = Duration::from_secs(5);

/// How long it may take where no update was answered, and it is known why: the server can't be reached.
const FIRST_UPDATE_MAX: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  tidegate run -- cargo build --release
  tidegate run --job nightly -- rsync -a --info=progress2 src/ dst/

The command's output, exit status and terminal behaviour don't change. Its progress is read from what it
prints: 37%, 12/340, [3/10]. The command also runs if the server or backend can't be reached.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Run {
    /// The job's id: it is published to job:ID. By default, made from the command's name.
    #[arg(long, value_name = "ID")]
    job: Option<JobId>,
    /// The command and its arguments.
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    #[command(flatten)]
    place: super::PlaceArg,
}

impl Run {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let job = JobSpec::new(self.job, self.command)?;
        let client = match self.place.start().await {
            Ok(client) => Some(client),
            Err(error) if error.is::<BackendError>() => {
                eprintln!("tidegate: the job's progress is not published: {error}");
                None
            }
            Err(error) => return Err(error),
        };
        let topic = format!("job:{}", job.id());
        let (updates, latest) = watch::channel(None);
        let publishing = client.map(|client| Publishing::start(client, topic, latest));
        let outcome = run::run(&job, updates).await;
        if let Some(error) = &outcome.error {
            eprintln!("tidegate: {error}");
        }
        if let Some(publishing) = publishing {
            publishing.finish().await;
        }
        Ok(ExitCode::from(outcome.exit_code))
    }
}

/// The task that publishes a job's updates.
struct Publishing {
    client: Client,
    has_answered: Arc<AtomicBool>,
    task: JoinHandle<Result<(), ClientError>>,
}

impl Publishing {
    fn start(client: Client, topic: String, latest: watch::Receiver<Option<JobUpdate>>) -> Self {
        let has_answered = Arc::new(AtomicBool::new(false));
        let publishing = publish_updates(client.clone(), topic, latest, Arc::clone(&has_answered));
        Self {
            client,
            has_answered,
            task: tokio::spawn(publishing),
        }
    }

    /// Waits for the last update, but not for ever, and tells where it was not published.
    async fn finish(mut self) {
        let done = match tokio::time::timeout(FIRST_UPDATE_MAX, &mut self.task).await {
            Err(_) if self.may_be_answered() => {
                let rest = LAST_UPDATE_MAX.saturating_sub(FIRST_UPDATE_MAX);
                tokio::time::timeout(rest, &mut self.task).await
            }
            done => done,
        };
        match done {
            Ok(Ok(Ok(()))) => {
                // All was confirmed, so that none can be told as unanswered.
                let _ = self.client.close_flushed().await;
            }
            Ok(Ok(Err(error))) => {
                eprintln!("tidegate: the job's progress was not published: {error}");
            }
            Ok(Err(error)) => eprintln!("tidegate: the job's progress was not published: {error}"),
            Err(_) => {
                let status = self.client.status();
                let reason = status
                    .borrow()
                    .last_error
                    .clone()
                    .unwrap_or_else(|| "it did not answer".to_owned());
                eprintln!(
                    "tidegate: the job's end was not published to {}: {reason}",
                    self.client.place()
                );
            }
        }
    }

    /// Whether an answer is only slow, as of a machine that is busy.
    fn may_be_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
            || self.client.status().borrow().last_error.is_none()
    }
}

/// Publishes the newest update, again and again, until the terminal one. What comes while one is on its way is skipped
/// for a newer one.
async fn publish_updates(
    client: Client,
    topic: String,
    mut latest: watch::Receiver<Option<JobUpdate>>,
    has_answered: Arc<AtomicBool>,
) -> Result<(), ClientError> {
    let mut is_first = true;
    while latest.changed().await.is_ok() {
        let Some(update) = latest.borrow_and_update().clone() else {
            continue;
        };
        let options = Publish {
            end: end_reason(update.status),
            id: None,
            restart: is_first,
        };
        is_first = false;
        client.publish_with(&topic, &update, options).await?;
        has_answered.store(true, Ordering::Relaxed);
    }
    Ok(())
}

fn end_reason(status: JobStatus) -> Option<EndReason> {
    match status {
        JobStatus::Running => None,
        JobStatus::Complete => Some(EndReason::Complete),
        JobStatus::Failed => Some(EndReason::Failed),
        JobStatus::Cancelled => Some(EndReason::Cancelled),
    }
}
