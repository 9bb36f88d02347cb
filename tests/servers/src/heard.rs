//! The events of a backend's feed, for tests to wait for.

use std::time::Duration;

use tidegate::backend::{Backend, BackendError, Feed, FeedEvent};
use tidegate_core::topic::Topic;
use tokio::sync::mpsc;

/// How long a test waits for an expected event, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The receiving end of a feed.
#[derive(Debug)]
pub struct Heard {
    events: mpsc::UnboundedReceiver<FeedEvent>,
}

impl Heard {
    /// A feed, and its receiving end.
    pub fn new() -> (Feed, Self) {
        let (sender, events) = mpsc::unbounded_channel();
        let feed = Feed::new(move |event| {
            // Sending fails once the test is done, which is fine.
            let _ = sender.send(event);
        });
        (feed, Self { events })
    }

    /// Opens a backend, and returns the end of its feed.
    ///
    /// # Panics
    /// When it can't be opened.
    pub async fn open(backend: &impl Backend) -> Self {
        let (feed, heard) = Self::new();
        let opened = tokio::time::timeout(PATIENCE, backend.open(feed)).await;
        opened.expect("opened in time").expect("opened");
        heard
    }

    /// The next event.
    ///
    /// # Panics
    /// If none comes in time.
    pub async fn event(&mut self) -> FeedEvent {
        tokio::time::timeout(PATIENCE, self.events.recv())
            .await
            .expect("something is heard in time")
            .expect("the feed is open")
    }

    /// The next publication.
    ///
    /// # Panics
    /// If there is another event, or none.
    pub async fn publication(&mut self) -> tidegate::Publication {
        match self.event().await {
            FeedEvent::Publication(publication) => publication,
            other => panic!("heard {other:?} instead of a publication"),
        }
    }

    /// The next publications, as `offset payload`.
    ///
    /// # Panics
    /// As [`Heard::publication`].
    pub async fn lines(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::with_capacity(count);
        for _ in 0..count {
            let publication = self.publication().await;
            lines.push(format!(
                "{} {}",
                publication.position.offset, publication.payload
            ));
        }
        lines
    }

    /// Waits until the link is reported as lost, and skips everything else.
    ///
    /// # Panics
    /// When it isn't.
    pub async fn lost(&mut self) -> BackendError {
        loop {
            if let FeedEvent::Lost(error) = self.event().await {
                return error;
            }
        }
    }

    /// Waits for a publication, and skips others and reports of missed ones.
    ///
    /// # Panics
    /// If it does not come, or the link is lost.
    pub async fn until_heard(&mut self, topic: &Topic, payload: &str) {
        loop {
            match self.event().await {
                FeedEvent::Publication(publication)
                    if publication.topic == *topic && publication.payload.as_str() == payload =>
                {
                    return;
                }
                FeedEvent::Lost(error) => panic!("the link is lost: {error}"),
                _ => {}
            }
        }
    }

    /// The events that were heard but not taken yet.
    pub fn rest(&mut self) -> Vec<FeedEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// Everything heard before the publication `last` on `topic`, as `topic offset payload`.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn until(&mut self, topic: &Topic, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let publication = self.publication().await;
            if publication.topic == *topic && publication.payload.as_str() == last {
                return lines;
            }
            let offset = publication.position.offset;
            lines.push(format!(
                "{} {offset} {}",
                publication.topic, publication.payload
            ));
        }
    }
}
