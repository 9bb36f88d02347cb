//! Topics in Redis or Valkey, standalone or Cluster.
//!
//! One script assigns a publication its offset, appends it to its topic's stream and announces it by pub/sub, all or
//! nothing. An announcement contains the whole publication; a server that missed one reads the stream.

mod address;
mod announcement;
mod broadcast;
mod call;
mod cursors;
mod error;
mod eviction;
mod follow;
#[cfg(feature = "fuzzing")]
pub(super) mod fuzz;
mod interest;
mod layout;
mod link;
mod list;
mod node;
mod probe;
mod push;
mod raw;
mod read;
mod store;
mod taking;
mod topology;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use tidegate_core::durable::{CursorAnswer, CursorCall};
use tidegate_core::history::Excerpt;
use tidegate_core::hub::PublishError;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::random::Random;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::Page;

use super::kept::Kept;
use super::openings::Openings;
use super::{Answer, BROADCAST_BYTES_MAX, Backend, BackendError, Feed, Keep};
use crate::json::Json;
use address::Address;
use layout::Layout;
use link::{Link, Shared, lock};

/// A Redis or Valkey server, or a Cluster of them.
///
/// Its address is `redis://user:password@host:port/db`, or `rediss://` for TLS, with these options after a `?`:
///
/// | option | what it is | default |
/// |---|---|---|
/// | `prefix` | the prefix of the channels of raw messages; may be empty | `tidegate:` |
/// | `namespace` | the prefix of Tidegate's own keys and channels | `tidegate` |
/// | `timeout_ms` | how long an answer may take, in milliseconds | 3000 |
/// | `cluster` | `true` if it is a Cluster | `false` |
/// | `node` | a further node of the Cluster, `host:port`; may be repeated | |
pub struct Redis {
    shared: Arc<Shared>,
    takes_in: bool,
    state: Mutex<State>,
    openings: Openings,
}

enum State {
    /// Not opened yet.
    New,
    /// Opened. The link may have been lost since.
    Opened(Arc<Link>),
    Closed,
}

impl Redis {
    /// The Redis at `url`. Nothing is connected before [`Backend::open`].
    ///
    /// # Errors
    /// If the address is invalid.
    pub fn new(url: &str, keep: Keep) -> Result<Self, BackendError> {
        let address = Address::parse(url)?;
        let shared = Shared {
            layout: Layout::new(&address.namespace, address.cluster),
            address,
            keep: Kept::new(keep),
            random: Mutex::new(Random::new(crate::random_seed())),
            known: Mutex::new(Vec::new()),
            has_warned_of_eviction: AtomicBool::new(false),
        };
        Ok(Self {
            shared: Arc::new(shared),
            takes_in: true,
            state: Mutex::new(State::New),
            openings: Openings::default(),
        })
    }

    /// Sets whether this backend takes in raw messages, which programs publish without Tidegate. By default it does; a
    /// short-lived publisher should not.
    #[must_use]
    pub fn takes_in(mut self, takes_in: bool) -> Self {
        self.takes_in = takes_in;
        self
    }

    /// The link, if it was opened. It may be lost.
    fn link(&self) -> Result<Arc<Link>, BackendError> {
        match &*lock(&self.state) {
            State::New => Err(BackendError::Unreachable {
                backend: self.describe(),
                reason: "it has not been opened".to_owned(),
            }),
            State::Opened(link) => Ok(Arc::clone(link)),
            State::Closed => Err(self.closed()),
        }
    }

    fn closed(&self) -> BackendError {
        BackendError::Closed {
            backend: self.describe(),
        }
    }

    /// Replaces the state, and ends the old link without telling its feed.
    fn replace(&self, state: State) {
        let old = std::mem::replace(&mut *lock(&self.state), state);
        if let State::Opened(link) = old {
            link.end(self.closed());
        }
    }

    /// Installs an opened link, unless another opening has begun since.
    fn install(&self, opening: u64, link: &Arc<Link>) -> Result<(), BackendError> {
        let mut state = lock(&self.state);
        if !self.openings.is_last(opening) {
            return Err(BackendError::Unreachable {
                backend: self.describe(),
                reason: "it is being opened anew".to_owned(),
            });
        }
        *state = State::Opened(Arc::clone(link));
        Ok(())
    }

    async fn reopen(&self, feed: Feed) -> Result<(), BackendError> {
        let opening = self.openings.begin();
        self.replace(State::New);
        let link = Link::new(Arc::clone(&self.shared), self.takes_in);
        let unfinished = Unfinished(Some(Arc::clone(&link)));
        let opened = async {
            link.connect().await?;
            link.agree_on_keep().await?;
            link.subscribe_own().await
        };
        opened.await.map_err(error::of_opening)?;
        self.install(opening, &link)?;
        unfinished.finish();
        link.start(feed)?;
        let warned = Arc::downgrade(&link);
        link.spawn(async move {
            if let Some(link) = warned.upgrade() {
                link.warn_of_eviction().await;
            }
        });
        if let Some(taking) = &link.taking {
            link.spawn(taking::keep_taking(
                Arc::downgrade(&link),
                Arc::clone(taking),
            ));
        }
        Ok(())
    }
}

/// A link that is being opened. It ends if that fails or is given up.
struct Unfinished(Option<Arc<Link>>);

impl Unfinished {
    fn finish(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(link) = self.0.take() {
            link.end(BackendError::Closed {
                backend: link.name().to_owned(),
            });
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.replace(State::Closed);
    }
}

impl Backend for Redis {
    fn describe(&self) -> String {
        self.shared.address.name.clone()
    }

    fn open(&self, feed: Feed) -> Answer<'_, ()> {
        Box::pin(self.reopen(feed))
    }

    fn publish<'a>(
        &'a self,
        batch: &'a [PublishRequest<Json>],
    ) -> Answer<'a, Vec<Result<Position, PublishError>>> {
        Box::pin(async move { self.link()?.publish(batch).await })
    }

    fn follow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        Box::pin(async move { self.link()?.follow(patterns).await })
    }

    fn unfollow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        Box::pin(async move { self.link()?.unfollow(patterns).await })
    }

    fn read<'a>(&'a self, topic: &'a Topic, since: Option<Position>) -> Answer<'a, Excerpt<Json>> {
        Box::pin(async move { self.link()?.read(topic, since).await })
    }

    fn list<'a>(&'a self, pattern: &'a Pattern) -> Answer<'a, Vec<Excerpt<Json>>> {
        Box::pin(async move { self.link()?.list(pattern).await })
    }

    fn list_page<'a>(&'a self, page: &'a Page) -> Answer<'a, Vec<Excerpt<Json>>> {
        Box::pin(async move { self.link()?.list_page(page).await })
    }

    fn renew<'a>(&'a self, topic: &'a Topic, epoch: u64) -> Answer<'a, ()> {
        Box::pin(async move { self.link()?.renew(topic, epoch).await })
    }

    fn cursors<'a>(&'a self, calls: &'a [CursorCall]) -> Answer<'a, Vec<CursorAnswer>> {
        Box::pin(async move { self.link()?.cursors(calls).await })
    }

    fn broadcast<'a>(&'a self, message: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.link()?.broadcast(message).await })
    }

    fn broadcast_bytes_max(&self) -> Option<usize> {
        Some(BROADCAST_BYTES_MAX)
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let link = self.link()?;
            link.probe().await?;
            link.agree_on_keep().await
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let stands = match self.link() {
                Ok(link) => {
                    link.release().await;
                    link.check()
                }
                Err(_) => Ok(()),
            };
            self.openings.begin();
            self.replace(State::Closed);
            stands
        })
    }
}
