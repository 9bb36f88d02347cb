//! A web server that shows jobs of other processes, with which it shares nothing but a backend.
//!
//! ```text
//! export TIDEGATE_BACKEND=redis://127.0.0.1:6379
//! cargo run --example web -- 127.0.0.1:8421
//! cargo run --example web -- 127.0.0.1:8422
//! cargo run --example job -- 7 30000000
//! ```
//!
//! Both servers show the job, at <http://127.0.0.1:8421/live> and <http://127.0.0.1:8422/live>, and both report how it
//! ended: `curl http://127.0.0.1:8422/jobs/7`. `curl http://127.0.0.1:8421/live/debug` shows which backend they found.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use futures_util::StreamExt as _;
use tidegate::serve::{ServeConfig, Server, stop_signal};
use tidegate::{Broadcaster, Hub, JobUpdate};

type Failure = (StatusCode, String);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8421");
    let hub = Hub::from_env().await?;
    let router = Router::new()
        .route("/jobs/{id}", get(job))
        .with_state(Broadcaster::from_hub(hub.clone())?)
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

/// Waits for the end of a job, and answers with its last update.
async fn job(
    State(jobs): State<Broadcaster>,
    Path(id): Path<String>,
) -> Result<Json<JobUpdate>, Failure> {
    let failed = |error: &dyn std::error::Error| (StatusCode::BAD_GATEWAY, error.to_string());
    let mut updates = jobs.subscribe(&id).await.map_err(|error| failed(&error))?;
    let mut last = None;
    while let Some(update) = updates.next().await {
        last = Some(update.map_err(|error| failed(&error))?);
    }
    last.map(Json)
        .ok_or_else(|| failed(&tidegate::client::ClientError::Closed))
}
