//! An open backend, with everything that it hears.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tidegate::backend::{Backend, BackendError, Feed, FeedEvent, Keep};
use tidegate::{Json, Publication};
use tidegate_core::history::Excerpt;
use tidegate_core::hub::PublishError;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::topic::Pattern;
use tidegate_core::uplink::Page;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::sleep;

use super::Place;
use tidegate_tests::{pattern, topic};

/// How long any expected event may take, on the slowest machine.
pub const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How long after a failed attempt to open a backend the next one is made.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The result of `future`, within [`TIME_LIMIT`].
///
/// # Panics
/// If it takes longer.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(TIME_LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} took longer than {TIME_LIMIT:?}"),
    }
}

/// Parses JSON that a test has written.
///
/// # Panics
/// If it is invalid.
pub fn json(text: &str) -> Json {
    Json::from_text(text).expect("tests write correct JSON")
}

/// A request to publish `text`, which must be JSON.
pub fn request(to: &str, text: &str) -> PublishRequest<Json> {
    PublishRequest::new(topic(to), json(text))
}

/// The publication that a request becomes at a position.
pub fn publication_of(request: &PublishRequest<Json>, position: Position) -> Publication {
    Arc::new(tidegate_core::publication::Publication {
        topic: request.topic.clone(),
        position,
        payload: request.payload.clone(),
        end: request.end_reason(),
    })
}

/// An open backend, with everything that it hears. Its methods expect success; for calls that may fail, use `backend`.
pub struct Peer {
    /// The backend.
    pub backend: Arc<dyn Backend>,
    events: UnboundedReceiver<FeedEvent>,
    heard: Vec<Publication>,
    broadcasts: Vec<String>,
}

impl Peer {
    /// Another backend on `place`, opened.
    ///
    /// # Panics
    /// If it can't be opened. All methods below panic if they fail.
    pub async fn open(place: &impl Place) -> Self {
        Self::open_backend(place.backend().await).await
    }

    /// `N` of them on a new place.
    pub async fn start<P: Place, const N: usize>() -> (P, [Self; N]) {
        Self::start_keeping(Keep::default()).await
    }

    /// `N` of them on a new place that keeps what `keep` says.
    pub async fn start_keeping<P: Place, const N: usize>(keep: Keep) -> (P, [Self; N]) {
        let place = P::start(keep).await;
        let mut peers = Vec::new();
        for _ in 0..N {
            peers.push(Self::open(&place).await);
        }
        let peers = peers.try_into().ok().expect("as many as there are");
        (place, peers)
    }

    /// Opens or reopens a backend. As a server does, it tries again if the backend can't be reached: a busy machine may
    /// take longer to accept a connection than the backend waits.
    pub async fn open_backend(backend: Arc<dyn Backend>) -> Self {
        let opening = async {
            loop {
                let (heard, events) = unbounded_channel();
                // Sending fails once the peer is gone, which is fine.
                let feed = Feed::new(move |event| _ = heard.send(event));
                match backend.open(feed).await {
                    Ok(()) => return events,
                    Err(BackendError::Unreachable { .. }) => sleep(AGAIN_AFTER).await,
                    Err(error) => panic!("the backend doesn't open: {error}"),
                }
            }
        };
        let events = in_time("opening", opening).await;
        Self {
            backend,
            events,
            heard: Vec::new(),
            broadcasts: Vec::new(),
        }
    }

    /// Publishes a batch, and returns the result of each request.
    pub async fn publish_batch(
        &self,
        batch: &[PublishRequest<Json>],
    ) -> Vec<Result<Position, PublishError>> {
        let results = in_time("publishing", self.backend.publish(batch)).await;
        let results = results.expect("the batch is published");
        assert_eq!(results.len(), batch.len(), "one answer for each request");
        results
    }

    /// Publishes one request, and returns its result.
    pub async fn try_publish(
        &self,
        request: PublishRequest<Json>,
    ) -> Result<Position, PublishError> {
        let results = self.publish_batch(&[request]).await;
        results.into_iter().next().expect("one answer")
    }

    /// Publishes `text`, which must be JSON, and returns its position.
    pub async fn publish(&self, to: &str, text: &str) -> Position {
        let published = self.try_publish(request(to, text)).await;
        published.expect("nothing speaks against it")
    }

    /// Publishes `text` with an idempotency key, and returns its position.
    pub async fn publish_with_key(&self, to: &str, text: &str, key: &str) -> Position {
        let mut request = request(to, text);
        request.id = Some(key.to_owned());
        let published = self.try_publish(request).await;
        published.expect("nothing speaks against it")
    }

    /// Publishes the end of a topic, and returns its position.
    pub async fn end(&self, to: &str, reason: EndReason) -> Position {
        let mut request = request(to, "null");
        request.end = Some(reason.into());
        let published = self.try_publish(request).await;
        published.expect("nothing speaks against it")
    }

    /// Publishes the numbers from 1 to `last` in one batch, and returns their positions.
    pub async fn publish_numbers(&self, to: &str, last: usize) -> Vec<Position> {
        let batch: Vec<_> = (1..=last)
            .map(|number| request(to, &number.to_string()))
            .collect();
        let results = self.publish_batch(&batch).await;
        let positions = results.into_iter().collect::<Result<_, _>>();
        positions.expect("nothing speaks against them")
    }

    /// Reads what a topic keeps.
    pub async fn read(&self, from: &str, since: Option<Position>) -> Excerpt<Json> {
        let topic = topic(from);
        let read = in_time("reading", self.backend.read(&topic, since)).await;
        let excerpt = read.expect("the topic is read");
        assert_eq!(excerpt.topic, topic);
        assert_whole(&excerpt);
        excerpt
    }

