//! Topics in the memory of this process: the reference of what a backend does.

mod store;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_core::history::Excerpt;
use tidegate_core::hub::PublishError;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::router::Ticket;
use tidegate_core::topic::{Pattern, Topic};

use super::{Answer, BROADCAST_BYTES_MAX, Backend, BackendError, Feed, Keep};
use crate::json::Json;
use store::Store;

/// Topics in the memory of this process, which several hubs of the process can share. They are gone with the last
/// of their backends.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tidegate::Json;
/// use tidegate::backend::{Backend as _, Feed, FeedEvent, Keep, Memory};
/// use tidegate::core::protocol::PublishRequest;
/// use tidegate::core::topic::{Pattern, Topic};
///
/// let here = Memory::new(Keep::default());
/// let there = here.share();
/// let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
/// here.open(Feed::new(|_| ())).await?;
/// there.open(Feed::new(move |event| _ = heard.send(event))).await?;
/// there.follow(&[Pattern::new("job:*")?]).await?;
///
/// let job = Topic::new("job:42")?;
/// let request = PublishRequest::new(job.clone(), Json::from_text("0.5")?);
/// let positions = here.publish(&[request]).await?;
/// let Some(FeedEvent::Publication(publication)) = hears.recv().await else {
///     panic!("what is followed is heard");
/// };
/// assert_eq!(positions, [Ok(publication.position)]);
/// assert_eq!(there.read(&job, None).await?.publications, [publication]);
/// # Ok(()) }
/// ```
pub struct Memory {
    shared: Arc<Shared>,
    /// Among those that share the topics.
    number: u64,
    link: Mutex<Option<Link>>,
}

/// What all backends on the same topics share.
struct Shared {
    store: Mutex<Store>,
    /// Who hears what is broadcast: those that are open, by their numbers.
    hearers: Mutex<BTreeMap<u64, Feed>>,
    last_number: AtomicU64,
    /// Where the store's clock begins.
    started: std::time::Instant,
}

/// One backend's way to its hub, and what it follows.
struct Link {
    feed: Feed,
    followed: BTreeMap<Pattern, Ticket>,
}

impl Memory {
    /// A backend on topics of its own.
    pub fn new(keep: Keep) -> Self {
        Self::on(Arc::new(Shared {
            store: Mutex::new(Store::new(keep, crate::random_seed())),
            hearers: Mutex::default(),
            last_number: AtomicU64::new(0),
            started: std::time::Instant::now(),
        }))
    }

    /// Another backend on the same topics, as if in another process: it is opened and closed by itself, and follows what
    /// it is asked to.
    #[must_use]
    pub fn share(&self) -> Self {
        Self::on(Arc::clone(&self.shared))
    }

    fn on(shared: Arc<Shared>) -> Self {
        Self {
            number: shared.last_number.fetch_add(1, Ordering::Relaxed),
            shared,
            link: Mutex::new(None),
        }
    }

    /// The link of an open backend does `act`.
    fn with_link<T>(&self, act: impl FnOnce(&mut Link) -> T) -> Result<T, BackendError> {
        match &mut *lock(&self.link) {
            Some(link) => Ok(act(link)),
            None => Err(BackendError::Closed {
                backend: self.describe(),
            }),
        }
    }

    /// The store of an open backend does `act`, at this time.
    fn with_store<T>(
        &self,
        act: impl FnOnce(&mut Store, tidegate_core::time::Instant) -> T,
    ) -> Result<T, BackendError> {
        self.with_link(|_| {
            let mut store = self.shared.store();
            let now = self.shared.now();
            act(&mut store, now)
        })
    }

    /// Puts `link` in the place of the one that was.
    fn relink(&self, link: Option<Link>) {
        // What is replaced goes when nothing is locked, as the feeds below do.
        let _hearer = match &link {
            Some(link) => lock(&self.shared.hearers).insert(self.number, link.feed.clone()),
            None => lock(&self.shared.hearers).remove(&self.number),
        };
        let old = std::mem::replace(&mut *lock(&self.link), link);
        let Some(Link {
            feed: _feed,
            followed,
        }) = old
        else {
            return;
        };
        // The feeds go when nothing is locked: what drops with them is not ours to know.
        let tickets = followed.into_values();
        let _feeds: Vec<Feed> = {
            let mut store = self.shared.store();
            tickets.map(|ticket| store.unfollow(ticket)).collect()
        };
    }
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    fn now(&self) -> tidegate_core::time::Instant {
        tidegate_core::time::Instant::ZERO + self.started.elapsed()
    }
}

/// A panic leaves nothing half-done that the next holder could not go on from.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Backend for Memory {
    fn describe(&self) -> String {
        "memory of this process".to_owned()
    }

    fn open(&self, feed: Feed) -> Answer<'_, ()> {
        Box::pin(async move {
            self.relink(Some(Link {
                feed,
                followed: BTreeMap::new(),
            }));
            Ok(())
        })
    }

    fn publish<'a>(
        &'a self,
        batch: &'a [PublishRequest<Json>],
    ) -> Answer<'a, Vec<Result<Position, PublishError>>> {
        Box::pin(async move {
            self.with_store(|store, now| {
                let publish = |request| store.publish(now, request);
                batch.iter().map(publish).collect()
            })
        })
    }

    fn follow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        Box::pin(async move {
            self.with_link(|link| {
                let mut store = self.shared.store();
                for pattern in patterns {
                    link.followed
                        .entry(pattern.clone())
                        .or_insert_with(|| store.follow(pattern, link.feed.clone()));
                }
            })
        })
    }

    fn unfollow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        Box::pin(async move {
            self.with_link(|link| {
                let mut store = self.shared.store();
                for pattern in patterns {
                    if let Some(ticket) = link.followed.remove(pattern) {
                        store.unfollow(ticket);
                    }
                }
            })
        })
    }

    fn read<'a>(&'a self, topic: &'a Topic, since: Option<Position>) -> Answer<'a, Excerpt<Json>> {
        Box::pin(async move { self.with_store(|store, now| store.read(now, topic, since)) })
    }

    fn list<'a>(&'a self, pattern: &'a Pattern) -> Answer<'a, Vec<Excerpt<Json>>> {
        Box::pin(async move { self.with_store(|store, now| store.list(now, pattern)) })
    }

    fn renew<'a>(&'a self, topic: &'a Topic, epoch: u64) -> Answer<'a, ()> {
        Box::pin(async move { self.with_store(|store, now| store.renew(now, topic, epoch)) })
    }

    fn broadcast<'a>(&'a self, message: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            self.with_link(|_| ())?;
            let hearers: Vec<Feed> = {
                let hearers = lock(&self.shared.hearers);
                let others = hearers.iter().filter(|(number, _)| **number != self.number);
                others.map(|(_, feed)| feed.clone()).collect()
            };
            for hearer in hearers {
                hearer.broadcast(message.to_owned());
            }
            Ok(())
        })
    }

    fn broadcast_bytes_max(&self) -> Option<usize> {
        Some(BROADCAST_BYTES_MAX)
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async move { self.with_link(|_| ()) })
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.relink(None);
            Ok(())
        })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.relink(None);
    }
}
