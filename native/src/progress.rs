//! The progress of work that several servers do together, published to topics.
//!
//! The core has the rules: what is counted where, which server publishes, and how often ([`tidegate_core::progress`]).
//! Here they get a clock, a connection to the other servers, and topics.

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
use crate::shard::{PeerEvent, ProgressCommand};
use driver::{Command, Driver};
pub use options::{ProgressOptions, ProgressTopics};

/// The most messages from other servers that wait for a tracker. Further ones are lost, and requested again.
const PEER_EVENTS_MAX: usize = 1_024;

/// Why progress can't be counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgressError {
    /// The name of the work, or of one of its topics, has invalid syntax.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The name of a session is not a valid key.
    #[error(transparent)]
    Session(#[from] KeyError),
    /// The hub has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// The progress of a piece of work, counted by this server and all others at the same backend.
///
/// Clones are handles to the same count. When the last one is dropped, this server stops counting; the others continue.
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
    /// Counts the progress of `work`, a topic, together with all hubs at the same backend that do the same. Progress is
    /// published to the topics that the options name; they are related to `work` only by their names. Everyone who is
    /// present in the topic `work` counts as working.
    ///
    /// A hub that shares no presences ([`Config::shares_presence`](crate::Config::shares_presence)) counts alone. Call
    /// this within a tokio runtime.
    ///
    /// # Errors
    /// If a name has invalid syntax, or the hub has stopped.
    pub async fn progress(
        &self,
        work: &str,
        options: ProgressOptions,
    ) -> Result<Progress, ProgressError> {
        let work = Topic::new(work)?;
        let topics = options.topics.of(&work)?;
        let present = self.presence(work.as_str()).map_err(|_| Stopped)?;
        let (listener, events) = mpsc::channel::<PeerEvent>(PEER_EVENTS_MAX);
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
            events,
            asked,
            has_others: self.has_others(),
        };
        tokio::spawn(driver.run());
        Ok(Progress { node, commands })
    }
}

impl Progress {
    /// Counts that `session` has done `count` more. This returns when the other servers have been told, if there are
    /// any: from then on it is counted, whatever happens to this server.
    ///
    /// # Errors
    /// If the name is not a valid key, or the hub has stopped; in the latter case, it may have been counted
    /// nevertheless.
    pub async fn done(&self, session: &str, count: u64) -> Result<(), ProgressError> {
        let session = Key::new(session)?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::Done {
            session,
            count,
            reply,
        })?;
        Ok(answer.await.map_err(|_| Stopped)?)
    }

    /// Adds to the amount of work that is waiting.
    ///
    /// # Errors
    /// If the hub has stopped.
    pub fn queued(&self, count: u64) -> Result<(), Stopped> {
        self.send(Command::Queued(count))
    }

    /// Sets how much there is to do in total; `None` if unknown.
    ///
    /// # Errors
    /// If the hub has stopped.
    pub fn target(&self, target: Option<u64>) -> Result<(), Stopped> {
        self.send(Command::Target(target))
    }

    /// Starts the work now, unless it has already started.
    ///
    /// # Errors
    /// If the hub has stopped.
    pub fn start(&self) -> Result<(), Stopped> {
        self.send(Command::Start { at_ms: unix_ms() })
    }

    /// Ends the work now, unless it has already ended. A last publication of its progress follows, and ends that topic.
    ///
    /// # Errors
    /// If the hub has stopped.
    pub fn end(&self, reason: EndReason) -> Result<(), Stopped> {
        let at_ms = unix_ms();
        self.send(Command::End { at_ms, reason })
    }

    /// How far the work is, as far as this server knows.
    ///
    /// # Errors
    /// If the hub has stopped.
    pub async fn snapshot(&self) -> Result<Snapshot, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Snapshot(reply))?;
        answer.await.map_err(|_| Stopped)
    }

    /// The name under which this hub counts the work: a new one each time it starts to. An application that stores what
    /// is done can store this with it, for [`Progress::read_back`].
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Takes over counts from the application's store, at any time: for example [`Tally::from_counts`] of the hubs that
    /// have counted this work. What is already known is not counted twice, and what this hub itself counts is left
    /// alone.
    ///
    /// # Errors
    /// If the hub has stopped.
    pub fn read_back(&self, stored: Tally) -> Result<(), Stopped> {
        self.send(Command::Stored(Box::new(stored)))
    }

    /// Everything counted so far, for the application to store. [`ProgressOptions::stored`] reads it back; nothing can
    /// be counted twice by this.
    ///
    /// # Errors
    /// If the hub has stopped.
    pub async fn tally(&self) -> Result<Tally, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Tally(reply))?;
        answer.await.map_err(|_| Stopped)
    }

    fn send(&self, command: Command) -> Result<(), Stopped> {
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
