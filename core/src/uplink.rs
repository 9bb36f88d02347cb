//! A hub's link to its backend: calls and their answers, losing and reopening it, and the publications that wait for
//! it.
//!
//! A hub whose topics live elsewhere (in a database, in Redis) gives its host [`UplinkCall`]s, one after the other or
//! several at a time, and is told the result of each by its number. The link is lost when a call fails, when one is not
//! answered in time, or when the host says so. It is reopened after a wait with full jitter.

mod link;
mod lookups;
mod page;
mod publishes;

use core::time::Duration;

use alloc::vec::Vec;

use crate::durable::{CursorAnswer, CursorCall};
use crate::history::Excerpt;
use crate::hub::PublishError;
use crate::protocol::PublishRequest;
use crate::publication::Position;
use crate::topic::{Pattern, Topic};

pub(crate) use link::{Link, PendingCall};
pub use lookups::Found;
pub(crate) use lookups::Lookups;
pub use page::Page;
pub(crate) use publishes::Publishes;

/// How a hub treats its backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UplinkConfig {
    /// Seeds jitter and idempotency keys. Use a different one for each hub.
    pub seed: u64,
    /// The first wait before the link is reopened is between 0 and this. The upper end doubles with each further
    /// attempt.
    pub backoff_base: Duration,
    /// The longest wait before the link is reopened.
    pub backoff_max: Duration,
    /// How long a call may take before the link is considered lost. [`UplinkCall::List`] may take six times as long. The calls
    /// for a [`Lookup`] have the same limits, but are only given up when they reach them: probes check the link meanwhile.
    pub call_timeout: Duration,
    /// How often the link is checked.
    pub probe_every: Duration,
    /// How long a publication may wait to be stored, including the time that the link is lost.
    pub publish_patience: Duration,
    /// Whether publications without an idempotency key get one, so that they can be repeated if a call is lost. If no
    /// call can be lost, they need none.
    pub gives_keys: bool,
    /// The most publications that wait to be stored.
    pub publishes_max: usize,
    /// The most payload bytes that wait to be stored.
    pub publish_bytes_max: usize,
    /// The most publications in one call.
    pub batch_max: usize,
    /// The most payload bytes in one call; a single publication may have more.
    pub batch_bytes_max: usize,
    /// The most simultaneous reads.
    pub reads_max: usize,
    /// How long a [`Lookup`] may wait for its answer, including the time that the link is lost.
    pub lookup_patience: Duration,
    /// The most lookups that wait for an answer.
    pub lookups_max: usize,
    /// The most lookups of single topics in flight.
    pub lookups_at_once: usize,
    /// The most lookups of many topics in flight, in addition to those of single topics. Each holds everything that it
    /// finds.
    pub listings_at_once: usize,
    /// The most publications of one topic that wait while a part of its history is being read.
    pub held_max: usize,
}

impl UplinkConfig {
    /// Waits of up to 100 ms, doubling up to 3 s; 10 s for a call, a probe every 5 s; 10 s, 10,000 publications and 64
    /// MiB for publishing, in batches of 512 and 4 MiB; 64 reads; 10 s, 10,000 in total and 16 at a time for lookups,
    /// plus 2 of many topics; 1,024 held publications.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            backoff_base: Duration::from_millis(100),
            backoff_max: Duration::from_secs(3),
            call_timeout: Duration::from_secs(10),
            probe_every: Duration::from_secs(5),
            publish_patience: Duration::from_secs(10),
            gives_keys: true,
            publishes_max: 10_000,
            publish_bytes_max: 64 * 1024 * 1024,
            batch_max: 512,
            batch_bytes_max: 4 * 1024 * 1024,
            reads_max: 64,
            lookup_patience: Duration::from_secs(10),
            lookups_max: 10_000,
            lookups_at_once: 16,
            listings_at_once: 2,
            held_max: 1024,
        }
    }
}

/// How many times as long as other calls a listing may take. It takes longer the more topics there are; meanwhile, probes
/// check the link.
const LISTING_FACTOR: u32 = 6;

impl UplinkConfig {
    /// The limit for a listing.
    fn listing_timeout(&self) -> Duration {
        self.call_timeout * LISTING_FACTOR
    }
}

/// The number of a call. It is never reused.
pub type CallId = u64;

/// What a hub requests from its backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UplinkCall<P> {
    /// Open the link; nothing is followed then. Calls from before are void.
    Open,
    /// Follow these patterns: from the answer on, report every publication that matches.
    Follow(Vec<Pattern>),
    /// Stop following these patterns.
    Unfollow(Vec<Pattern>),
    /// Read what a topic keeps after a position, or only its latest publication.
    Read {
        /// The topic.
        topic: Topic,
        /// The position of the last publication known.
        since: Option<Position>,
    },
    /// Read the latest publication of every topic that matches a pattern.
    List(Pattern),
    /// Read the latest publication of one page of the topics that match a pattern, ordered by name.
    ListPage(Page),
    /// Store publications, in this order.
    Publish(Vec<PublishRequest<P>>),
    /// Begin a new epoch of a topic, if it is still in this one, because a part of it is lost.
    Renew {
        /// The topic.
        topic: Topic,
        /// The epoch that is over.
        epoch: u64,
    },
    /// Read and change cursors of durable subscriptions, in this order.
    Cursors(Vec<CursorCall>),
    /// Check the link.
    Probe,
    /// Abort the call with this number: nobody needs its answer any more. This call itself is not answered.
    GiveUp,
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UplinkAnswer<P> {
    /// It is done: [`UplinkCall::Open`], `Follow`, `Unfollow`, `Renew`, `Probe`.
    Done,
    /// The result of [`UplinkCall::Read`].
    Excerpt(Excerpt<P>),
    /// Of [`UplinkCall::List`] and [`UplinkCall::ListPage`].
    Excerpts(Vec<Excerpt<P>>),
    /// The results of [`UplinkCall::Publish`]: one for each request, in order.
    Published(Vec<Result<Position, PublishError>>),
    /// The answers to [`UplinkCall::Cursors`]: one for each call, in order.
    Cursors(Vec<CursorAnswer>),
    /// It failed.
    Failed(UplinkFailure),
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UplinkFailure {
    /// The link is lost, or as good as lost.
    Lost,
    /// There is no room for more publications. The link is still open.
    Full,
    /// The backend won't store this content, now or later, or it does not answer this question. The link is still open, and
    /// nothing of the call was done.
    Refused,
}

/// A question about topics that is asked once, without subscribing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The latest publication of every topic that matches a pattern.
    Latest(Pattern),
    /// The same, for one page of those topics, ordered by name.
    Page(Page),
    /// What a topic keeps.
    History {
        /// The topic.
        topic: Topic,
        /// The position of the last publication known. If what follows it is no longer kept, only the latest
        /// publication is found. Offset 0 of epoch 0 finds everything that is kept.
        since: Position,
    },
}

/// Why a lookup failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The backend could not be reached in time, or too many lookups are waiting.
    #[error("the backend can't be reached; ask again later")]
    Unavailable,
    /// The backend can be reached, but refuses to answer: it may lack rights, or what is stored may be damaged.
    #[error("the backend refuses to answer this; the server's log says why")]
    Refused,
}
