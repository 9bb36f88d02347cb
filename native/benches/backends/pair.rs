//! Two backends on the same topics: one publishes, and one listens.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tidegate::backend::{Backend, Feed, FeedEvent, Keep, Memory, Postgres, Redis, Sqlite};
use tidegate::core::protocol::PublishRequest;
use tidegate::core::topic::{Pattern, Topic};
use tidegate::{Json, Publication};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::publisher::{Publisher, TOPIC, clock};

/// About as much as a job reports of its progress: 110 bytes.
const PROGRESS: &str = r#"{"done":73210,"total":180000,"unit":"files","rate":1520.4,"status":"RUNNING","line":"src/shard/websocket.rs"}"#;

/// The topics that publications are spread over.
const TOPICS: usize = 64;

/// The publications of a batch.
pub(crate) const BATCH: usize = 64;

/// The batches in flight at the same time.
pub(crate) const BATCHES: usize = 4;

/// Two backends on the same topics.
pub(crate) struct Pair {
    publisher: Arc<dyn Backend>,
    listener: Arc<dyn Backend>,
    heard: UnboundedReceiver<(Duration, Publication)>,
    requests: Vec<PublishRequest<Json>>,
}

impl Pair {
    pub(crate) async fn open(address: &str) -> Self {
        let (publisher, listener) = two_backends(address);
        let (sender, heard) = unbounded_channel();
        let feed = Feed::new(move |event| {
            if let FeedEvent::Publication(publication) = event {
                // Nobody waits for the rest once the measurement is over.
                let _ = sender.send((clock(), publication));
            }
        });
        let opened = publisher.open(Feed::new(|_| ())).await;
        opened
            .and(listener.open(feed).await)
            .expect("it can be reached");
        let payload = Json::from_text(PROGRESS).expect("JSON");
        let request = |number| {
            let topic = Topic::new(&format!("bench:{number}")).expect("a topic");
            PublishRequest::new(topic, payload.clone())
        };
        Self {
            publisher,
            listener,
            heard,
            requests: (0..TOPICS).map(request).collect(),
        }
    }

    pub(crate) fn describe(&self) -> String {
        self.publisher.describe()
    }

    pub(crate) async fn publish_one_by_one(&self, count: u64) {
        let requests = self.requests.chunks(1).cycle();
        for (request, _) in requests.zip(0..count) {
            self.publish(request).await;
        }
    }

    /// Publishes `width` batches at a time, `rounds` times.
    pub(crate) async fn publish_batches(&self, rounds: u64, width: usize) {
        for _ in 0..rounds {
            let batches = (0..width).map(|_| self.publish(&self.requests[..BATCH]));
            join_all(batches).await;
        }
    }

    async fn publish(&self, batch: &[PublishRequest<Json>]) {
        let results = self.publisher.publish(batch).await;
        let results = results.expect("it can be reached");
        assert!(results.iter().all(Result::is_ok), "nothing has ended");
    }

    /// How long each of `count` publications took within this process, one after the other.
    pub(crate) async fn deliver(&mut self, count: usize) -> Vec<Duration> {
        let request = &self.requests[..1];
        self.follow(request[0].topic.clone()).await;
        let mut latencies = Vec::with_capacity(count);
        for _ in 0..count {
            let began = clock();
            self.publish(request).await;
            let (at, _) = self.heard.recv().await.expect("the feed stays");
            latencies.push(at - began);
        }
        latencies
    }

    /// How long each publication of another process took, one after the other, each after a pause.
    pub(crate) async fn hear(
        &mut self,
        publisher: &mut Publisher,
        count: usize,
        pause: Duration,
    ) -> Vec<Duration> {
        self.follow(Topic::new(TOPIC).expect("a topic")).await;
        // The first finds the other process starting.
        publisher.publish();
        self.heard.recv().await.expect("the feed stays");
        let mut latencies = Vec::with_capacity(count);
        for _ in 0..count {
            tokio::time::sleep(pause).await;
            publisher.publish();
            let (at, publication) = self.heard.recv().await.expect("the feed stays");
            let began: u64 = publication.payload.as_str().parse().expect("a time");
            latencies.push(at - Duration::from_nanos(began));
        }
        latencies
    }

    async fn follow(&self, topic: Topic) {
        let followed = self.listener.follow(&[Pattern::from(topic)]).await;
        followed.expect("it can be reached");
    }

    pub(crate) async fn close(&self) {
        let closed = self.listener.close().await;
        closed
            .and(self.publisher.close().await)
            .expect("nothing was lost");
    }
}

/// A backend that follows a topic without publications.
pub(crate) async fn open_alone(address: &str) -> Arc<dyn Backend> {
    let backend = backend_at(address);
    backend
        .open(Feed::new(|_| ()))
        .await
        .expect("it can be reached");
    let quiet = Pattern::new("quiet").expect("a pattern");
    backend.follow(&[quiet]).await.expect("it can be reached");
    backend
}

/// Two backends at one address.
fn two_backends(address: &str) -> (Arc<dyn Backend>, Arc<dyn Backend>) {
    if address == "memory" {
        let memory = Memory::new(Keep::default());
        let other = memory.share();
        return (Arc::new(memory), Arc::new(other));
    }
    (backend_at(address), backend_at(address))
}

/// A backend, not opened yet.
pub(crate) fn backend_at(address: &str) -> Arc<dyn Backend> {
    let keep = Keep::default();
    match address.split_once(':') {
        None if address == "memory" => Arc::new(Memory::new(keep)),
        Some(("sqlite", path)) => Arc::new(Sqlite::new(path, keep).expect("a path")),
        Some(("redis" | "rediss", _)) => Arc::new(Redis::new(address, keep).expect("an address")),
        Some(("postgres" | "postgresql", _)) => {
            Arc::new(Postgres::new(address, keep).expect("an address"))
        }
        None | Some(_) => panic!("TIDEGATE_BENCH_BACKENDS: {address} is no backend"),
    }
}
