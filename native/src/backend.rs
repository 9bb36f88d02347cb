//! Where topics live when several processes share them: what a hub needs of its uplink.
//!
//! A [`Backend`] stores publications and announces them. It decides nothing: retries, waiting, resuming and gaps are
//! the core's, which drives every backend alike. Four come with the crate; a fifth is a type that implements
//! [`Backend`].
//!
//! [`Memory`] is the shortest, and shows what is asked of one. A backend may also stand before another, as this one
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

use crate::json::Json;

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

/// The largest broadcast of a backend that sets no narrower limit.
const BROADCAST_BYTES_MAX: usize = 1024 * 1024;

/// What a backend answers, in its own time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BackendError>> + Send + 'a>>;

/// A store of topics that several processes share.
///
/// Calls are made from within a tokio runtime, one after the other where they depend on each other and at the same
/// time where they don't (a read while a batch is being published). A call may be dropped before its answer came:
/// what it did then stands or doesn't, but nothing is left half-done.
pub trait Backend: Send + Sync + 'static {
    /// Which backend this is, and where, for people: `redis at cache:6379/0`. Never a password.
    fn describe(&self) -> String;

    /// Opens the link, or opens it anew after it was lost. Nothing is followed then. What is heard goes to `feed`, and
    /// nothing more to the feed of an earlier call, even where that one is answered later. Within a hub none is: a call
    /// that takes too long is dropped before the next is made.
    ///
    /// # Errors
    /// When the backend can't be reached or refuses.
    fn open(&self, feed: Feed) -> Answer<'_, ()>;

    /// Stores publications, in this order, and announces them to all who follow; one answer for each, in the same order.
    ///
    /// A topic's offsets rise by one from 1 within an epoch, and become visible in that order. The first publication of
    /// a topic that is not remembered begins an epoch by [`first_epoch`]; `restart` where the topic has ended
    /// begins the one after ([`epoch_after`]). A request whose `id` is remembered for its topic answers the first one's position and stores
    /// nothing. `end` is set where the publication is terminal: the terminal rule has been asked before.
    ///
    /// [`first_epoch`]: tidegate_core::publication::first_epoch
    /// [`epoch_after`]: tidegate_core::publication::epoch_after
    ///
    /// # Errors
    /// For a request, why it was refused. For the call, that the outcome of the whole batch is unknown; it may be
    /// repeated, which the ids make safe. [`BackendError::Content`] says that something of the batch is not taken for what it is, and that
    /// nothing of it is stored: it is repeated in smaller batches, and what is not taken by itself is refused. A backend that knows which it was
    /// answers [`PublishError::Refused`] for that one.
    fn publish<'a>(
        &'a self,
        batch: &'a [PublishRequest<Json>],
    ) -> Answer<'a, Vec<Result<Position, PublishError>>>;

    /// Follows topics: once this has answered, every publication from then on that a pattern matches reaches the feed,
    /// in the order of each topic's offsets. What comes twice does no harm, nor does what nobody asked for.
    ///
    /// # Errors
    /// When the link is lost.
    fn follow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()>;

    /// Follows no more.
    ///
    /// # Errors
    /// When the link is lost.
    fn unfollow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()>;

    /// What a topic keeps: everything after `since` where that is still known, else (and without `since`) its latest
    /// publication alone. Offset 0 of epoch 0 stands for the time before the topic began: everything that is kept.
    ///
    /// # Errors
    /// When the link is lost.
    fn read<'a>(&'a self, topic: &'a Topic, since: Option<Position>) -> Answer<'a, Excerpt<Json>>;

    /// The latest publication of every topic that `pattern` matches.
    ///
    /// # Errors
    /// When the link is lost.
    fn list<'a>(&'a self, pattern: &'a Pattern) -> Answer<'a, Vec<Excerpt<Json>>>;

    /// Begins a new epoch of `topic`, if it is still in `epoch`: a part of that history that was seen has been lost (a
    /// failover, a restored backup), and its offsets are being used again. The latest publication is kept, as the
    /// new epoch's first, and is announced.
    ///
    /// # Errors
    /// When the link is lost.
    fn renew<'a>(&'a self, topic: &'a Topic, epoch: u64) -> Answer<'a, ()>;

    /// Says something to all others that have this backend open, by [`FeedEvent::Broadcast`]; whether it comes back to the one
    /// who said it does not matter. Best effort: it may be lost, come twice, or come in another order, and it is kept for nobody.
    ///
    /// This is how servers tell each other who is [present](tidegate_core::presence). A backend that can't do it leaves this
    /// and [`Backend::broadcast_bytes_max`] as they are; each server then knows of its own presences only.
    ///
    /// # Errors
    /// When it was not said, as far as the backend knows. Nobody says it again.
    fn broadcast<'a>(&'a self, message: &'a str) -> Answer<'a, ()> {
        let _ = message;
        Box::pin(async { Ok(()) })
    }

    /// The largest message of [`Backend::broadcast`], in bytes: at least 7,900. `None` where it can't broadcast.
    fn broadcast_bytes_max(&self) -> Option<usize> {
        None
    }

    /// Does this with the cursors of durable subscriptions, in this order; one answer for each. What it does is there for all
    /// processes once it has answered, and outlives them.
    ///
    /// A claim and a store of one cursor never happen at the same time: whoever claims it has what was stored before, and what
    /// is stored under an earlier term afterwards changes nothing. A backend that keeps none leaves this as it is; durable
    /// subscriptions are refused then.
    ///
    /// # Errors
    /// When the link is lost. Some of it may have been done; it may be repeated.
    fn cursors<'a>(&'a self, calls: &'a [CursorCall]) -> Answer<'a, Vec<CursorAnswer>> {
        let answers = calls.iter().map(|_| CursorAnswer::Unsupported).collect();
        Box::pin(async { Ok(answers) })
    }

    /// Whether the backend answers now.
    ///
    /// # Errors
    /// When it doesn't.
    fn probe(&self) -> Answer<'_, ()>;

    /// The SQL that opening would run first, to add what is missing; `None` where nothing is, or where there are no
    /// tables. Changes nothing.
    ///
    /// # Errors
    /// When the backend can't be reached, or holds what can't be made to fit.
    fn migration(&self) -> Answer<'_, Option<String>> {
        Box::pin(async { Ok(None) })
    }

    /// Ends the link and leaves nothing behind: no task, no connection.
    ///
    /// # Errors
    /// When the link was lost before; it is closed all the same.
    fn close(&self) -> Answer<'_, ()>;
}

