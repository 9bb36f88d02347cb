//! How far work has come, counted by all servers that do it, and told on topics.
//!
//! The rules are the core's ([`tidegate_core::progress`]): what is counted where, which server tells, and how often. Here they get a
//! clock, the way to other servers, and topics.

mod driver;
mod options;

use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_core::lifecycle::EndReason;
use tidegate_core::presence::{Key, KeyError, NodeId};
use tidegate_core::progress::{Snapshot, Tally, Tracker};
use tidegate_core::topic::{Topic, TopicError};
use tokio::sync::{mpsc, oneshot};

use crate::error::Stopped;
use crate::hub::Hub;
use crate::shard::{Overheard, ProgressCommand};
use driver::{Command, Driver};
pub use options::{ProgressOptions, ProgressTopics};

/// The most that was said by other servers and waits for a tracker. What is beyond is lost, and asked for again.
const HEARD_MAX: usize = 1_024;

/// Why progress can't be counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgressError {
    /// The name of the work, or of one of its topics, breaks the syntax.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The name of a session is no key.
    #[error(transparent)]
    Session(#[from] KeyError),
    /// The hub is gone.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// The progress of a piece of work, as this server and all others at the same backend count it. Clones are the same; counting
/// goes on elsewhere when the last one is gone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures_util::StreamExt as _;
/// use tidegate::progress::ProgressOptions;
/// use tidegate::{Event, Hub};
///
/// let hub = Hub::new(Default::default())?;
/// let labels = hub.progress("task:7", ProgressOptions::default()).await?;
/// labels.target(Some(500))?;
/// labels.done("ada", 3).await?;
/// assert_eq!(labels.snapshot().await?.done, 3);
///
/// let mut told = hub.subscribe("task:7:progress").await?;
/// if let Some(Event::Publication(publication)) = told.next().await {
///     println!("{}", publication.payload);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Progress {
    node: NodeId,
    commands: mpsc::UnboundedSender<Command>,
}

impl Hub {
    /// Counts the progress of `work`, a topic's name, together with all hubs of the same backend that do; it is told on the
    /// topics of the options, which other than by these names have nothing to do with each other. Whoever is present in the topic
    /// `work` counts as at work.
    ///
    /// A hub that shares no presences ([`Config::shares_presence`](crate::Config::shares_presence)) counts alone. To be
    /// called from within a tokio runtime.
    ///
    /// # Errors
    /// When a name breaks the syntax, or the hub has stopped.
    pub async fn progress(
        &self,
        work: &str,
        options: ProgressOptions,
    ) -> Result<Progress, ProgressError> {
        let work = Topic::new(work)?;
        let topics = options.topics.of(&work)?;
        let present = self.presence(work.as_str()).map_err(|_| Stopped)?;
        let (listener, heard) = mpsc::channel::<Overheard>(HEARD_MAX);
        let shard = self.shard_of(&work)?.clone();
        shard.send(
            ProgressCommand::Listen {
                work: work.clone(),
                listener,
            }
            .into(),
        )?;
        let node = NodeId::new(crate::random_seed());
        let mut tracker = Tracker::new(options.config(work, node));
        if let Some(stored) = options.stored {
            tracker.handle_stored(tidegate_core::time::Instant::ZERO, stored);
        }
        let (commands, asked) = mpsc::unbounded_channel();
        let driver = Driver {
            tracker,
            hub: self.clone(),
            shard,
            topics,
            users: present.watch().await?,
            heard,
            asked,
            has_others: self.has_others(),
        };
        tokio::spawn(driver.run());
        Ok(Progress { node, commands })
    }
}

impl Progress {
    /// `session` has done `count` more. Returns once the other servers were told, where there are any: then it is counted
    /// whatever becomes of this one.
    ///
    /// # Errors
    /// When the name is no key, or the hub has stopped: it may have been counted all the same.
    pub async fn done(&self, session: &str, count: u64) -> Result<(), ProgressError> {
        let session = Key::new(session)?;
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Done {
            session,
            count,
            reply,
        })?;
        Ok(answer.await.map_err(|_| Stopped)?)
    }

    /// So much more is to be done.
    ///
    /// # Errors
    /// When the hub has stopped.
    pub fn queued(&self, count: u64) -> Result<(), Stopped> {
        self.ask(Command::Queued(count))
    }

    /// So much is to be done in all; `None` where nobody knows.
    ///
    /// # Errors
    /// When the hub has stopped.
    pub fn target(&self, target: Option<u64>) -> Result<(), Stopped> {
        self.ask(Command::Target(target))
    }

    /// The work begins now, unless it has.
    ///
    /// # Errors
    /// When the hub has stopped.
    pub fn start(&self) -> Result<(), Stopped> {
        self.ask(Command::Start { at_ms: unix_ms() })
    }

    /// The work ends now, unless it has. The last word on its progress follows, and ends that topic.
    ///
    /// # Errors
    /// When the hub has stopped.
    pub fn end(&self, reason: EndReason) -> Result<(), Stopped> {
        let at_ms = unix_ms();
        self.ask(Command::End { at_ms, reason })
    }

    /// How far the work has come, as far as this server knows.
    ///
    /// # Errors
    /// When the hub has stopped.
    pub async fn snapshot(&self) -> Result<Snapshot, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Snapshot(reply))?;
        answer.await.map_err(|_| Stopped)
    }

    /// By which name this hub counts the work: another one each time that it begins to. An application that stores what
    /// is done may store it with that, for [`Progress::read_back`].
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Takes over what the application's store tells, at any time: [`Tally::from_counts`] of the hubs that have counted this
    /// work, say. What is known already is not counted twice, and what this hub itself counts is left alone.
    ///
    /// # Errors
    /// When the hub has stopped.
    pub fn read_back(&self, stored: Tally) -> Result<(), Stopped> {
        self.ask(Command::Stored(Box::new(stored)))
    }

    /// What was counted, to be stored: [`ProgressOptions::stored`] reads it back. Counting it twice is not possible.
    ///
    /// # Errors
    /// When the hub has stopped.
    pub async fn tally(&self) -> Result<Tally, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Tally(reply))?;
        answer.await.map_err(|_| Stopped)
    }

    fn ask(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).map_err(|_| Stopped)
    }
}

/// The time by the system's clock, for people.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
