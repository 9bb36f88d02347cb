//! Background jobs of a web server: an HTTP request starts one, and anyone can follow it by Server-Sent Events, with
//! nothing but HTTP.
//!
//! ```text
//! cargo run --example background_jobs
//! curl -X POST http://127.0.0.1:8432/reports -H 'Content-Type: application/json' -d '{"title": "Sales", "pages": 30}'
//! curl -N 'http://127.0.0.1:8432/live/events?topic=report:1'
//! curl http://127.0.0.1:8432/debug
//! ```
//!
//! Its page is at <http://127.0.0.1:8432>.

mod site;

use std::collections::VecDeque;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate::EndReason;
use tidegate::{Event, Hub, Publish, PublishError, Stopped, Subscription};

/// The most pages that a report may have.
const PAGES_MAX: u32 = 1_000;

/// How long a page takes.
const PAGE: Duration = Duration::from_millis(100);

/// How many events `/debug` shows.
const RECENT_MAX: usize = 20;

#[derive(Clone)]
struct App {
    hub: Hub,
    last_id: Arc<AtomicU64>,
    recent: Arc<Mutex<VecDeque<Seen>>>,
}

#[derive(Deserialize)]
struct Order {
    title: String,
    pages: u32,
}

/// What `/debug` shows of an event.
#[derive(Clone, Serialize)]
struct Seen {
    topic: String,
    offset: u64,
    is_last: bool,
    data: Value,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hub = Hub::new(Default::default())?;
    let app = App {
        hub: hub.clone(),
        last_id: Arc::default(),
        recent: Arc::default(),
    };
    // The program subscribes to its own events, like any other subscriber.
    let events = hub.subscribe("report:*").await?;
    tokio::spawn(remember(events, app.recent.clone()));
    let router = Router::new()
        .route("/reports", post(order))
        .route("/debug", get(debug))
        .with_state(app)
        .nest("/live", tidegate::axum::router(hub.clone()));
    site::serve(router, &hub, "background_jobs", "127.0.0.1:8432").await
}

/// Starts a job, and answers at once with the address of its events.
async fn order(State(app): State<App>, Json(order): Json<Order>) -> Response {
    if order.pages == 0 || order.pages > PAGES_MAX {
        let error = json!({"error": format!("a report has 1 to {PAGES_MAX} pages")});
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    }
    let id = app.last_id.fetch_add(1, Ordering::Relaxed) + 1;
    let topic = format!("report:{id}");
    tokio::spawn(write_and_tell(app.hub, topic.clone(), order));
    let events = format!("/live/events?topic={topic}&throttle=200ms");
    let answer = Json(json!({"topic": topic, "events": events}));
    (StatusCode::ACCEPTED, [(LOCATION, events)], answer).into_response()
}

async fn write_and_tell(hub: Hub, topic: String, order: Order) {
    if let Err(error) = write(&hub, &topic, &order).await {
        eprintln!("{topic}: {error}");
    }
}

/// Publishes whenever there is something new: readers decide how often they are updated.
async fn write(hub: &Hub, topic: &str, order: &Order) -> Result<(), PublishError> {
    let started = Instant::now();
    let update = |done: u32, status: &str| {
        json!({
            "name": order.title, "status": status, "done": done, "total": order.pages, "unit": "pages",
            "elapsed_ms": started.elapsed().as_millis(),
        })
    };
    for page in 0..order.pages {
        hub.publish(topic, &update(page, "RUNNING")).await?;
        // Your job's work goes here.
        tokio::time::sleep(PAGE).await;
    }
    let last = Publish::end(EndReason::Complete);
    hub.publish_with(topic, &update(order.pages, "COMPLETE"), last)
        .await?;
    Ok(())
}

/// Keeps the last events for `/debug`.
async fn remember(mut events: Subscription, recent: Arc<Mutex<VecDeque<Seen>>>) {
    while let Some(event) = events.next().await {
        let Event::Publication(publication) = event else {
            continue;
        };
        let mut recent = recent.lock().expect("nobody panics with it");
        recent.truncate(RECENT_MAX - 1);
        recent.push_front(Seen {
            topic: publication.topic.to_string(),
            offset: publication.position.offset,
            is_last: publication.end.is_some(),
            data: publication.payload.parse().unwrap_or_default(),
        });
    }
}

/// What the hub holds, and the latest events.
async fn debug(State(app): State<App>) -> Result<Json<Value>, StatusCode> {
    let counts = app.hub.counts().await;
    let counts = counts.map_err(|_: Stopped| StatusCode::SERVICE_UNAVAILABLE)?;
    let recent = app.recent.lock().expect("nobody panics with it").clone();
    Ok(Json(json!({
        "connections": counts.connections,
        "topics": counts.hub.topics,
        "recent": recent,
    })))
}
