//! A backend and what it tells.

use std::time::Duration;

use tidegate::backend::{Backend, BackendError, Feed, FeedEvent, Keep, Redis};
use tidegate::core::history::Excerpt;
use tidegate::core::protocol::PublishRequest;
use tidegate::core::publication::Position;
use tidegate::{Json, Publication};
use tidegate_tests::topic;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a backend tells, in order.
pub(crate) type Heard = UnboundedReceiver<FeedEvent>;

/// A feed, and what comes out of it.
pub(crate) fn feed() -> (Feed, Heard) {
    let (sender, heard) = unbounded_channel();
    let feed = Feed::new(move |event| {
        // A test that has seen enough.
        let _ = sender.send(event);
    });
    (feed, heard)
}

/// A JSON value.
pub(crate) fn json(text: &str) -> Json {
    Json::from_text(text).expect("tests write JSON")
}

/// A plain request.
pub(crate) fn request(name: &str, text: &str) -> PublishRequest<Json> {
    PublishRequest::new(topic(name), json(text))
}

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
        let (feed, heard) = feed();
        backend.open(feed).await.expect("the server runs");
        Self { backend, heard }
    }

    pub(crate) async fn reopen(&mut self) {
        let (feed, heard) = feed();
        self.heard = heard;
        self.backend.open(feed).await.expect("the server runs");
    }

    /// Publishes what is not refused.
    pub(crate) async fn publish(&self, batch: &[PublishRequest<Json>]) -> Vec<Position> {
        let answers = self.backend.publish(batch).await.expect("the link stands");
        answers
            .into_iter()
            .map(|answer| answer.expect("not refused"))
            .collect()
    }

    pub(crate) async fn read(&self, name: &str, since: Option<Position>) -> Excerpt<Json> {
        self.backend
            .read(&topic(name), since)
            .await
            .expect("the link stands")
    }

    async fn event(&mut self) -> FeedEvent {
        let event = tokio::time::timeout(PATIENCE, self.heard.recv()).await;
        event
            .expect("something is told in time")
            .expect("the feed is kept")
    }

    /// The next publication.
    pub(crate) async fn publication(&mut self) -> Publication {
        match self.event().await {
            FeedEvent::Publication(publication) => publication,
            other => panic!("{other:?} instead of a publication"),
        }
    }

    /// Waits until something may have been missed.
    pub(crate) async fn missed(&mut self) {
        match self.event().await {
            FeedEvent::Missed => {}
            other => panic!("{other:?} instead of a warning"),
        }
    }

    /// Waits for the loss, and sees that it is told once.
    pub(crate) async fn lost(&mut self) -> BackendError {
        loop {
            if let FeedEvent::Lost(error) = self.event().await {
                assert!(
                    self.heard.recv().await.is_none(),
                    "a lost link tells nothing more"
                );
                return error;
            }
        }
    }
}
