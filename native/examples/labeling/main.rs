//! Several people label reviews: everybody sees the counts and who is here, and nobody gets a review that another one has.
//!
//! ```text
//! cargo run --example labeling
//! ```
//!
//! Its page is at <http://127.0.0.1:8433>; open it in two windows, under two names. Nobody is asked to prove their name
//! here: the example `task_chat` shows how.

mod site;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate::core::lifecycle::EndReason;
use tidegate::core::presence::KeyChangeKind;
use tidegate::{Hub, Presence, PresenceChanges, Publish};
use tokio::sync::Mutex;

/// Where the counts are published, and where labelers are present.
const TOPIC: &str = "labeling:reviews";

/// What is to be labelled, one review a line.
const REVIEWS: &str = include_str!("pages/reviews.txt");

#[derive(Clone)]
struct App {
    hub: Hub,
    room: Presence,
    /// Held while something is published, so that counts are published in their order.
    items: Arc<Mutex<Vec<Item>>>,
}

#[derive(Clone)]
struct Item {
    text: &'static str,
    state: ItemState,
}

#[derive(Clone, PartialEq)]
enum ItemState {
    Open,
    GivenTo(String),
    Labelled { by: String, label: Label },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Label {
    Good,
    Mixed,
    Bad,
}

#[derive(Deserialize)]
struct Who {
    labeler: String,
}

#[derive(Deserialize)]
struct Labelling {
    labeler: String,
    item: usize,
    label: Label,
}

type Failure = (StatusCode, String);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hub = Hub::new(Default::default())?;
    let open = |text| Item {
        text,
        state: ItemState::Open,
    };
    let items: Vec<Item> = REVIEWS.lines().map(open).collect();
    hub.publish(TOPIC, &counts(&items)).await?;
    let app = App {
        room: hub.presence(TOPIC)?,
        hub: hub.clone(),
        items: Arc::new(Mutex::new(items)),
    };
    tokio::spawn(take_back(app.room.watch().await?, app.items.clone()));
    let router = Router::new()
        .route("/next", post(next))
        .route("/labels", post(label))
        .with_state(app)
        .nest("/live", tidegate::axum::router(hub));
    site::serve(router, "labeling", "127.0.0.1:8433").await?;
    Ok(())
}

/// Gives a labeler a review that nobody else has. 204: none is left.
async fn next(
    State(app): State<App>,
    Json(Who { labeler }): Json<Who>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    // Who is here is asked with the items in hand: whoever leaves afterwards gives back what they get now.
    let mut items = app.items.lock().await;
    let present = app.room.list().await.map_err(unavailable)?;
    if !present.iter().any(|known| known.key.as_str() == labeler) {
        return Err((
            StatusCode::CONFLICT,
            "be present first, so that others know".into(),
        ));
    }
    let own = ItemState::GivenTo(labeler);
    let found = items.iter().position(|item| item.state == own);
    let found = found.or_else(|| items.iter().position(|item| item.state == ItemState::Open));
    let Some(number) = found else {
        return Ok((StatusCode::NO_CONTENT, Json(Value::Null)));
    };
    items[number].state = own;
    let answer = json!({"item": number, "text": items[number].text});
    Ok((StatusCode::OK, Json(answer)))
}

/// Takes a label from whoever was given the review.
async fn label(
    State(app): State<App>,
    Json(labelling): Json<Labelling>,
) -> Result<StatusCode, Failure> {
    let mut items = app.items.lock().await;
    let Some(item) = items.get_mut(labelling.item) else {
        return Err((StatusCode::NOT_FOUND, "there is no such review".into()));
    };
    if item.state != ItemState::GivenTo(labelling.labeler.clone()) {
        return Err((StatusCode::CONFLICT, "it is not with you".into()));
    }
    item.state = ItemState::Labelled {
        by: labelling.labeler,
        label: labelling.label,
    };
    let counts = counts(&items);
    let last = counts.done == counts.total;
    let publish = Publish {
        end: last.then_some(EndReason::Complete),
        ..Publish::default()
    };
    let published = app.hub.publish_with(TOPIC, &counts, publish).await;
    published.map_err(unavailable)?;
    Ok(StatusCode::NO_CONTENT)
}

fn unavailable(error: impl Error) -> Failure {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

/// What everybody is told.
#[derive(Default, Serialize)]
struct Counts {
    done: usize,
    total: usize,
    labels: BTreeMap<Label, usize>,
    labelers: BTreeMap<String, usize>,
}

fn counts(items: &[Item]) -> Counts {
    let mut counts = Counts {
        total: items.len(),
        ..Counts::default()
    };
    for item in items {
        if let ItemState::Labelled { by, label } = &item.state {
            counts.done += 1;
            *counts.labels.entry(*label).or_default() += 1;
            *counts.labelers.entry(by.clone()).or_default() += 1;
        }
    }
    counts
}

/// What somebody had who has left is for others again.
async fn take_back(mut changes: PresenceChanges, items: Arc<Mutex<Vec<Item>>>) {
    while let Some(changed) = changes.next().await {
        let mut items = items.lock().await;
        for left in changed
            .iter()
            .filter(|change| change.kind == KeyChangeKind::Left)
        {
            let theirs = ItemState::GivenTo(left.key.as_str().to_owned());
            for item in items.iter_mut().filter(|item| item.state == theirs) {
                item.state = ItemState::Open;
            }
        }
    }
}
