//! Hubs, publishers and subscribers around one backend, while it suffers a fault: checks what everybody gets, and that
//! nothing is left behind.
//!
//! Two hubs share the backend. Jobs publish numbered steps, half of them at each hub, and repeat what was not confirmed
//! with the same id, until everything is stored and the job has ended. Watchers at both hubs follow every job by its
//! topic, by a pattern and by a throttled subscription. Meanwhile, the test injects its fault.

mod network;
mod slow;
mod watcher;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tidegate::backend::Backend;
use tidegate::core::lifecycle::EndReason;
use tidegate::{Config, Hub, Publish};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use network::{cut_off, unanswered};
pub use slow::slow_reader;
pub use watcher::Seen;
use watcher::{Kind, watch_job, watch_pattern};

/// How long all of it may take in real time, so that a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(100);

/// The setup of an ordeal.
#[derive(Clone, Copy, Debug)]
pub struct Ordeal {
    /// The number of jobs.
    pub jobs: u64,
    /// The number of steps that each of them publishes before its end.
    pub steps: u64,
    /// Bytes of padding in each publication.
    pub filling: usize,
    /// Whether the backend may lose what it has confirmed.
    pub may_forget: bool,
    /// How long a hub waits for the backend's answer before it considers the link lost.
    pub answer_within: Duration,
}

impl Ordeal {
    /// A setup in which no link is lost, however busy the machine is.
    pub fn without_loss() -> Self {
        Self {
            answer_within: PATIENCE,
            ..Self::default()
        }
    }

    /// More bytes than all publications of all jobs together.
    fn bytes_max(&self) -> usize {
        let publication = self.filling + 1024;
        publication * ((self.steps + 1) * self.jobs) as usize
    }
}

impl Default for Ordeal {
    fn default() -> Self {
        Self {
            jobs: 8,
            steps: 60,
            filling: 20,
            may_forget: false,
            answer_within: Duration::from_secs(3),
        }
    }
}

/// The progress of the jobs, for timing a fault.
#[derive(Clone, Debug)]
pub struct Progress {
    confirmed: watch::Receiver<u64>,
    total: u64,
}

impl Progress {
    /// Waits until this percentage of all steps is confirmed.
    ///
    /// # Panics
    /// If the jobs stop before.
    pub async fn reaches(&mut self, percent: u64) {
        let wanted = self.total * percent / 100;
        let reached = self.confirmed.wait_for(|confirmed| *confirmed >= wanted);
        reached.await.expect("jobs that go on");
    }
}

/// Runs the jobs and the watchers during `fault`, and checks what all watchers saw.
///
/// # Panics
/// If a watcher saw too much or too little, or something is left behind.
pub async fn live_through<F: Future<Output = ()>>(
    ordeal: Ordeal,
    mut backend: impl FnMut() -> Arc<dyn Backend>,
    fault: impl FnOnce(Progress) -> F,
) -> Seen {
    let hubs = [hub(backend(), ordeal), hub(backend(), ordeal)];
    let watchers = watch_all(&hubs, ordeal).await;
    let seen = timeout(PATIENCE, async {
        let (confirmed, receiver) = watch::channel(0);
        let progress = Progress {
            confirmed: receiver,
            total: ordeal.jobs * ordeal.steps,
        };
        let mut jobs = JoinSet::new();
        let count = Arc::new(AtomicU64::new(0));
        for job in 0..ordeal.jobs {
            let hub = hubs[job as usize % hubs.len()].clone();
            let (count, confirmed) = (Arc::clone(&count), confirmed.clone());
            jobs.spawn(async move { publish_all(&hub, job, ordeal, &count, &confirmed).await });
        }
        let ((), _) = tokio::join!(fault(progress), jobs.join_all());
        Seen::all(watchers.join_all().await)
    });
    let seen = seen.await.expect("everybody sees the end of every job");
    seen.judge(ordeal);
    leave_nothing(&hubs).await;
    seen
}

fn hub(backend: Arc<dyn Backend>, ordeal: Ordeal) -> Hub {
    let mut config = Config::default();
    config.uplink.publish_patience = Duration::from_secs(2);
    config.uplink.call_timeout = ordeal.answer_within;
    config.uplink.probe_every = Duration::from_secs(1);
    config.uplink.backoff_max = Duration::from_millis(500);
    // The promises hold for any number of shards.
    if let Ok(shards) = std::env::var("TIDEGATE_TEST_SHARDS") {
        config.shards = shards.parse().expect("a number of shards");
    }
    Hub::with_backend(config, backend).expect("a thread")
}

/// The topic of a job.
fn topic(job: u64) -> String {
    format!("job:{job}")
}

async fn publish_all(
    hub: &Hub,
    job: u64,
    ordeal: Ordeal,
    count: &AtomicU64,
    confirmed: &watch::Sender<u64>,
) {
    for step in 1..=ordeal.steps + 1 {
        let is_last = step > ordeal.steps;
        let publish = Publish {
            end: is_last.then_some(EndReason::Complete.into()),
            id: Some(format!("step-{step}")),
            restart: false,
        };
        let value = json!({"step": step, "filling": "x".repeat(ordeal.filling)});
        // Unconfirmed publishes are repeated; the same id makes sure that they happen only once.
        while let Err(error) = hub.publish_with(&topic(job), &value, publish.clone()).await {
            let error = error.to_string();
            assert!(error.contains("backend"), "job {job}, step {step}: {error}");
        }
        if !is_last {
            let now = 1 + count.fetch_add(1, Ordering::SeqCst);
            confirmed.send_if_modified(|before| {
                let is_more = *before < now;
                *before = now.max(*before);
                is_more
            });
        }
    }
}

async fn watch_all(hubs: &[Hub], ordeal: Ordeal) -> JoinSet<Seen> {
    let mut watchers = JoinSet::new();
    for hub in hubs {
        for job in 0..ordeal.jobs {
            for kind in [Kind::Every, Kind::Some] {
                watchers.spawn(watch_job(hub.clone(), topic(job), kind, ordeal));
            }
        }
        watchers.spawn(watch_pattern(hub.clone(), "job:*".into(), ordeal));
    }
    for hub in hubs {
        let wanted = (2 * ordeal.jobs + 1) as usize;
        until(|| async {
            hub.counts()
                .await
                .is_ok_and(|counts| counts.hub.subscriptions == wanted)
        })
        .await;
    }
    watchers
}

/// Checks that no subscription, topic or connection is left after everybody has left.
async fn leave_nothing(hubs: &[Hub]) {
    for hub in hubs {
        until(|| async {
            hub.counts().await.is_ok_and(|counts| {
                counts.connections == 0 && counts.hub.subscriptions == 0 && counts.hub.topics == 0
            })
        })
        .await;
        hub.stop();
        until(|| async { hub.counts().await.is_err() }).await;
    }
}

/// Polls a condition that nothing announces until it is true.
///
/// # Panics
/// If it does not become true in time.
pub async fn until<F: Future<Output = bool>>(mut is_true: impl FnMut() -> F) {
    let waiting = timeout(PATIENCE, async {
        let mut interval = tokio::time::interval(Duration::from_millis(5));
        while !is_true().await {
            interval.tick().await;
        }
    });
    waiting.await.expect("it becomes true in time");
}
