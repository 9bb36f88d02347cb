//! `tidegate run`.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use tidegate::backend::BackendError;
use tidegate::client::ClientError;
use tidegate::core::client::Backoff;
use tidegate::core::lifecycle::EndReason;
use tidegate::core::protocol::{ErrorCode, WireError};
use tidegate::run::{self, JobId, JobSpec, JobStatus, JobUpdate};
use tidegate::{Client, Publish};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::say::say;

/// How long the last update may take once the command has ended.
const LAST_UPDATE_MAX: Duration = Duration::from_secs(5);

/// The same if no update was answered, and it is known that the server can't be reached.
const FIRST_UPDATE_MAX: Duration = Duration::from_secs(1);

/// After a temporary refusal, the first wait takes up to the first value, and later waits up to the second.
const REFUSED_WAIT: Duration = Duration::from_millis(250);
const REFUSED_WAIT_MAX: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  tidegate run -- cargo build --release
  tidegate run --job nightly -- rsync -a --info=progress2 src/ dst/

The command's output, exit status and terminal behaviour don't change; a signal that ends it ends this
program, too. Its progress is read from what it prints: 37%, 12/340, [3/10]. The command also runs if the
server or backend can't be reached.";

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
                say(format_args!("the job's progress is not published: {error}"));
                None
            }
            Err(error) => return Err(error),
        };
        let topic = format!("job:{}", job.id());
        let (updates, latest) = watch::channel(None);
        let publishing = client.map(|client| Publishing::start(client, topic, latest));
        let outcome = run::run(&job, updates).await;
        if let Some(error) = &outcome.error {
            say(error);
        }
        if let Some(publishing) = publishing {
            publishing.finish().await;
        }
        outcome.end_by_signal();
        Ok(ExitCode::from(outcome.exit_code))
    }
}

/// The task that publishes a job's updates.
struct Publishing {
    client: Client,
    answers: Arc<Answers>,
    task: JoinHandle<Result<(), ClientError>>,
}

/// The answers to updates so far.
#[derive(Default)]
struct Answers {
    has_answered: AtomicBool,
    /// The last refusal.
    refusal: Mutex<Option<WireError>>,
}

impl Answers {
    fn note(&self, refusal: WireError) {
        // A refusal is an answer, too, so the server is there.
        self.has_answered.store(true, Ordering::Relaxed);
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }

    fn refusal(&self) -> Option<String> {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.as_ref().map(ToString::to_string)
    }
}

impl Publishing {
    fn start(client: Client, topic: String, latest: watch::Receiver<Option<JobUpdate>>) -> Self {
        let answers = Arc::new(Answers::default());
        let publishing = publish_updates(client.clone(), topic, latest, Arc::clone(&answers));
        Self {
            client,
            answers,
            task: tokio::spawn(publishing),
        }
    }

    /// Waits for the last update, but not for ever, and reports if it was not published.
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
                // Everything was confirmed, so nothing can be reported as unanswered.
                let _ = self.client.close_flushed().await;
            }
            Ok(Ok(Err(error))) => {
                say(format_args!(
                    "the job's progress was not published: {error}"
                ));
            }
            Ok(Err(error)) => say(format_args!(
                "the job's progress was not published: {error}"
            )),
            Err(_) => {
                let status = self.client.status();
                let reason = status
                    .borrow()
                    .last_error
                    .clone()
                    .or_else(|| self.answers.refusal())
                    .unwrap_or_else(|| "it did not answer".to_owned());
                say(format_args!(
                    "the job's end was not published to {}: {reason}",
                    self.client.place()
                ));
            }
        }
    }

    /// Whether the answer may only be slow, for example because the machine is busy.
    fn may_be_answered(&self) -> bool {
        self.answers.has_answered.load(Ordering::Relaxed)
            || self.client.status().borrow().last_error.is_none()
    }
}

/// Publishes the newest update, again and again, until the terminal one. Updates that come while one is in flight, or while publishing is
/// impossible, are skipped in favour of newer ones.
async fn publish_updates(
    client: Client,
    topic: String,
    mut latest: watch::Receiver<Option<JobUpdate>>,
    answers: Arc<Answers>,
) -> Result<(), ClientError> {
    let mut backoff = Backoff::new(seed(), REFUSED_WAIT, REFUSED_WAIT_MAX);
    let mut is_first = true;
    let mut is_refused = false;
    while is_refused || latest.changed().await.is_ok() {
        let Some(update) = latest.borrow_and_update().clone() else {
            continue;
        };
        let end = end_reason(update.status);
        let options = Publish {
            end: end.map(Into::into),
            id: None,
            restart: is_first,
        };
        is_refused = match client.publish_with(&topic, &update, options).await {
            Ok(_) => {
                answers.has_answered.store(true, Ordering::Relaxed);
                backoff.reset();
                is_first = false;
                false
            }
            Err(ClientError::Refused(error)) => match outlook(error.code) {
                Outlook::Later => {
                    answers.note(error);
                    tokio::time::sleep(backoff.next_wait()).await;
                    true
                }
                Outlook::Another if end.is_none() => false,
                Outlook::Another | Outlook::Never => return Err(error.into()),
            },
            Err(error) => return Err(error),
        };
    }
    Ok(())
}

/// Makes jobs that are refused at the same time retry at different times.
fn seed() -> u64 {
    std::process::id().into()
}

/// What can be expected after an update was refused.
enum Outlook {
    /// The newest update may be accepted a little later.
    Later,
    /// This update won't be accepted, but another one may.
    Another,
    /// No update will be accepted.
    Never,
}

const fn outlook(code: ErrorCode) -> Outlook {
    match code {
        ErrorCode::TooManyRequests
        | ErrorCode::TooManyTopics
        | ErrorCode::Unavailable
        | ErrorCode::Timeout
        | ErrorCode::Draining
        | ErrorCode::ConnectionLost
        | ErrorCode::Internal => Outlook::Later,
        ErrorCode::Refused | ErrorCode::TooLarge => Outlook::Another,
        _ => Outlook::Never,
    }
}

fn end_reason(status: JobStatus) -> Option<EndReason> {
    match status {
        JobStatus::Running => None,
        JobStatus::Complete => Some(EndReason::Complete),
        JobStatus::Failed => Some(EndReason::Failed),
        JobStatus::Cancelled => Some(EndReason::Cancelled),
    }
}
