//! One link to a backend, dealt out to the shards of a hub, each of which uses it as if it had a backend of its own.
//!
//! The link is opened for the first shard that wants it, and the others join. If one shard considers it lost, it is lost for all: that
//! shard opens a new one, which ends the old one for the others, and they join again. A pattern is followed once, however many shards
//! follow it.

mod hands;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_core::durable::{CursorAnswer, CursorCall};
use tidegate_core::history::Excerpt;
use tidegate_core::hub::PublishError;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::Page;

use super::{Answer, BROADCAST_BYTES_MAX, Backend, BackendError, Feed, FeedEvent};
use crate::json::Json;
use hands::Hands;

/// A shard's share of a link.
pub(crate) struct Dealt {
    shared: Arc<Shared>,
    /// The shard's number.
    hand: usize,
}

struct Shared {
    backend: Arc<dyn Backend>,
    /// Whether presences are broadcast to other processes.
    shares_presence: bool,
    hands: Mutex<Hands>,
    /// How often opening the link was attempted.
    attempts: AtomicU64,
    /// Held while the link is opened or what is followed changes, so that no shard takes another one's request in progress for done.
    opening: tokio::sync::Mutex<Opening>,
}

#[derive(Default)]
struct Opening {
    /// The patterns that the backend is known to follow.
    followed: BTreeSet<Pattern>,
    /// The last attempt to open the link that failed, and why.
    failure: Option<(u64, BackendError)>,
}

/// Deals a backend out to this number of shards. They share presences in any case.
pub(crate) fn deal(
    backend: Arc<dyn Backend>,
    shards: usize,
    shares_presence: bool,
) -> Vec<Arc<dyn Backend>> {
    let shared = Arc::new(Shared {
        backend,
        shares_presence,
        hands: Mutex::new(Hands::new(shards)),
        attempts: AtomicU64::new(0),
        opening: tokio::sync::Mutex::default(),
    });
    let dealt = |hand| {
        let shared = Arc::clone(&shared);
        Arc::new(Dealt { shared, hand }) as _
    };
    (0..shards).map(dealt).collect()
}

impl Shared {
    fn hands(&self) -> MutexGuard<'_, Hands> {
        // No code that holds the lock can panic in the middle of a change.
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The feed for the backend's link with this number.
    fn feed(self: &Arc<Self>, link: u64) -> Feed {
        let shared = Arc::downgrade(self);
        Feed::new(move |event| {
            let Some(shared) = shared.upgrade() else {
                return;
            };
            let mut hands = shared.hands();
            if hands.link() != link {
                return;
            }
            match event {
                FeedEvent::Publication(publication) => hands.deliver(&publication),
                FeedEvent::Lost(error) => hands.lose(&error),
                FeedEvent::Broadcast(_) if !shared.shares_presence => {}
                FeedEvent::Missed | FeedEvent::Broadcast(_) => hands.deliver_to_all(&event, None),
            }
        })
    }
}

impl Dealt {
    /// The backend, as long as this shard has a share of the link.
    fn backend(&self) -> Result<&dyn Backend, BackendError> {
        self.check()?;
        Ok(&*self.shared.backend)
    }

    fn check(&self) -> Result<(), BackendError> {
        if self.shared.hands().has_joined(self.hand) {
            return Ok(());
        }
        Err(self.closed())
    }

    fn closed(&self) -> BackendError {
        BackendError::Closed {
            backend: self.describe(),
        }
    }
}

impl Backend for Dealt {
    fn describe(&self) -> String {
        self.shared.backend.describe()
    }

