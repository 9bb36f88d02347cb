//! An application of your own that starts work on request and lets its callers watch.
//!
//! ```text
//! cargo run --example axum_app -- 127.0.0.1:8421
//! curl -X POST http://127.0.0.1:8421/count -d '{"upto": 30000000}'
//! curl -N 'http://127.0.0.1:8421/live/events?topic=job:1&throttle=200ms'
//! ```
//!
//! The work counts primes. Its dashboard is at <http://127.0.0.1:8421/live>.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate::EndReason;
use tidegate::serve::{ServeConfig, Server, stop_signal};
use tidegate::{Hub, Publish, PublishError};

/// How many numbers are tested between two updates. Subscribers throttle, so the work needn't.
const STEP: u64 = 20_000;

/// The most that one request may ask for.
const UPTO_MAX: u64 = 100_000_000;

#[derive(Clone)]
struct App {
    hub: Hub,
    next_job: Arc<AtomicU64>,
}

#[derive(Deserialize)]
struct Order {
    upto: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8421");
    let hub = Hub::new(Default::default())?;
    let app = App {
        hub: hub.clone(),
        next_job: Arc::new(AtomicU64::new(1)),
    };
    let router = Router::new()
        .route("/count", post(start))
        .with_state(app)
        .nest("/live", tidegate::axum::router(hub.clone()));
    let server = Server::new(ServeConfig::default());
    let server = server.bind(&address.parse()?).await?;
    let stop = stop_signal();
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }
    server.run_with_hub(router, &hub, stop).await;
    Ok(())
}

/// Starts a job and answers at once with the topic to watch.
async fn start(State(app): State<App>, Json(order): Json<Order>) -> (StatusCode, Json<Value>) {
    if order.upto > UPTO_MAX {
        let error = json!({"error": format!("upto may be {UPTO_MAX}")});
        return (StatusCode::BAD_REQUEST, Json(error));
    }
    let id = app.next_job.fetch_add(1, Ordering::Relaxed);
    let topic = format!("job:{id}");
    tokio::spawn(count_and_tell(app.hub, topic.clone(), id, order.upto));
    (StatusCode::ACCEPTED, Json(json!({"topic": topic})))
}

async fn count_and_tell(hub: Hub, topic: String, id: u64, upto: u64) {
    if let Err(error) = count(&hub, &topic, id, upto).await {
        eprintln!("{topic}: {error}");
    }
}

async fn count(hub: &Hub, topic: &str, id: u64, upto: u64) -> Result<(), PublishError> {
    let started = Instant::now();
    let started_at = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let update = |done: u64, status: &str, message: String| {
        json!({
            "job_id": id.to_string(), "name": format!("primes up to {upto}"), "status": status,
            "done": done, "total": upto, "unit": "numbers", "message": message,
            "started_at": started_at, "elapsed_ms": started.elapsed().as_millis(),
        })
    };
    let (mut done, mut primes) = (0, 0);
    while done < upto {
        let to = (done + STEP).min(upto);
        let step = tokio::task::spawn_blocking(move || primes_within(done + 1, to));
        primes += step.await.expect("counting does not panic");
        done = to;
        hub.publish(topic, &update(done, "RUNNING", format!("{primes} so far")))
            .await?;
    }
    let last = update(done, "COMPLETE", format!("{primes} primes"));
    hub.publish_with(topic, &last, Publish::end(EndReason::Complete))
        .await?;
    Ok(())
}

fn primes_within(from: u64, to: u64) -> u64 {
    (from..=to).filter(|number| is_prime(*number)).count() as u64
}

fn is_prime(number: u64) -> bool {
    number > 1
        && (2..)
            .take_while(|divisor| divisor * divisor <= number)
            .all(|divisor| !number.is_multiple_of(divisor))
}
