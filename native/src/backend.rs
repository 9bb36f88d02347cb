//! Backends: where topics live when several processes share them.
//!
//! A [`Backend`] stores publications and announces them. It decides nothing: retries, waiting, resuming and gaps are
//! handled by the core, which drives every backend in the same way. The crate has four; a type that implements
//! [`Backend`] is a fifth.
//!
//! [`Memory`] is the shortest, and shows what a backend has to do. A backend may also wrap another one, as this one
//! does, which counts what is published:
//!
//! ```
//! use std::sync::atomic::{AtomicUsize, Ordering};
//!
//! use tidegate::Json;
//! use tidegate::backend::{Answer, Backend, Feed, Keep, Memory};
//! use tidegate::core::durable::{CursorAnswer, CursorCall};
//! use tidegate::core::history::Excerpt;
//! use tidegate::core::hub::PublishError;
//! use tidegate::core::protocol::PublishRequest;
//! use tidegate::core::publication::Position;
//! use tidegate::core::topic::{Pattern, Topic};
//! use tidegate::core::uplink::Page;
//!
//! struct Counted<B> {
//!     inner: B,
//!     stored: AtomicUsize,
//! }
//!
//! impl<B: Backend> Backend for Counted<B> {
//!     fn publish<'a>(
//!         &'a self,
//!         batch: &'a [PublishRequest<Json>],
//!     ) -> Answer<'a, Vec<Result<Position, PublishError>>> {
//!         Box::pin(async move {
//!             let results = self.inner.publish(batch).await?;
//!             let stored = results.iter().filter(|result| result.is_ok()).count();
//!             self.stored.fetch_add(stored, Ordering::Relaxed);
//!             Ok(results)
//!         })
//!     }
//!
//!     // All else is done by the other one.
//!     fn describe(&self) -> String {
//!         format!("{}, counted", self.inner.describe())
//!     }
//!     fn open(&self, feed: Feed) -> Answer<'_, ()> {
//!         self.inner.open(feed)
//!     }
//!     fn follow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
//!         self.inner.follow(patterns)
//!     }
//!     fn unfollow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
//!         self.inner.unfollow(patterns)
//!     }
//!     fn read<'a>(&'a self, topic: &'a Topic, since: Option<Position>) -> Answer<'a, Excerpt<Json>> {
//!         self.inner.read(topic, since)
//!     }
//!     fn list<'a>(&'a self, pattern: &'a Pattern) -> Answer<'a, Vec<Excerpt<Json>>> {
//!         self.inner.list(pattern)
//!     }
//!     fn list_page<'a>(&'a self, page: &'a Page) -> Answer<'a, Vec<Excerpt<Json>>> {
//!         self.inner.list_page(page)
//!     }
//!     fn renew<'a>(&'a self, topic: &'a Topic, epoch: u64) -> Answer<'a, ()> {
//!         self.inner.renew(topic, epoch)
//!     }
//!     fn cursors<'a>(&'a self, calls: &'a [CursorCall]) -> Answer<'a, Vec<CursorAnswer>> {
//!         self.inner.cursors(calls)
//!     }
//!     fn broadcast<'a>(&'a self, message: &'a str) -> Answer<'a, ()> {
//!         self.inner.broadcast(message)
//!     }
//!     fn broadcast_bytes_max(&self) -> Option<usize> {
//!         self.inner.broadcast_bytes_max()
//!     }
//!     fn probe(&self) -> Answer<'_, ()> {
//!         self.inner.probe()
//!     }
//!     fn close(&self) -> Answer<'_, ()> {
//!         self.inner.close()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let backend = Counted { inner: Memory::new(Keep::default()), stored: AtomicUsize::new(0) };
//! backend.open(Feed::new(|_| ())).await?;
//! let request = PublishRequest::new(Topic::new("job:42")?, Json::from_text("0.5")?);
//! backend.publish(&[request]).await?;
//! assert_eq!(backend.stored.load(Ordering::Relaxed), 1);
//! # Ok(()) }
//! ```

mod choice;
mod dealt;
mod error;
mod feed;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod kept;
mod memory;
#[cfg(any(feature = "redis", feature = "sqlite"))]
mod openings;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod refused;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod remembered;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::future::Future;
use std::pin::Pin;

use tidegate_core::durable::{CursorAnswer, CursorCall, CursorLimits};
use tidegate_core::history::{Excerpt, HistoryLimits, HistoryRules};
use tidegate_core::hub::{HubConfig, PublishError};
use tidegate_core::lifecycle::TerminalRule;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::Page;

use crate::json::Json;

pub(crate) use choice::percent_encoded;
pub use choice::{Address, Choice, ServerUrl, choose, survey};
pub(crate) use dealt::deal;
pub use error::BackendError;
pub use feed::{Feed, FeedEvent};
pub use memory::Memory;
#[cfg(feature = "postgres")]
pub use postgres::Postgres;
#[cfg(feature = "redis")]
pub use redis::Redis;
#[cfg(all(feature = "fuzzing", feature = "redis"))]
pub(crate) use redis::fuzz::stream_entries as fuzz_stream_entries;
pub(crate) use refused::RefusedLog;
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;

