//! Typed updates of jobs. Each job has a topic of its own: `job:ID`.
//!
//! ```
//! use futures_util::StreamExt as _;
//! use tidegate::{Broadcaster, Hub, JobUpdate};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let jobs = Broadcaster::from_hub(Hub::new(Default::default())?)?;
//! let mut updates = jobs.subscribe("42").await?;
//! jobs.send("42", JobUpdate::running().with_progress(0.5).with_message("half of it")).await?;
//! jobs.send("42", JobUpdate::new("Complete").with("pages", 12)).await?;
//! while let Some(update) = updates.next().await {
//!     let update = update?;
//!     println!("{} {:?} {:?}", update.status, update.progress, update.extra.get("pages"));
//! }
//! # Ok(()) }
//! ```

mod update;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tidegate_core::protocol::ErrorCode;
use tidegate_core::publication::Position;
use tidegate_core::topic::{JobRoom, Name, Room as _, Topic};

use crate::client::{ClientError, ClientSubscription};
use crate::{Client, Event, Hub, JsonError, Publication, Publish};
pub use update::JobUpdate;

/// Sends updates of jobs, and follows a job until it ends. Clones share the client.
#[derive(Clone)]
pub struct Broadcaster {
    client: Client,
}

/// An error in a stream of job updates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// Something was published to the job's topic that is not an update of a job. The stream continues.
    #[error("publication {offset} of {topic} is no update of a job: {reason}")]
    NoUpdate {
        /// The job's topic.
        topic: Topic,
        /// Which publication.
        offset: u64,
        /// What is wrong with it.
        reason: JsonError,
    },
    /// The subscription was refused. The stream ends.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The client was closed, or the hub was stopped, before the job ended, so it is unknown here how the job
    /// continues. The stream ends.
    #[error("the client or the hub of job {job_id} was closed before the job ended")]
    Cut {
        /// The job's id.
        job_id: String,
    },
}

impl Broadcaster {
    /// The jobs of a server or a backend.
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    /// The jobs of the backend that the environment names: see [`Client::from_env`].
    ///
    /// # Errors
    /// As for [`Client::from_env`].
    pub fn from_env() -> Result<Self, ClientError> {
        Client::from_env().map(Self::new)
    }

    /// The jobs of a hub in this process.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub fn from_hub(hub: Hub) -> Result<Self, ClientError> {
        Client::from_hub(hub).map(Self::new)
    }

    /// Sends an update of a job, and returns when it is published. The update's id becomes `job_id`. The statuses
    /// COMPLETE, FAILED and CANCELLED, in any letter case, end the job.
    ///
    /// # Errors
    /// See [`ClientError`]; also if `job_id` is not a single segment of a topic, or the job has ended already.
    pub async fn send(&self, job_id: &str, update: JobUpdate) -> Result<Position, ClientError> {
        self.publish(job_id, update, false).await
    }

    /// Sends the first update of a job. A job with the same id that has ended starts anew.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn start(&self, job_id: &str, update: JobUpdate) -> Result<Position, ClientError> {
        self.publish(job_id, update, true).await
    }

    async fn publish(
        &self,
        job_id: &str,
        mut update: JobUpdate,
        restart: bool,
    ) -> Result<Position, ClientError> {
        let topic = topic(job_id)?;
        job_id.clone_into(&mut update.job_id);
        let publish = Publish {
            end: update.end().map(Into::into),
            id: None,
            restart,
        };
        self.client
            .publish_with(topic.as_str(), &update, publish)
            .await
    }

    /// The updates of a job, starting with the latest. The stream ends after the update that ends the job, which late
    /// subscribers get, too. If it can't continue until then, it ends with an error.
    ///
    /// # Errors
    /// See [`ClientError`]; also if `job_id` is not a single segment of a topic.
    pub async fn subscribe(&self, job_id: &str) -> Result<JobUpdates, ClientError> {
        let topic = topic(job_id)?;
        let events = self.client.subscribe(topic.as_str()).await?;
        Ok(JobUpdates {
            job_id: job_id.to_owned(),
            events: Some(events),
        })
    }

    /// The client that carries the updates.
    pub const fn client(&self) -> &Client {
        &self.client
    }
}

fn topic(job_id: &str) -> Result<Topic, ClientError> {
    Ok(JobRoom::from_id(Name::new(job_id)?).topic())
}

/// The updates of a job, as a stream. Dropping it unsubscribes.
///
/// A slow reader misses updates, but never the newest or the last one. A stream that ends without an error has
/// delivered the end of the job. If the client is closed or the hub is stopped before, the last item is
/// [`JobError::Cut`].
#[must_use = "it unsubscribes when this is dropped"]
pub struct JobUpdates {
    job_id: String,
    /// `None` after the end.
    events: Option<ClientSubscription>,
}

impl JobUpdates {
    fn read(&self, publication: &Publication) -> Result<JobUpdate, JobError> {
        JobUpdate::read(&self.job_id, publication).map_err(|reason| JobError::NoUpdate {
            topic: publication.topic.clone(),
            offset: publication.position.offset,
            reason,
        })
    }

    /// Ends the stream with an error: nothing more arrives, and the job has not ended.
    fn cut(&mut self) -> Poll<Option<Result<JobUpdate, JobError>>> {
        self.events = None;
        let job_id = self.job_id.clone();
        Poll::Ready(Some(Err(JobError::Cut { job_id })))
    }
}

impl Stream for JobUpdates {
    type Item = Result<JobUpdate, JobError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while let Some(events) = &mut self.events {
            match ready!(Pin::new(events).poll_next(context)) {
                Some(Event::Publication(publication)) => {
                    let update = self.read(&publication);
                    // The status alone doesn't end the stream: whoever published it may have stated that the topic goes
                    // on.
                    if publication.is_terminal() {
                        self.events = None;
                    }
                    return Poll::Ready(Some(update));
                }
                None => return self.cut(),
                // This is how a client of a server reports that it was closed.
                Some(Event::Refused(error)) if error.code == ErrorCode::ConnectionLost => {
                    return self.cut();
                }
                Some(Event::Refused(error)) => {
                    self.events = None;
                    return Poll::Ready(Some(Err(ClientError::from(error).into())));
                }
                Some(Event::End { .. }) => self.events = None,
                // Updates are whole: the latest one, which follows, is all that matters. Batches are for collecting
                // subscriptions, which this is not.
                Some(
                    Event::Reset { .. }
                    | Event::Lagged { .. }
                    | Event::Batch(_)
                    | Event::Stale
                    | Event::Live,
                ) => {}
            }
        }
        Poll::Ready(None)
    }
}
