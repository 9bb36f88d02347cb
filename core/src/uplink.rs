//! The link of a hub to its backend: calls and their answers, losing and reopening it, and publications that wait for
//! it.
//!
//! A hub whose topics live elsewhere (in a database, in Redis) gives its host [`UplinkCall`]s, one after the other or
//! several at a time, and is told the result of each by its number. The link is lost when a call fails, when one is not
//! answered in time, or when the host says so. It is reopened after a wait with full jitter.

mod link;
mod publishes;

use core::time::Duration;

use alloc::vec::Vec;

use crate::durable::{CursorAnswer, CursorCall};
use crate::history::Excerpt;
use crate::hub::PublishError;
use crate::protocol::PublishRequest;
use crate::publication::Position;
use crate::topic::{Pattern, Topic};

pub(crate) use link::{Asked, Link};
pub(crate) use publishes::Publishes;

/// How a hub deals with its uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UplinkConfig {
    /// Seeds jitter and idempotency keys. Give each hub another one.
    pub seed: u64,
    /// The first wait before the link is opened again lies between 0 and this; each further one may be twice as long.
    pub backoff_base: Duration,
    /// The longest wait before the link is opened again.
    pub backoff_max: Duration,
    /// How long a call may take before the link counts as lost.
    pub call_timeout: Duration,
    /// After how long the link is asked whether it lives.
    pub probe_every: Duration,
    /// How long a publication may wait to be stored, the time that the link is away included.
    pub publish_patience: Duration,
    /// Whether publications without an idempotency key are given one, so that they can be repeated when a call was lost.
    /// Where no call can be lost, they need none.
    pub gives_keys: bool,
    /// The most publications that wait to be stored.
    pub publishes_max: usize,
    /// The most payload bytes that wait to be stored.
    pub publish_bytes_max: usize,
    /// The most publications in one call.
    pub batch_max: usize,
    /// The most payload bytes in one call; a single publication may have more.
    pub batch_bytes_max: usize,
    /// The most reads at a time.
    pub reads_max: usize,
    /// The most publications of one topic that wait while a part of its history is being read.
    pub held_max: usize,
}

impl UplinkConfig {
    /// Waits of up to 100 ms, doubling up to 3 s; 10 s for a call, a probe every 5 s; 10 s, 10,000 publications and
    /// 64 MiB for publishing, in batches of 512 and 4 MiB; 64 reads; 1,024 publications held.
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
            held_max: 1024,
        }
    }
}

/// Names a call. Never used twice.
pub type CallId = u64;

/// What a hub asks of its uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UplinkCall<P> {
    /// Open the link; nothing is followed then. Calls from before are void.
    Open,
    /// Hear every publication that these select, from the answer on.
    Follow(Vec<Pattern>),
    /// Hear them no more.
    Unfollow(Vec<Pattern>),
    /// Read what a topic keeps after a position, or its latest publication alone.
    Read {
        /// The topic.
        topic: Topic,
        /// The position of the last publication known.
        since: Option<Position>,
    },
    /// Read the latest publication of every topic that a pattern selects.
    List(Pattern),
    /// Store publications, in this order.
    Publish(Vec<PublishRequest<P>>),
    /// Begin a new epoch of a topic, if it is still in this one: a part of it is lost.
    Renew {
        /// The topic.
        topic: Topic,
        /// The epoch that is over.
        epoch: u64,
    },
    /// Do this with cursors of durable subscriptions, in this order.
    Cursors(Vec<CursorCall>),
    /// Show that the link lives.
    Probe,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UplinkAnswer<P> {
    /// It is done: [`UplinkCall::Open`], `Follow`, `Unfollow`, `Renew`, `Probe`.
    Done,
    /// Of [`UplinkCall::Read`].
    Excerpt(Excerpt<P>),
    /// Of [`UplinkCall::List`].
    Excerpts(Vec<Excerpt<P>>),
    /// Of [`UplinkCall::Publish`]: one result for each request, in its order.
    Published(Vec<Result<Position, PublishError>>),
    /// Of [`UplinkCall::Cursors`]: one answer for each call, in its order.
    Cursors(Vec<CursorAnswer>),
    /// It failed.
    Failed(UplinkFailure),
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UplinkFailure {
    /// The link is lost, or as good as lost.
    Lost,
    /// There is no room for more publications; the link stands.
    Full,
    /// Something that was to be stored is not taken for what it is, and would not be another time; the link stands. Nothing of the
    /// call is done.
    Refused,
}
