//! A backend that fails whenever a test says so, and refuses some publications.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tidegate::Json;
use tidegate::backend::{Answer, Backend, BackendError, Feed, Keep, Memory};
use tidegate::core::durable::{CursorAnswer, CursorCall};
use tidegate::core::history::Excerpt;
use tidegate::core::hub::PublishError;
use tidegate::core::protocol::PublishRequest;
use tidegate::core::publication::Position;
use tidegate::core::topic::{Pattern, Topic};
use tidegate::core::uplink::Page;
use tokio::sync::oneshot;

/// What it does not take anything for, and tells nothing of.
pub(crate) const WRONG_TOPIC: &str = "wrong:1";

/// A store that becomes unreachable on request.
pub(crate) struct Fragile {
    inner: Memory,
    is_away: Arc<AtomicBool>,
    is_silent: Arc<AtomicBool>,
    is_mute: Arc<AtomicBool>,
    late: Mutex<Option<Late>>,
    listed: Arc<AtomicUsize>,
}

/// An opening that is answered when a test says so, and that reports when it is over.
struct Late {
    may_go_on: oneshot::Receiver<()>,
    over: oneshot::Sender<()>,
}

impl Fragile {
    pub(crate) fn new(is_away: &Arc<AtomicBool>) -> Self {
        Self::way_to(Memory::new(Keep::default()), is_away)
    }

    /// A link to a store that others use, too, through links of their own.
    pub(crate) fn way_to(store: Memory, is_away: &Arc<AtomicBool>) -> Self {
        Self {
            inner: store,
            is_away: Arc::clone(is_away),
            is_silent: Arc::default(),
            is_mute: Arc::default(),
            late: Mutex::default(),
            listed: Arc::default(),
        }
    }

    /// One that counts the topics that it lists.
    pub(crate) fn counted(mut self, listed: &Arc<AtomicUsize>) -> Self {
        self.listed = Arc::clone(listed);
        self
    }

    /// Makes it answer nothing while a test says so.
    pub(crate) fn silenced(mut self, is_silent: &Arc<AtomicBool>) -> Self {
        self.is_silent = Arc::clone(is_silent);
        self
    }

    /// Makes it refuse broadcasts while a test says so, and do all else.
    pub(crate) fn muted(mut self, is_mute: &Arc<AtomicBool>) -> Self {
        self.is_mute = Arc::clone(is_mute);
        self
    }

    /// Makes its first opening wait until the test lets it continue. Then, or when nobody waits for it any more, it is over.
    pub(crate) fn late(self) -> (Self, oneshot::Sender<()>, oneshot::Receiver<()>) {
        let (go_on, may_go_on) = oneshot::channel();
        let (over, is_over) = oneshot::channel();
        *self.late.lock().unwrap() = Some(Late { may_go_on, over });
        (self, go_on, is_over)
    }

    fn count<'a>(&'a self, list: Answer<'a, Vec<Excerpt<Json>>>) -> Answer<'a, Vec<Excerpt<Json>>> {
        Box::pin(async move {
            let found = list.await?;
            self.listed.fetch_add(found.len(), Ordering::SeqCst);
            Ok(found)
        })
    }

    fn check<'a, T: 'a>(&self, answer: Answer<'a, T>) -> Answer<'a, T> {
        if self.is_away.load(Ordering::SeqCst) {
            let backend = self.describe();
            let reason = "it is away".to_owned();
            return Box::pin(async move { Err(BackendError::Unreachable { backend, reason }) });
        }
        if self.is_silent.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        answer
    }
}

impl Backend for Fragile {
    fn describe(&self) -> String {
        "a fragile store".to_owned()
    }
    fn open(&self, feed: Feed) -> Answer<'_, ()> {
        let Some(Late { may_go_on, over }) = self.late.lock().unwrap().take() else {
            return self.check(self.inner.open(feed));
        };
        Box::pin(async move {
            let _over = over;
            // The test may have ended.
            let _ = may_go_on.await;
            self.inner.open(feed).await
        })
    }
    fn publish<'a>(
        &'a self,
        batch: &'a [PublishRequest<Json>],
    ) -> Answer<'a, Vec<Result<Position, PublishError>>> {
        if batch.iter().any(|it| it.topic.as_str() == WRONG_TOPIC) {
            let backend = self.describe();
            let reason = format!("it takes nothing for {WRONG_TOPIC}");
            let refused = Err(BackendError::Content { backend, reason });
            return self.check(Box::pin(async move { refused }));
        }
        self.check(self.inner.publish(batch))
    }
    fn follow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        self.check(self.inner.follow(patterns))
    }
    fn unfollow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        self.check(self.inner.unfollow(patterns))
    }
    fn read<'a>(&'a self, topic: &'a Topic, since: Option<Position>) -> Answer<'a, Excerpt<Json>> {
        if topic.as_str() == WRONG_TOPIC {
            let backend = self.describe();
            let reason = format!("it tells nothing of {WRONG_TOPIC}");
            let refused = Err(BackendError::Refused { backend, reason });
            return self.check(Box::pin(async move { refused }));
        }
        self.check(self.inner.read(topic, since))
    }
    fn cursors<'a>(&'a self, calls: &'a [CursorCall]) -> Answer<'a, Vec<CursorAnswer>> {
        self.check(self.inner.cursors(calls))
    }
    fn list<'a>(&'a self, pattern: &'a Pattern) -> Answer<'a, Vec<Excerpt<Json>>> {
        self.check(self.count(self.inner.list(pattern)))
    }
    fn list_page<'a>(&'a self, page: &'a Page) -> Answer<'a, Vec<Excerpt<Json>>> {
        self.check(self.count(self.inner.list_page(page)))
    }
    fn renew<'a>(&'a self, topic: &'a Topic, epoch: u64) -> Answer<'a, ()> {
        self.check(self.inner.renew(topic, epoch))
    }
    fn broadcast<'a>(&'a self, message: &'a str) -> Answer<'a, ()> {
        if self.is_mute.load(Ordering::SeqCst) {
            let backend = self.describe();
            let reason = "there is no room for a broadcast".to_owned();
            return Box::pin(async move { Err(BackendError::Full { backend, reason }) });
        }
        self.check(self.inner.broadcast(message))
    }
    fn broadcast_bytes_max(&self) -> Option<usize> {
        self.inner.broadcast_bytes_max()
    }
    fn probe(&self) -> Answer<'_, ()> {
        self.check(self.inner.probe())
    }
    fn close(&self) -> Answer<'_, ()> {
        self.inner.close()
    }
}
