//! Several people label reviews, on as many servers as you like. Everybody sees how far the work is and who takes part, and no label is
//! lost or counted twice, whichever server is killed.
//!
//! ```text
//! cargo run --example labeling
//! ```
//!
//! Its page is at <http://127.0.0.1:8433>; open it in two windows, under two names, and <http://127.0.0.1:8433/admin> beside
//! them. Nobody is asked to prove their name here: the example `task_chat` shows how. Two servers, once a Redis runs:
//!
//! ```text
//! cargo run --example labeling -- 127.0.0.1:8433 --backend redis://127.0.0.1 --labels labels.db
//! cargo run --example labeling -- 127.0.0.1:8533 --backend redis://127.0.0.1 --labels labels.db
//! ```

mod labels;
#[path = "../site/mod.rs"]
mod site;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use clap::Parser;
use labels::{Label, Labels, Stored};
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate::EndReason;
use tidegate::backend::{Address, Keep, choose};
use tidegate::core::progress::Tally;
use tidegate::progress::{Progress, ProgressOptions};
use tidegate::{Hub, Presence};
use tokio::sync::Notify;

/// The name of the work, and the room where labelers are present.
const WORK: &str = "labeling:reviews";

/// Opinions about things, one per line.
const OPINIONS: &str = include_str!("../pages/reviews.txt");

/// The things.
const THINGS: &str = "a lamp, a radio, a kettle, a chair, a tent, a puzzle, a mirror, a clock, a suitcase, a bicycle, \
     a toaster, a camera, a coat, a drill, a keyboard, a pillow, a guitar, a fan, a telescope, a mug";

/// How often stored labels are read, to count those that a killed server stored but did not report.
const READ_BACK_EVERY: Duration = Duration::from_secs(2);

/// A server of the labeling.
#[derive(Parser)]
struct Arguments {
    /// Where to listen
    #[arg(default_value = "127.0.0.1:8433")]
    address: String,
    /// Where topics live: `memory`, or what several servers share, such as redis://127.0.0.1
    #[arg(long, default_value = "memory")]
    backend: Address,
    /// The file with the labels, which several servers share; without it they are forgotten
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
}

#[derive(Clone)]
struct App {
    room: Presence,
    labels: Arc<Labels>,
    progress: Progress,
    /// Notified when the last review may have been labelled.
    last: Arc<Notify>,
}

#[derive(Deserialize)]
struct Who {
    labeler: String,
}

#[derive(Deserialize)]
struct Labelling {
    labeler: String,
    item: u32,
    label: Label,
}

type Failure = (StatusCode, String);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let count = u32::try_from(reviews().count())?;
    let labels = Arc::new(Labels::open(arguments.labels.as_deref(), count)?);
    let no_environment = |_: &str| None;
    let choice = choose(Some(arguments.backend), no_environment, &Keep::default()).await?;
    let hub = Hub::with_choice(Default::default(), &choice)?;
    let options = ProgressOptions {
        stored: Some(tally(&labels.stored()?)),
        ..ProgressOptions::default()
    };
    let progress = hub.progress(WORK, options).await?;
    progress.target(Some(count.into()))?;
    progress.start()?;
    let app = App {
        room: hub.presence(WORK)?,
        labels,
        progress,
        last: Arc::default(),
    };
    tokio::spawn(read_back(app.clone()));
    let router = Router::new()
        .route("/next", post(next))
        .route("/labels", post(label).get(labelled))
        .with_state(app)
        .nest("/live", tidegate::axum::router(hub.clone()));
    let router = site::with_page(router, "/admin", "labeling/admin.html");
    site::serve_at(router, &hub, "labeling", &arguments.address).await
}

/// Every opinion about every thing.
fn reviews() -> impl Iterator<Item = String> {
    let things = THINGS.split(',').map(str::trim);
    things.flat_map(|thing| {
        let opinions = OPINIONS.lines();
        opinions.map(move |opinion| format!("Of {thing}: {opinion}"))
    })
}

/// Assigns a labeler a review that nobody else who is present holds. Answers 204 if none is left.
async fn next(
    State(app): State<App>,
    Json(Who { labeler }): Json<Who>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let present = app.room.list().await.map_err(unavailable)?;
    let present: Vec<String> = present.iter().map(|known| known.key.to_string()).collect();
    if !present.contains(&labeler) {
        let why = "be present first, so that others know";
        return Err((StatusCode::CONFLICT, why.into()));
    }
    let given = blocking(move || app.labels.give(&labeler, &present)).await?;
    let review = given.and_then(|item| Some((item, reviews().nth(item as usize)?)));
    Ok(match review {
        Some((item, text)) => (StatusCode::OK, Json(json!({"item": item, "text": text}))),
        None => (StatusCode::NO_CONTENT, Json(Value::Null)),
    })
}

/// Accepts a label from the labeler who holds the review.
async fn label(
    State(app): State<App>,
    Json(labelling): Json<Labelling>,
) -> Result<StatusCode, Failure> {
    // In a task of its own, because the caller may disconnect: what is stored here has to be counted here.
    tokio::spawn(store_and_count(app, labelling))
        .await
        .map_err(unavailable)?
}

/// Stores the label first, then counts it, so that nothing is counted that may still be lost.
async fn store_and_count(app: App, labelling: Labelling) -> Result<StatusCode, Failure> {
    let Labelling {
        labeler,
        item,
        label,
    } = labelling;
    let (labels, node, by) = (app.labels.clone(), app.progress.node(), labeler.clone());
    if !blocking(move || labels.label(item, label, &by, node)).await? {
        let why = "it is not with you, or it has a label";
        return Err((StatusCode::CONFLICT, why.into()));
    }
    app.progress.done(&labeler, 1).await.map_err(unavailable)?;
    let labels = app.labels.clone();
    if blocking(move || labels.is_done()).await? {
        app.last.notify_one();
    }
    Ok(StatusCode::NO_CONTENT)
}

/// What is stored.
async fn labelled(State(app): State<App>) -> Result<Json<Value>, Failure> {
    let labels = app.labels.clone();
    let summary = blocking(move || labels.summary()).await?;
    Ok(Json(json!(summary)))
}

/// Counts what was stored but not reported, until there is no more to do.
async fn read_back(app: App) {
    let mut known = Stored::default();
    loop {
        match read_back_once(&app, &mut known).await {
            Ok(true) => return,
            Ok(false) => {}
            Err((_, why)) => eprintln!("the labels could not be read back: {why}"),
        }
        // After the last label, there is no need to wait.
        let _ = tokio::time::timeout(READ_BACK_EVERY, app.last.notified()).await;
    }
}

/// Returns whether there is no more to do.
async fn read_back_once(app: &App, known: &mut Stored) -> Result<bool, Failure> {
    let labels = app.labels.clone();
    // In this order: if all items have labels, the counts include all of them.
    let (is_done, stored) = blocking(move || Ok((labels.is_done()?, labels.stored()?))).await?;
    if stored != *known {
        app.progress
            .read_back(tally(&stored))
            .map_err(unavailable)?;
        *known = stored;
    }
    if is_done {
        app.progress.end(EndReason::Complete).map_err(unavailable)?;
    }
    Ok(is_done)
}

fn tally(stored: &Stored) -> Tally {
    let mut tally = Tally::default();
    for (node, counts) in stored {
        tally.join(&Tally::from_counts(*node, counts.clone()));
    }
    tally
}

/// Runs what blocks on the file on a thread for blocking work.
async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(act).await;
    done.map_err(unavailable)?.map_err(unavailable)
}

fn unavailable(error: impl Error) -> Failure {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}