/// The largest broadcast of a backend that has no smaller limit.
const BROADCAST_BYTES_MAX: usize = 1024 * 1024;

/// A future of a backend's answer.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BackendError>> + Send + 'a>>;

/// A store of topics that several processes share.
///
/// Calls are made within a tokio runtime: one after the other where they depend on each other, and concurrently where
/// they don't (a read while a batch is being published). A call may be dropped before it is answered: then it took
/// effect or didn't, but nothing is left half-done.
pub trait Backend: Send + Sync + 'static {
    /// The name and place of this backend, for people: `redis at cache:6379/0`. It must not contain a password.
    fn describe(&self) -> String;

    /// Opens the link, or reopens it after it was lost. Nothing is followed then. What the backend receives goes to
    /// `feed`, and nothing goes to the feed of an earlier call any more, even if that call is answered later. (A hub
    /// never has two calls in progress: it drops one that takes too long before it makes the next.)
    ///
    /// # Errors
    /// If the backend can't be reached, or refuses.
    fn open(&self, feed: Feed) -> Answer<'_, ()>;

    /// Stores publications in this order, announces them to all who follow, and returns one answer for each in the same
    /// order.
    ///
    /// Within an epoch, a topic's offsets rise by one from 1, and become visible in that order. The first publication
    /// of a topic that is not remembered begins an epoch by [`first_epoch`]; `restart` of an ended topic begins the
    /// epoch after ([`epoch_after`]). A request whose `id` the topic remembers stores nothing, and is answered with the
    /// position of the first one. `end` is set if the publication is terminal: the terminal rule has already been
    /// applied.
    ///
    /// [`first_epoch`]: tidegate_core::publication::first_epoch
    /// [`epoch_after`]: tidegate_core::publication::epoch_after
    ///
    /// # Errors
    /// For a request, why it was refused. For the call, that the outcome of the whole batch is unknown; it may be
    /// repeated, which the ids make safe.
    ///
    /// [`BackendError::Content`] says that something in the batch is unacceptable as such, and that nothing of it was
    /// stored: the batch is then repeated in smaller parts, and what is not accepted on its own is refused. A backend
    /// that knows which publication it was answers [`PublishError::Refused`] for that one.
    fn publish<'a>(
        &'a self,
        batch: &'a [PublishRequest<Json>],
    ) -> Answer<'a, Vec<Result<Position, PublishError>>>;

    /// Follows topics: once this is answered, every later publication that matches a pattern goes to the feed, in the
    /// order of each topic's offsets. Duplicates do no harm, and neither does anything that was not requested.
    ///
    /// # Errors
    /// If the link is lost.
    fn follow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()>;

    /// Stops following.
    ///
    /// # Errors
    /// If the link is lost.
    fn unfollow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()>;

    /// What a topic keeps: everything after `since` if that is still known, and otherwise, or without `since`, only its
    /// latest publication. Offset 0 of epoch 0 is the time before the topic began: everything that is kept.
    ///
    /// # Errors
    /// If the link is lost.
    fn read<'a>(&'a self, topic: &'a Topic, since: Option<Position>) -> Answer<'a, Excerpt<Json>>;

    /// The latest publication of every topic that matches `pattern`.
    ///
    /// # Errors
    /// If the link is lost.
    fn list<'a>(&'a self, pattern: &'a Pattern) -> Answer<'a, Vec<Excerpt<Json>>>;

    /// The first topics of [`Backend::list`] by name, from one on, as [`Page`] says, with the latest publication of each: in the order of
    /// their names, and only topics that something is known of. This is what reading over HTTP asks for, so it should cost as much as it
    /// finds. A backend that leaves it as it is lists all of them for each page.
    ///
    /// # Errors
    /// If the link is lost. [`BackendError::Refused`], [`BackendError::Unexpected`] and [`BackendError::Full`] say that this can't be
    /// answered: whoever asked is told, and the link stands. For [`Backend::read`] and [`Backend::list`] likewise, if nobody
    /// follows what they are about.
    fn list_page<'a>(&'a self, page: &'a Page) -> Answer<'a, Vec<Excerpt<Json>>> {
        Box::pin(async move { Ok(page.of(self.list(&page.pattern).await?)) })
    }

    /// Begins a new epoch of `topic`, if it is still in `epoch`. A part of that history that was seen has been lost
    /// (after a failover, or from a restored backup), and its offsets are being used again. The latest publication is
    /// kept as the first of the new epoch, and is announced.
    ///
    /// # Errors
    /// If the link is lost.
    fn renew<'a>(&'a self, topic: &'a Topic, epoch: u64) -> Answer<'a, ()>;

    /// Sends a message to all others that have this backend open, as [`FeedEvent::Broadcast`]; whether the sender
    /// receives it, too, doesn't matter. This is best effort: a message may be lost, repeated or reordered, and is not
    /// stored.
    ///
    /// Servers use this to tell each other who is [present](tidegate_core::presence). A backend that can't broadcast
    /// leaves this and [`Backend::broadcast_bytes_max`] as they are; each server then knows only its own presences.
    ///
    /// # Errors
    /// If the message was not sent, as far as the backend knows. It is not sent again.
    fn broadcast<'a>(&'a self, message: &'a str) -> Answer<'a, ()> {
        let _ = message;
        Box::pin(async { Ok(()) })
    }

    /// The largest message of [`Backend::broadcast`], in bytes: at least 7,900. `None` if it can't broadcast.
    fn broadcast_bytes_max(&self) -> Option<usize> {
        None
    }

    /// Reads and changes cursors of durable subscriptions, in this order, and returns one answer for each call. Once
    /// this is answered, the result is visible to all processes, and outlives them.
    ///
    /// A claim and a store of the same cursor never overlap: whoever claims it gets what was stored before, and a later
    /// store under an earlier term changes nothing. A backend that keeps no cursors leaves this as it is; durable
    /// subscriptions are then refused.
    ///
    /// # Errors
    /// If the link is lost. Some of the calls may have taken effect; they may be repeated.
    fn cursors<'a>(&'a self, calls: &'a [CursorCall]) -> Answer<'a, Vec<CursorAnswer>> {
        let answers = calls.iter().map(|_| CursorAnswer::Unsupported).collect();
        Box::pin(async { Ok(answers) })
    }

    /// Checks that the backend answers now.
    ///
    /// # Errors
    /// If it doesn't.
    fn probe(&self) -> Answer<'_, ()>;

    /// The SQL that opening would run first, to add what is missing; `None` if nothing is, or if there are no tables.
    /// This changes nothing.
    ///
    /// # Errors
    /// If the backend can't be reached, or contains something that can't be migrated.
    fn migration(&self) -> Answer<'_, Option<String>> {
        Box::pin(async { Ok(None) })
    }

    /// Closes the link, and leaves no task and no connection behind.
    ///
    /// # Errors
    /// If the link was already lost; it is closed nevertheless.
    fn close(&self) -> Answer<'_, ()>;
}