    fn open(&self, feed: Feed) -> Answer<'_, ()> {
        Box::pin(async move {
            let shared = &self.shared;
            let wish = shared.hands().wish(self.hand);
            let attempts = shared.attempts.load(Ordering::SeqCst);
            let mut opening = shared.opening.lock().await;
            if !shared.hands().is_wanted(self.hand, wish) {
                // The shard has given up this call, and has made another one.
                return Err(self.closed());
            }
            if let Some((attempt, error)) = &opening.failure
                && *attempt > attempts
            {
                // An attempt failed while this call waited for its turn; another one would not fare better.
                return Err(error.clone());
            }
            let Some(link) = shared.hands().join(self.hand, feed, &self.describe()) else {
                return Ok(());
            };
            let attempt = 1 + shared.attempts.fetch_add(1, Ordering::SeqCst);
            opening.followed.clear();
            if let Err(error) = shared.backend.open(shared.feed(link)).await {
                opening.failure = Some((attempt, error.clone()));
                return Err(error);
            }
            shared.hands().open(link, self.hand);
            // It may have been lost already.
            self.check()
        })
    }

    fn publish<'a>(
        &'a self,
        batch: &'a [PublishRequest<Json>],
    ) -> Answer<'a, Vec<Result<Position, PublishError>>> {
        Box::pin(async move { self.backend()?.publish(batch).await })
    }

    fn follow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        Box::pin(async move {
            let followed = &mut self.shared.opening.lock().await.followed;
            let backend = self.backend()?;
            // Publications that arrive before the backend answers have to reach this shard, too.
            self.shared.hands().follow(self.hand, patterns);
            let is_new = |pattern: &&Pattern| !followed.contains(*pattern);
            let new: Vec<Pattern> = patterns.iter().filter(is_new).cloned().collect();
            if !new.is_empty() {
                backend.follow(&new).await?;
                followed.extend(new);
            }
            Ok(())
        })
    }

    fn unfollow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        Box::pin(async move {
            let followed = &mut self.shared.opening.lock().await.followed;
            let backend = self.backend()?;
            let unwanted = self.shared.hands().unfollow(self.hand, patterns);
            followed.retain(|pattern| !unwanted.contains(pattern));
            if !unwanted.is_empty() {
                backend.unfollow(&unwanted).await?;
            }
            Ok(())
        })
    }

    fn read<'a>(&'a self, topic: &'a Topic, since: Option<Position>) -> Answer<'a, Excerpt<Json>> {
        Box::pin(async move { self.backend()?.read(topic, since).await })
    }

    fn list<'a>(&'a self, pattern: &'a Pattern) -> Answer<'a, Vec<Excerpt<Json>>> {
        Box::pin(async move { self.backend()?.list(pattern).await })
    }

    fn list_page<'a>(&'a self, page: &'a Page) -> Answer<'a, Vec<Excerpt<Json>>> {
        Box::pin(async move { self.backend()?.list_page(page).await })
    }

    fn renew<'a>(&'a self, topic: &'a Topic, epoch: u64) -> Answer<'a, ()> {
        Box::pin(async move { self.backend()?.renew(topic, epoch).await })
    }

    fn cursors<'a>(&'a self, calls: &'a [CursorCall]) -> Answer<'a, Vec<CursorAnswer>> {
        Box::pin(async move { self.backend()?.cursors(calls).await })
    }

    fn broadcast<'a>(&'a self, message: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let backend = self.backend()?;
            let event = FeedEvent::Broadcast(message.to_owned());
            self.shared.hands().deliver_to_all(&event, Some(self.hand));
            if self.shared.shares_presence {
                backend.broadcast(message).await?;
            }
            Ok(())
        })
    }

    fn broadcast_bytes_max(&self) -> Option<usize> {
        let backend = self.shared.backend.broadcast_bytes_max();
        let outside = backend.filter(|_| self.shared.shares_presence);
        outside.or(Some(BROADCAST_BYTES_MAX))
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async move { self.backend()?.probe().await })
    }

    fn migration(&self) -> Answer<'_, Option<String>> {
        self.shared.backend.migration()
    }

    /// Leaves the link; the last shard to leave closes it.
    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            if self.shared.hands().part(self.hand) {
                self.shared.backend.close().await?;
            }
            Ok(())
        })
    }
}