/// What a backend keeps, and what it refuses. The same for all servers that share it, which write it there when they open it.
#[derive(Clone, Debug, PartialEq)]
pub struct Keep {
    /// What it keeps of each topic.
    pub history: HistoryLimits,
    /// What it keeps of some topics instead; they are remembered as long as they keep anything.
    pub histories: HistoryRules,
    /// How long a topic is remembered after its last publication.
    pub retention: std::time::Duration,
    /// The largest payload, in bytes. The hub has checked its own; this is for publications from elsewhere.
    pub payload_bytes_max: usize,
    /// What makes a publication from elsewhere terminal.
    pub terminal_rule: Option<TerminalRule>,
    /// How many durable subscriptions it remembers.
    pub cursors: CursorLimits,
    /// Whether all of it is as servers have written to the backend, and as it stands here only until one has. So programs
    /// that use a backend without being a server delete nothing that servers keep.
    pub is_as_servers_say: bool,
}

impl Default for Keep {
    /// 256 publications, 1 MiB and 10 minutes of each topic, topics for a day, payloads up to 1 MiB.
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
    /// What a hub's backend has to keep so that it has what the hub promises: the hub's own limits. Topics are remembered for a day, or longer where the hub
    /// remembers them longer.
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

    /// What servers have written to the backend; until one has, the default.
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

    /// The shortest time for which any topic keeps publications that it has room for.
    pub fn shortest_age(&self) -> std::time::Duration {
        self.histories.shortest_age(self.history.age_max)
    }

    /// The longest that any topic is remembered.
    pub fn longest_retention(&self) -> std::time::Duration {
        self.histories.longest_retention(self.retention)
    }
}
