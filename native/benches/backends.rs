//! What publishing to a backend costs, and how long another process waits for what was published.
//!
//! Measured are a memory, an SQLite file in the temporary folder, and what `TIDEGATE_BENCH_BACKENDS` names besides, by
//! addresses with spaces between (`redis://127.0.0.1 postgres://me@127.0.0.1/db`); topics `bench:*` are left there. Each is
//! opened twice, as by two servers; both are in this process, though, and an SQLite file knows its own process's
//! publications sooner than another's.

#[path = "../../core/benches/harness/mod.rs"]
mod harness;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::{Bench, Group};
use tidegate::backend::{Backend, Feed, FeedEvent, Keep, Memory, Postgres, Redis, Sqlite};
use tidegate::core::protocol::PublishRequest;
use tidegate::core::topic::{Pattern, Topic};
use tidegate::{Json, Publication};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// About as much as a job tells of its progress: 120 bytes.
const PROGRESS: &str = r#"{"done":73210,"total":180000,"unit":"files","rate":1520.4,"status":"RUNNING","line":"src/shard/websocket.rs"}"#;

/// The topics that publications are spread over.
const TOPICS: usize = 64;

/// The publications of a batch.
const BATCH: usize = 64;

/// The batches under way at the same time.
const BATCHES: usize = 4;

/// How many deliveries are timed one after the other, and how many in a quick run.
const DELIVERIES: usize = 3_000;
const DELIVERIES_QUICK: usize = 300;

fn main() {
    let bench = Bench::from_args();
    let (publish, deliver) = ("backends/publish", "backends/deliver");
    if !bench.wants(publish) && !bench.wants(deliver) {
        return;
    }
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = format!("sqlite:{}", folder.path().join("bench.db").display());
    let others = std::env::var("TIDEGATE_BENCH_BACKENDS").unwrap_or_default();
    let mut addresses = vec!["memory", &file];
    addresses.extend(others.split_whitespace());
    let mut pairs: Vec<Pair> = addresses
        .into_iter()
        .map(|address| runtime.block_on(Pair::open(address)))
        .collect();
    if bench.wants(publish) {
        let mut group = Group::new(publish, "publication");
        for pair in &pairs {
            let name = pair.publisher.describe();
            group.case(format!("one by one, {name}"), 1, |n| {
                timed(|| runtime.block_on(pair.publish_one_by_one(n)))
            });
            let units = (BATCH * BATCHES) as u64;
            group.case(
                format!("{BATCHES} batches of {BATCH}, {name}"),
                units,
                |n| timed(|| runtime.block_on(pair.publish_batches(n))),
            );
        }
        bench.measure(group);
    }
    if bench.wants(deliver) {
        let count = if bench.is_quick() {
            DELIVERIES_QUICK
        } else {
            DELIVERIES
        };
        println!("\n{deliver}: from publishing at one to hearing at the other");
        for pair in &mut pairs {
            let latencies = runtime.block_on(pair.deliver(count));
            print_quantiles(&pair.publisher.describe(), latencies);
        }
    }
    for pair in &pairs {
        runtime.block_on(pair.close());
    }
}

/// Two backends on the same topics.
struct Pair {
    publisher: Arc<dyn Backend>,
    listener: Arc<dyn Backend>,
    heard: UnboundedReceiver<(Instant, Publication)>,
    requests: Vec<PublishRequest<Json>>,
}

impl Pair {
    async fn open(address: &str) -> Self {
        let (publisher, listener) = two_backends(address);
        let (sender, heard) = unbounded_channel();
        let feed = Feed::new(move |event| {
            if let FeedEvent::Publication(publication) = event {
                // Nobody waits for the rest when it is over.
                let _ = sender.send((Instant::now(), publication));
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

    async fn publish_one_by_one(&self, count: u64) {
        let requests = self.requests.chunks(1).cycle();
        for (request, _) in requests.zip(0..count) {
            self.publish(request).await;
        }
    }

    async fn publish_batches(&self, rounds: u64) {
        for _ in 0..rounds {
            let batches = (0..BATCHES).map(|_| self.publish(&self.requests[..BATCH]));
            join_all(batches).await;
        }
    }

    async fn publish(&self, batch: &[PublishRequest<Json>]) {
        let results = self
            .publisher
            .publish(batch)
            .await
            .expect("it can be reached");
        assert!(results.iter().all(Result::is_ok), "nothing has ended");
    }

    /// How long each of so many publications took, one after the other.
    async fn deliver(&mut self, count: usize) -> Vec<Duration> {
        let request = &self.requests[..1];
        let pattern = [Pattern::from(request[0].topic.clone())];
        self.listener
            .follow(&pattern)
            .await
            .expect("it can be reached");
        let mut latencies = Vec::with_capacity(count);
        for _ in 0..count {
            let began = Instant::now();
            let results = self
                .publisher
                .publish(request)
                .await
                .expect("it can be reached");
            let position = *results[0].as_ref().expect("nothing has ended");
            loop {
                let (at, publication) = self.heard.recv().await.expect("the feed stays");
                if publication.position == position {
                    latencies.push(at - began);
                    break;
                }
            }
        }
        self.listener
            .unfollow(&pattern)
            .await
            .expect("it can be reached");
        latencies
    }

    async fn close(&self) {
        let closed = self.listener.close().await;
        closed
            .and(self.publisher.close().await)
            .expect("nothing was lost");
    }
}

/// Two backends at one address.
fn two_backends(address: &str) -> (Arc<dyn Backend>, Arc<dyn Backend>) {
    if address == "memory" {
        let memory = Memory::new(Keep::default());
        let other = memory.share();
        return (Arc::new(memory), Arc::new(other));
    }
    let one = || -> Arc<dyn Backend> {
        let keep = Keep::default();
        match address.split_once(':') {
            Some(("sqlite", path)) => Arc::new(Sqlite::new(path, keep).expect("a path")),
            Some(("redis" | "rediss", _)) => {
                Arc::new(Redis::new(address, keep).expect("an address"))
            }
            Some(("postgres" | "postgresql", _)) => {
                Arc::new(Postgres::new(address, keep).expect("an address"))
            }
            Some(_) | None => panic!("TIDEGATE_BENCH_BACKENDS: {address} is no backend"),
        }
    };
    (one(), one())
}

fn timed(act: impl FnOnce()) -> Duration {
    let started = Instant::now();
    act();
    started.elapsed()
}

fn print_quantiles(name: &str, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let micros = |per_mille: usize| {
        let latency = latencies[(latencies.len() - 1) * per_mille / 1_000];
        format!("{:.0} µs", latency.as_secs_f64() * 1e6)
    };
    println!(
        "  p50 {:>9}  p99 {:>9}  longest {:>9}  {name}",
        micros(500),
        micros(990),
        micros(1_000),
    );
}
