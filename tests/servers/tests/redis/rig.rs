//! An opened backend and its events.

use tidegate::Json;
use tidegate::Publication;
use tidegate::backend::{Backend, BackendError, FeedEvent, Keep, Redis};
use tidegate::core::history::Excerpt;
use tidegate::core::protocol::PublishRequest;
use tidegate::core::publication::Position;
use tidegate_server_tests::heard::Heard;
use tidegate_tests::topic;

/// An opened backend.
pub(crate) struct Rig {
    pub(crate) backend: Redis,
    heard: Heard,
}

impl Rig {
    pub(crate) async fn open(url: &str) -> Self {
        Self::open_with(url, Keep::default()).await
    }

    pub(crate) async fn open_with(url: &str, keep: Keep) -> Self {
        let backend = Redis::new(url, keep).expect("a correct address");
        let (feed, heard) = Heard::new();
        backend.open(feed).await.expect("the server runs");
        Self { backend, heard }
    }

    pub(crate) async fn reopen(&mut self) {
        let (feed, heard) = Heard::new();
        self.heard = heard;
        self.backend.open(feed).await.expect("the server runs");
    }

    /// Publishes a batch that must not be refused.
    pub(crate) async fn publish(&self, batch: &[PublishRequest<Json>]) -> Vec<Position> {
        let answers = self.backend.publish(batch).await.expect("the link stands");
        answers
            .into_iter()
            .map(|answer| answer.expect("not refused"))
            .collect()
    }

    pub(crate) async fn read(&self, name: &str, since: Option<Position>) -> Excerpt<Json> {
        let excerpt = self.backend.read(&topic(name), since).await;
        excerpt.expect("the link stands")
    }

    /// The next publication.
    pub(crate) async fn publication(&mut self) -> Publication {
        self.heard.publication().await
    }

    /// Expects a report that something may have been missed.
    pub(crate) async fn missed(&mut self) {
        match self.heard.event().await {
            FeedEvent::Missed => {}
            other => panic!("{other:?} instead of a warning"),
        }
    }

    /// Waits for the loss of the link, which must be the last event.
    pub(crate) async fn lost(&mut self) -> BackendError {
        let error = self.heard.lost().await;
        assert!(self.heard.rest().is_empty(), "a lost link tells no more");
        error
    }
}