    /// Reads the offsets of what a topic keeps.
    pub async fn offsets(&self, from: &str, since: Option<Position>) -> Vec<u64> {
        offsets(&self.read(from, since).await.publications)
    }

    /// Lists the latest publications, sorted by topic.
    pub async fn list(&self, matching: &str) -> Vec<Excerpt<Json>> {
        let pattern = pattern(matching);
        let listed = in_time("listing", self.backend.list(&pattern)).await;
        let mut excerpts = listed.expect("topics are listed");
        excerpts.iter().for_each(assert_whole);
        excerpts.sort_by(|a, b| a.topic.cmp(&b.topic));
        excerpts
    }

    /// A page of the latest publications.
    pub async fn list_page(&self, page: &Page) -> Vec<Excerpt<Json>> {
        let listed = in_time("listing a page", self.backend.list_page(page)).await;
        let excerpts = listed.expect("topics are listed");
        excerpts.iter().for_each(assert_whole);
        excerpts
    }

    /// Follows patterns.
    pub async fn follow(&self, patterns: &[&str]) {
        let patterns: Vec<Pattern> = patterns.iter().map(|text| pattern(text)).collect();
        let followed = in_time("following", self.backend.follow(&patterns)).await;
        followed.expect("patterns are followed");
    }

    /// Unfollows patterns.
    pub async fn unfollow(&self, patterns: &[&str]) {
        let patterns: Vec<Pattern> = patterns.iter().map(|text| pattern(text)).collect();
        let unfollowed = in_time("unfollowing", self.backend.unfollow(&patterns)).await;
        unfollowed.expect("patterns are unfollowed");
    }

    /// Begins a new epoch.
    pub async fn renew(&self, of: &str, epoch: u64) {
        let topic = topic(of);
        let renewed = in_time("renewing", self.backend.renew(&topic, epoch)).await;
        renewed.expect("the topic is renewed");
    }

    /// Closes the backend.
    pub async fn close(&self) {
        let closed = in_time("closing", self.backend.close()).await;
        closed.expect("nothing was lost");
    }

    /// What was heard until now, without waiting.
    pub fn heard(&mut self) -> &[Publication] {
        while let Ok(event) = self.events.try_recv() {
            self.take(event);
        }
        &self.heard
    }

    /// Waits until a topic has been heard at all these positions, in order, and returns the publications.
    pub async fn hear(&mut self, of: &str, positions: &[Position]) -> Vec<Publication> {
        let topic = topic(of);
        let is_wanted = |publication: &Publication| {
            publication.topic == topic && positions.contains(&publication.position)
        };
        let mut heard: Vec<Publication> = self
            .heard
            .iter()
            .filter(|p| is_wanted(p))
            .cloned()
            .collect();
        while heard.len() < positions.len() {
            let what = format!(
                "hearing {of} at {:?} after {:?}",
                positions,
                offsets(&heard)
            );
            let event = in_time(&what, self.events.recv()).await;
            let known = self.heard.len();
            self.take(event.expect("the feed stays"));
            heard.extend(self.heard[known..].iter().filter(|p| is_wanted(p)).cloned());
        }
        let order: Vec<Position> = heard
            .iter()
            .map(|publication| publication.position)
            .collect();
        assert_eq!(
            order, positions,
            "{of} is heard in the order of its offsets"
        );
        heard
    }

    /// Broadcasts a message to all others.
    pub async fn broadcast(&self, message: &str) {
        let said = in_time("broadcasting", self.backend.broadcast(message)).await;
        said.expect("it is broadcast");
    }

    /// Waits for the broadcast `last`, and returns all broadcasts up to it.
    pub async fn hear_broadcasts(&mut self, last: &str) -> &[String] {
        while self.broadcasts.last().is_none_or(|heard| heard != last) {
            let event = in_time("hearing a broadcast", self.events.recv()).await;
            self.take(event.expect("the feed stays"));
        }
        &self.broadcasts
    }

    /// Keeps what was heard for the first time. Repetitions do no harm.
    fn take(&mut self, event: FeedEvent) {
        match event {
            FeedEvent::Publication(publication) => {
                let known = self.heard.iter().rev().find(|known| {
                    known.topic == publication.topic && known.position == publication.position
                });
                match known {
                    Some(known) => assert_eq!(*known, publication, "one position, one publication"),
                    None => self.heard.push(publication),
                }
            }
            FeedEvent::Broadcast(message) => self.broadcasts.push(message),
            // If a publication was really missed, waiting for it fails.
            FeedEvent::Missed => {}
            FeedEvent::Lost(error) => panic!("nothing was cut: {error}"),
        }
    }
}

/// Whether a call to a backend that is closed, or not open, failed as it should.
pub(super) fn is_refused<T>(result: Result<T, BackendError>) -> bool {
    matches!(
        result,
        Err(BackendError::Closed { .. } | BackendError::Unreachable { .. })
    )
}

/// The offsets of publications.
pub(super) fn offsets(publications: &[Publication]) -> Vec<u64> {
    let offset = |publication: &Publication| publication.position.offset;
    publications.iter().map(offset).collect()
}

/// Checks that an excerpt is of one topic and epoch, without gaps, up to its position.
fn assert_whole(excerpt: &Excerpt<Json>) {
    let count = u64::try_from(excerpt.publications.len()).expect("few");
    let first = (excerpt.position.offset + 1)
        .checked_sub(count)
        .expect("no more publications than offsets");
    for (publication, offset) in excerpt.publications.iter().zip(first..) {
        let epoch = excerpt.position.epoch;
        assert_eq!(publication.topic, excerpt.topic);
        assert_eq!(publication.position, Position { epoch, offset });
    }
}
