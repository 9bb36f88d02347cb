//! Events of runs, in the backend of your choice: the same program works on one machine and on many.
//!
//! ```text
//! cargo run --example run_events
//! TIDEGATE_BACKEND=redis://127.0.0.1:6379 cargo run --example run_events -- 127.0.0.1:8435
//! curl -X POST http://127.0.0.1:8434/runs -H 'Content-Type: application/json' -d '{"name": "Small model", "steps": 60}'
//! ```
//!
//! Its page is at <http://127.0.0.1:8434>. If `TIDEGATE_BACKEND` is unset or `auto`, it takes the first of these that
//! answers: `REDIS_URL`, `DATABASE_URL`, or else an SQLite file. Programs with the same backend show the same runs.

mod site;

use std::error::Error;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate::EndReason;
use tidegate::core::topic::{Name, Room, TopicError};
use tidegate::{Event, Hub, Publish, PublishError};

/// How long a step takes.
const STEP: Duration = Duration::from_millis(60);

/// The most steps of a run. Its events have to fit into its topic's history, from which late viewers get them.
const STEPS_MAX: u32 = 120;

/// This application's own kind of room: `run:ID`.
struct RunRoom(Name);

impl Room for RunRoom {
    const KIND: &'static str = "run";
    type Id = Name;

    fn from_id(id: Name) -> Self {
        Self(id)
    }

    fn id(&self) -> &Name {
        &self.0
    }
}

/// An event of a run. No event replaces an earlier one: viewers need all of them.
#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum RunEvent {
    Started { name: String, steps: u32 },
    Loss { step: u32, value: f64 },
    Checkpoint { step: u32 },
    Finished { loss: f64 },
    Failed { why: String },
}

impl RunEvent {
    fn end(&self) -> Option<EndReason> {
        match self {
            Self::Started { .. } | Self::Loss { .. } | Self::Checkpoint { .. } => None,
            Self::Finished { .. } => Some(EndReason::Complete),
            Self::Failed { .. } => Some(EndReason::Failed),
        }
    }
}

#[derive(Deserialize)]
struct Order {
    name: String,
    steps: u32,
    /// The step at which it fails, for demonstration.
    fails_at: Option<u32>,
}

type Failure = (StatusCode, String);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // This line is all it takes to choose the backend.
    let hub = Hub::from_env().await?;
    if let Some(health) = hub.backend() {
        let why = hub.backend_reason().unwrap_or("nobody said why");
        eprintln!("backend: {} ({why})", health.borrow().name);
    }
    let router = Router::new()
        .route("/runs", post(order))
        .route("/runs/{id}", get(end))
        .with_state(hub.clone())
        .nest("/live", tidegate::axum::router(hub.clone()));
    site::serve(router, &hub, "run_events", "127.0.0.1:8434").await
}

/// Starts a run, and answers at once with the topic of its events.
async fn order(
    State(hub): State<Hub>,
    Json(order): Json<Order>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    if order.steps == 0 || order.steps > STEPS_MAX {
        let why = format!("steps may be 1 to {STEPS_MAX}");
        return Err((StatusCode::BAD_REQUEST, why));
    }
    // Another program may start a run at the same time, so counting ids would collide.
    let mut id = [0; 6];
    getrandom::fill(&mut id)
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let room = room(&id)?;
    let topic = room.topic();
    let answer = json!({"run_id": id, "topic": topic.as_str()});
    tokio::spawn(async move {
        if let Err(error) = train(&hub, &room, order).await {
            eprintln!("{topic}: {error}");
        }
    });
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

async fn train(hub: &Hub, room: &RunRoom, order: Order) -> Result<(), PublishError> {
    let Order {
        name,
        steps,
        fails_at,
    } = order;
    tell(hub, room, RunEvent::Started { name, steps }).await?;
    let mut loss = 0.0;
    for step in 1..=steps {
        // Your run's work goes here.
        tokio::time::sleep(STEP).await;
        if fails_at == Some(step) {
            let why = format!("the loss is not a number at step {step}");
            return tell(hub, room, RunEvent::Failed { why }).await;
        }
        loss = 2.0 / (1.0 + 0.15 * f64::from(step))
            + 0.1 * f64::from(step * step % 7) / f64::from(step);
        tell(hub, room, RunEvent::Loss { step, value: loss }).await?;
        if step.is_multiple_of(20) {
            tell(hub, room, RunEvent::Checkpoint { step }).await?;
        }
    }
    tell(hub, room, RunEvent::Finished { loss }).await
}

async fn tell(hub: &Hub, room: &RunRoom, event: RunEvent) -> Result<(), PublishError> {
    let publish = Publish {
        end: event.end().map(Into::into),
        ..Publish::default()
    };
    hub.publish_with(room.topic().as_str(), &event, publish)
        .await?;
    Ok(())
}

/// Waits for the end of a run, and answers with its last event.
async fn end(State(hub): State<Hub>, Path(id): Path<String>) -> Result<Json<RunEvent>, Failure> {
    let failed = |error: &dyn Error| (StatusCode::BAD_GATEWAY, error.to_string());
    let following = hub.subscribe(room(&id)?.topic().as_str()).await;
    let mut following = following.map_err(|error| failed(&error))?;
    while let Some(event) = following.next().await {
        if let Event::Publication(publication) = event
            && publication.end.is_some()
        {
            let last = publication.payload.parse();
            return Ok(Json(last.map_err(|error| failed(&error))?));
        }
    }
    Err((StatusCode::SERVICE_UNAVAILABLE, "this server stops".into()))
}

/// The room of a run, if its id can be one.
fn room(id: &str) -> Result<RunRoom, Failure> {
    let name =
        Name::new(id).map_err(|error: TopicError| (StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(RunRoom::from_id(name))
}
