//! Topics in the memory of this process: the reference implementation of a backend.

mod room;
mod store;
mod topics;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tidegate_core::durable::{CursorAnswer, CursorCall, CursorLimits, Shelf};
use tidegate_core::history::Excerpt;
use tidegate_core::hub::{HubConfig, PublishError};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::Page;

use super::{Answer, BROADCAST_BYTES_MAX, Backend, BackendError, Feed, Keep};
use crate::json::Json;
use room::Room;
use store::Follower;
use topics::{Following, Topics, lock};

/// How many parts the topics have, each with a lock of its own.
const PARTS: usize = 16;

/// How many parts each shard of a hub adds: enough that two shards seldom want the same one at the same time.
const PARTS_PER_SHARD: usize = 16;

/// Topics in the memory of this process, which several hubs of the process can share. They are gone when the last of
/// their backends is dropped.
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
/// let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
/// here.open(Feed::new(|_| ())).await?;
/// there.open(Feed::new(move |event| _ = sender.send(event))).await?;
/// there.follow(&[Pattern::new("job:*")?]).await?;
///
/// let job = Topic::new("job:42")?;
/// let request = PublishRequest::new(job.clone(), Json::from_text("0.5")?);
/// let positions = here.publish(&[request]).await?;
/// let Some(FeedEvent::Publication(publication)) = receiver.recv().await else {
///     panic!("a followed topic is announced");
/// };
/// assert_eq!(positions, [Ok(publication.position)]);
/// assert_eq!(there.read(&job, None).await?.publications, [publication]);
/// # Ok(()) }
/// ```
pub struct Memory {
    shared: Arc<Shared>,
    /// Its number among the backends that share the topics.
    number: u64,
    link: Mutex<Option<Link>>,
}

/// What all backends on the same topics share.
struct Shared {
    topics: Topics,
    cursors: Mutex<Shelf>,
    /// The feeds that get broadcasts: those of open backends, by their numbers.
    hearers: Mutex<BTreeMap<u64, Feed>>,
    last_number: AtomicU64,
}

/// One backend's feed, and what it follows.
struct Link {
    feed: Feed,
    followed: BTreeMap<Pattern, Following>,
}

impl Memory {
    /// A backend with topics of its own.
    pub fn new(keep: Keep) -> Self {
        let topics = Topics::new(&keep, false, Room::unlimited(), PARTS);
        Self::with_topics(topics, keep.cursors)
    }

    /// The topics of one hub with several shards, within the hub's limits.
    pub(crate) fn for_hub(config: &HubConfig, cursors: CursorLimits, shards: usize) -> Self {
        let keep = Keep {
            retention: config.retention,
            ..Keep::of(config, cursors)
        };
        let room = Room::new(config.topics_max, config.retained_bytes_max);
        let topics = Topics::new(&keep, true, room, PARTS_PER_SHARD * shards);
        Self::with_topics(topics, cursors)
    }

    fn with_topics(topics: Topics, cursors: CursorLimits) -> Self {
        Self::on(Arc::new(Shared {
            topics,
            cursors: Mutex::new(Shelf::new(cursors)),
            hearers: Mutex::default(),
            last_number: AtomicU64::new(0),
        }))
    }

    /// The number of topics.
    pub(crate) fn topic_count(&self) -> usize {
        self.shared.topics.count()
    }

    /// Makes calls to the cursors, even if this backend is not open.
    pub(crate) fn ask_cursors(&self, calls: &[CursorCall]) -> Vec<CursorAnswer> {
        let now = self.shared.topics.now();
        lock(&self.shared.cursors).carry_out(now, calls)
    }

    /// Another backend with the same topics, as if in another process: it is opened and closed separately, and follows
    /// only what it is asked to.
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

    /// Calls `act` with the link, if this backend is open.
    fn with_link<T>(&self, act: impl FnOnce(&mut Link) -> T) -> Result<T, BackendError> {
        match &mut *lock(&self.link) {
            Some(link) => Ok(act(link)),
            None => Err(BackendError::Closed {
                backend: self.describe(),
            }),
        }
    }

    /// The topics, if this backend is open.
    fn topics(&self) -> Result<&Topics, BackendError> {
        self.with_link(|_| &self.shared.topics)
    }

    /// Replaces the link.
    fn relink(&self, link: Option<Link>) {
        // Replaced feeds are dropped after the locks are released, here as below.
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
        // What is dropped along with the feeds is dropped after the locks are released.
        for following in followed.into_values() {
            self.shared.topics.unfollow(following);
        }
    }
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
            let topics = self.topics()?;
            Ok(batch
                .iter()
                .map(|request| topics.publish(request))
                .collect())
        })
    }

    fn follow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        Box::pin(async move {
            self.with_link(|link| {
                let follower = Follower {
                    number: self.number,
                    feed: link.feed.clone(),
                };
                for pattern in patterns {
                    link.followed
                        .entry(pattern.clone())
                        .or_insert_with(|| self.shared.topics.follow(pattern, &follower));
                }
            })
        })
    }

    fn unfollow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        Box::pin(async move {
            self.with_link(|link| {
                for pattern in patterns {
                    if let Some(following) = link.followed.remove(pattern) {
                        self.shared.topics.unfollow(following);
                    }
                }
            })
        })
    }

    fn read<'a>(&'a self, topic: &'a Topic, since: Option<Position>) -> Answer<'a, Excerpt<Json>> {
        Box::pin(async move { Ok(self.topics()?.read(topic, since)) })
    }

    fn list<'a>(&'a self, pattern: &'a Pattern) -> Answer<'a, Vec<Excerpt<Json>>> {
        Box::pin(async move { Ok(self.topics()?.list(pattern)) })
    }

    fn list_page<'a>(&'a self, page: &'a Page) -> Answer<'a, Vec<Excerpt<Json>>> {
        Box::pin(async move { Ok(self.topics()?.list_page(page)) })
    }

    fn renew<'a>(&'a self, topic: &'a Topic, epoch: u64) -> Answer<'a, ()> {
        Box::pin(async move {
            self.topics()?.renew(topic, epoch);
            Ok(())
        })
    }

    fn cursors<'a>(&'a self, calls: &'a [CursorCall]) -> Answer<'a, Vec<CursorAnswer>> {
        Box::pin(async move {
            self.topics()?;
            Ok(self.ask_cursors(calls))
        })
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

    /// Forgets topics that are past their retention, because this is called every few seconds.
    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.topics()?.sweep();
            Ok(())
        })
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
