//! Tasks that people talk about: a room for each task, a room for each user, and a login.
//!
//! ```text
//! cargo run --example task_chat
//! ```
//!
//! Its page is at <http://127.0.0.1:8435>; open it in two windows, as ada and as ben. What is said in a task's room goes to
//! all who follow tasks; what concerns one person (`@ben`, or what becomes of their task) goes to their room, too, where it waits for
//! whoever is away.

mod log;
#[path = "../site/mod.rs"]
mod site;
mod user;

use std::error::Error;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use log::Log;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate::bus::{BusEvent, Task};
use tidegate::client::ClientError;
use tidegate::core::history::{HistoryLimits, HistoryRules};
use tidegate::core::protocol::ErrorCode;
use tidegate::core::topic::{Room as _, TaskRoom, UserRoom, Uuid};
use tidegate::{AccessConfig, Client, Config, EventBus, Hub, TaskEvents};
use user::{Logins, USERS, User};

#[derive(Clone)]
struct App {
    logins: Logins,
    bus: EventBus,
    tasks: TaskEvents,
    log: Log,
}

type Failure = (StatusCode, String);

/// A task, as its first event describes it.
#[derive(Serialize, Deserialize)]
struct TaskCard {
    title: String,
    owner: u64,
}

#[derive(Serialize, Deserialize)]
struct Message {
    from: String,
    text: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let logins = Logins::new()?;
    let mut config = Config {
        access: AccessConfig {
            authenticate: Some(logins.verifier()),
            ..AccessConfig::default()
        },
        ..Config::default()
    };
    // After a week away, users still get what concerned them meanwhile.
    let kept = HistoryLimits {
        count_max: 1000,
        age_max: Duration::from_secs(7 * 24 * 60 * 60),
        ..HistoryLimits::default()
    };
    config.server.hub.histories = HistoryRules::none().with(UserRoom::all(), kept);
    let hub = Hub::new(config)?;
    let log = Log::of(&hub).await?;
    let bus = EventBus::new(Client::from_hub(hub.clone())?);
    let mentioning = bus.clone();
    bus.subscribe_async("chat:message", move |event| {
        mention(mentioning.clone(), event)
    })
    .await?
    .forever();
    let app = App {
        logins,
        tasks: TaskEvents::new(bus.clone()),
        bus,
        log,
    };
    let router = Router::new()
        .route("/login", post(user::login))
        .route("/rooms", get(rooms))
        .route("/tasks", post(create))
        .route("/tasks/{id}/messages", post(say))
        .route("/tasks/{id}/complete", post(complete))
        .with_state(app)
        .nest("/live", tidegate::axum::router(hub.clone()));
    site::serve(router, &hub, "task_chat", "127.0.0.1:8435").await
}

/// What was said so far, for new viewers.
async fn rooms(State(app): State<App>, _: User) -> Json<Vec<Value>> {
    Json(app.log.rooms())
}

/// `task:created`, in the task's room and its owner's.
async fn create(
    State(app): State<App>,
    user: User,
    Json(title): Json<String>,
) -> Result<Json<Value>, Failure> {
    let id = new_id()?;
    let task = Task { id, owner: user.id };
    let card = TaskCard {
        title,
        owner: user.id,
    };
    app.tasks.created(task, &card).await.map_err(failure)?;
    app.log.heard(id, "task:created").await?;
    Ok(Json(json!({"topic": TaskRoom(id).topic().as_str()})))
}

/// Says something in a task's room. The speaker is known by their token, and not by what the page claims.
async fn say(
    State(app): State<App>,
    user: User,
    Path(id): Path<String>,
    Json(text): Json<String>,
) -> Result<StatusCode, Failure> {
    let id = app.log.task(&id)?.0;
    let from = user.name.to_owned();
    let said = Message { from, text };
    let published = app.bus.publish_to_task(id, "chat:message", &said).await;
    published.map_err(failure)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `task:completed`: the last event of the task's room. Only its owner may say so.
async fn complete(
    State(app): State<App>,
    user: User,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let (id, card) = app.log.task(&id)?;
    if card.owner != user.id {
        return Err((StatusCode::FORBIDDEN, "it is not your task".into()));
    }
    let task = Task { id, owner: user.id };
    let completed = app.tasks.completed(task, &card).await;
    completed.map_err(failure)?;
    app.log.heard(id, "task:completed").await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Notifies those whom a message mentions, each in their own room.
async fn mention(bus: EventBus, event: BusEvent) {
    let Ok(said) = event.parse::<Message>() else {
        return;
    };
    for (id, name) in USERS {
        if said
            .text
            .split_whitespace()
            .any(|word| word == format!("@{name}"))
        {
            let data = json!({"from": said.from, "text": said.text, "room": event.room.as_str()});
            if let Err(error) = bus.publish_to_user(id, "chat:mention", &data).await {
                eprintln!("{name} was not told: {error}");
            }
        }
    }
}

fn failure(error: ClientError) -> Failure {
    let status = match &error {
        ClientError::Refused(error) if error.code == ErrorCode::TopicEnded => StatusCode::CONFLICT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, error.to_string())
}

/// A random UUID (version 4).
fn new_id() -> Result<Uuid, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(Uuid::from_bytes(bytes))
}
