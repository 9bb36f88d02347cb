//! The HTTP endpoints of a hub, to be mounted in any axum application.
//!
//! | | |
//! |---|---|
//! | `GET /ws` | WebSocket, subprotocol `tidegate.v1.json` |
//! | `GET /events?topic=…` | Server-Sent Events; see [`EventsQuery`] |
//! | `POST /publish` | `{"topic": …, "data": …, "end"?: …, "id"?: …, "restart"?: …}`, answered by the position |
//! | `GET /healthz` | 200 while the hub runs |
//! | `GET /` and `/assets/…` | the dashboard |
//!
//! Requests that a browser makes for a page of another origin are refused: a page on some other site must not
//! be able to watch or publish on its reader's machine.

mod dashboard;
mod error;
mod events;
mod origin;
mod publish;
mod websocket;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};

pub use events::EventsQuery;

use crate::Hub;

/// Everything that a hub serves, the dashboard included.
pub fn router(hub: Hub) -> Router {
    endpoints(hub).merge(dashboard::router())
}

/// What a hub serves to programs: `/ws`, `/events`, `/publish`, `/healthz`.
pub fn endpoints(hub: Hub) -> Router {
    Router::new()
        .route("/ws", get(websocket::upgrade))
        .route("/events", get(events::events))
        .route("/publish", post(publish::publish))
        .layer(DefaultBodyLimit::max(hub.frame_bytes_max()))
        .layer(middleware::from_fn(origin::same_origin))
        .route("/healthz", get(healthz))
        .with_state(hub)
}

async fn healthz(
    axum::extract::State(hub): axum::extract::State<Hub>,
) -> Result<&'static str, error::HttpError> {
    hub.counts().await?;
    Ok("ok\n")
}
