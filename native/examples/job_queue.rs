//! A queue of jobs, two workers, and any number of viewers.
//!
//! ```text
//! cargo run --example job_queue
//! curl -X POST http://127.0.0.1:8431/jobs -H 'Content-Type: application/json' -d '{"name": "Thumbnails", "steps": 40}'
//! ```
//!
//! Its page is at <http://127.0.0.1:8431>.

mod site;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate::{Broadcaster, Hub, JobUpdate};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinHandle};

/// How many jobs are worked on at a time.
const WORKERS: usize = 2;

/// How many jobs may be waiting or running. Further orders are told to come back later.
const JOBS_MAX: usize = 50;

/// The most that one job may ask for.
const STEPS_MAX: u32 = 10_000;

/// How long the work of one step takes.
const STEP: Duration = Duration::from_millis(80);

#[derive(Clone)]
struct App {
    jobs: Broadcaster,
    workers: Arc<Semaphore>,
    /// Aborts a job that is waiting or running, by its id.
    unfinished: Arc<Mutex<BTreeMap<String, AbortHandle>>>,
    last_id: Arc<AtomicU64>,
}

/// The result of the work on a job.
type Worked = Result<(), Box<dyn Error + Send + Sync>>;

/// An order for a job.
#[derive(Deserialize)]
struct Order {
    name: String,
    steps: u32,
    /// What goes wrong with it halfway, for demonstration: `error` or `panic`.
    trouble: Option<String>,
}

struct Job {
    id: String,
    order: Order,
    done: AtomicU32,
    /// Set once a worker has started.
    begun: OnceLock<Instant>,
}

impl Job {
    /// Completes an update, so that a viewer who sees only the latest one knows everything.
    fn whole(&self, update: JobUpdate) -> JobUpdate {
        let elapsed = self.begun.get().map(|begun| begun.elapsed().as_millis());
        update
            .with("name", self.order.name.as_str())
            .with("done", self.done.load(Ordering::Relaxed))
            .with("total", self.order.steps)
            .with("unit", "steps")
            .with("elapsed_ms", json!(elapsed))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hub = Hub::new(Default::default())?;
    let app = App {
        jobs: Broadcaster::from_hub(hub.clone())?,
        workers: Arc::new(Semaphore::new(WORKERS)),
        unfinished: Arc::default(),
        last_id: Arc::default(),
    };
    let router = Router::new()
        .route("/jobs", post(order))
        .route("/jobs/{id}", delete(cancel))
        .with_state(app)
        .nest("/live", tidegate::axum::router(hub.clone()));
    site::serve(router, &hub, "job_queue", "127.0.0.1:8431").await
}

/// Accepts a job, and answers at once with the topic to watch.
async fn order(State(app): State<App>, Json(order): Json<Order>) -> (StatusCode, Json<Value>) {
    if order.steps == 0 || order.steps > STEPS_MAX {
        let error = json!({"error": format!("steps may be 1 to {STEPS_MAX}")});
        return (StatusCode::BAD_REQUEST, Json(error));
    }
    let mut unfinished = app.unfinished.lock().expect("nobody panics with it");
    if unfinished.len() >= JOBS_MAX {
        let error = json!({"error": "too many jobs are waiting; try again later"});
        return (StatusCode::SERVICE_UNAVAILABLE, Json(error));
    }
    let id = (app.last_id.fetch_add(1, Ordering::Relaxed) + 1).to_string();
    let job = Arc::new(Job {
        id: id.clone(),
        order,
        done: AtomicU32::new(0),
        begun: OnceLock::new(),
    });
    let work = tokio::spawn(work(app.clone(), Arc::clone(&job)));
    unfinished.insert(id.clone(), work.abort_handle());
    tokio::spawn(see_through(app.clone(), job, work));
    let topic = format!("job:{id}");
    let answer = json!({"job_id": id, "topic": topic});
    (StatusCode::ACCEPTED, Json(answer))
}

/// Waits for a worker, and reports each step.
async fn work(app: App, job: Arc<Job>) -> Worked {
    let tell = |update: JobUpdate| app.jobs.send(&job.id, job.whole(update));
    tell(JobUpdate::new("QUEUED")).await?;
    let _worker = app.workers.acquire().await?;
    job.begun.get_or_init(Instant::now);
    for step in 1..=job.order.steps {
        // Your job's work goes here.
        tokio::time::sleep(STEP).await;
        match job.order.trouble.as_deref() {
            Some("error") if step * 2 > job.order.steps => return Err("the disk is full".into()),
            Some("panic") if step * 2 > job.order.steps => panic!("a bug in the job"),
            _ => {}
        }
        job.done.store(step, Ordering::Relaxed);
        tell(JobUpdate::running()).await?;
    }
    Ok(())
}

/// Reports how a job ended, however it did.
async fn see_through(app: App, job: Arc<Job>, work: JoinHandle<Worked>) {
    let last = match work.await {
        Ok(Ok(())) => JobUpdate::complete(),
        Ok(Err(error)) => JobUpdate::failed(error.to_string()),
        Err(end) if end.is_cancelled() => JobUpdate::cancelled(),
        Err(_) => JobUpdate::failed("the job panicked"),
    };
    if let Err(error) = app.jobs.send(&job.id, job.whole(last)).await {
        eprintln!("job {}: {error}", job.id);
    }
    let mut unfinished = app.unfinished.lock().expect("nobody panics with it");
    unfinished.remove(&job.id);
}

/// Cancels a job, whether it is waiting or running.
async fn cancel(State(app): State<App>, Path(id): Path<String>) -> StatusCode {
    let unfinished = app.unfinished.lock().expect("nobody panics with it");
    match unfinished.get(&id) {
        Some(work) => {
            work.abort();
            StatusCode::ACCEPTED
        }
        None => StatusCode::NOT_FOUND,
    }
}