/// What a backend keeps and what it refuses. It is the same for all servers that share the backend; they write it there
/// when they open it.
#[derive(Clone, Debug, PartialEq)]
pub struct Keep {
    /// What it keeps of each topic.
    pub history: HistoryLimits,
    /// What it keeps of some topics instead. These are remembered as long as they keep anything.
    pub histories: HistoryRules,
    /// How long a topic is remembered after its last publication.
    pub retention: std::time::Duration,
    /// The largest payload, in bytes. The hub checks its own; this is for publications from elsewhere.
    pub payload_bytes_max: usize,
    /// What makes a publication from elsewhere terminal.
    pub terminal_rule: Option<TerminalRule>,
    /// The limits on durable subscriptions.
    pub cursors: CursorLimits,
    /// Whether to use what servers have written to the backend, and the values here only until one has. With this,
    /// programs that use a backend without being a server don't delete anything that servers keep.
    pub is_as_servers_say: bool,
}

impl Default for Keep {
    /// 256 publications, 1 MiB and 10 minutes of each topic; topics for a day; payloads of up to 1 MiB.
    fn default() -> Self {
        Self {
            history: HistoryLimits::default(),
            histories: HistoryRules::none(),
            retention: std::time::Duration::from_secs(24 * 3600),
            payload_bytes_max: 1024 * 1024,
            terminal_rule: Some(TerminalRule::default()),
            cursors: CursorLimits::default(),
            is_as_servers_say: false,
        }
    }
}

impl Keep {
    /// What a hub's backend has to keep so that the hub can do what it promises: the hub's own limits. Topics are
    /// remembered for a day, or longer if the hub remembers them longer.
    pub fn of(hub: &HubConfig, cursors: CursorLimits) -> Self {
        let default = Self::default();
        Self {
            history: hub.history,
            histories: hub.histories.clone(),
            retention: hub.retention.max(default.retention),
            payload_bytes_max: hub.payload_bytes_max,
            terminal_rule: hub.terminal_rule.clone(),
            cursors,
            is_as_servers_say: false,
        }
    }

    /// What servers have written to the backend, and the default until one has.
    pub fn as_servers_say() -> Self {
        Self {
            is_as_servers_say: true,
            ..Self::default()
        }
    }

    /// What is kept of a topic.
    pub fn history_of(&self, topic: &Topic) -> HistoryLimits {
        self.histories.limits_of(topic, &self.history)
    }

    /// How long a topic is remembered after its last publication.
    pub fn retention_of(&self, topic: &Topic) -> std::time::Duration {
        self.histories.retention_of(topic, self.retention)
    }

    /// The most that is kept of any topic.
    pub fn widest_history(&self) -> HistoryLimits {
        self.histories.widest(&self.history)
    }

    /// The shortest time for which any topic keeps publications, as far as it has room for them.
    pub fn shortest_age(&self) -> std::time::Duration {
        self.histories.shortest_age(self.history.age_max)
    }

    /// The longest time for which any topic is remembered.
    pub fn longest_retention(&self) -> std::time::Duration {
        self.histories.longest_retention(self.retention)
    }
}
