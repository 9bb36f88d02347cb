//! `GET /debug`: where topics live, how the link there is, and how much the hub holds.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Served;
use super::error::HttpError;
use crate::hub::BackendLink;

pub(super) async fn debug(State(served): State<Served>) -> Result<Json<Value>, HttpError> {
    let counts = served.hub.counts().await?;
    let health = served.hub.backend().map(|health| health.borrow().clone());
    let backend = match &health {
        Some(health) => json!({
            "name": health.name,
            "why": served.hub.backend_reason(),
            "link": match health.link {
                BackendLink::Opening => "opening",
                BackendLink::Live => "live",
                BackendLink::Stale => "stale",
            },
            "stale": health.link == BackendLink::Stale,
            "last_error": health.last_error.as_ref().map(ToString::to_string),
        }),
        None => json!({
            "name": "memory",
            "why": served.hub.backend_reason(),
            "link": "live",
            "stale": false,
            "last_error": null,
        }),
    };
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "backend": backend,
        "connections": counts.connections,
        "sse_connections": served.event_streams.count(),
        "subscriptions": counts.hub.subscriptions,
        "topics": counts.hub.topics,
        "gates": counts.hub.gates,
        "uplink": {
            "followed": counts.uplink.followed,
            "behind": counts.uplink.behind,
            "parked": counts.uplink.parked,
            "publishes": counts.uplink.publishes,
        },
    })))
}
