//! `GET /debug`: where topics live, the state of the link there and of the keys for tokens, and how much the hub holds.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Served;
use super::error::HttpError;
use crate::hub::BackendLink;
use crate::shard::TopicSeen;

/// The most topics that are reported.
const TOPICS_MAX: usize = 1_000;

/// The most characters of a topic's latest value that are reported.
const VALUE_CHARACTERS_MAX: usize = 160;

/// The query of `GET /debug`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DebugQuery {
    /// How many topics to report.
    topics: Option<usize>,
}

pub(super) async fn debug(
    State(served): State<Served>,
    Query(query): Query<DebugQuery>,
) -> Result<Json<Value>, HttpError> {
    let (counts, totals) = served.hub.totals().await?;
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
    let mut told = json!({
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
    });
    if let Some(keys) = served.hub.door().key_set() {
        told["keys"] = json!({
            "url": keys.url,
            "count": keys.count,
            "age_s": keys.age.map(|age| age.as_secs()),
            "last_error": keys.last_error,
        });
    }
    if let Some(most) = query.topics {
        let seen = served.hub.survey(most.min(TOPICS_MAX)).await?;
        told["latest_topics"] = seen.iter().map(topic).collect();
        told["done"] = json!({
            "publishes": totals.publishes,
            "frames": totals.frames,
            "messages": totals.messages,
        });
    }
    Ok(Json(told))
}

fn topic(seen: &TopicSeen) -> Value {
    let latest = seen.latest.as_ref();
    let value = latest.map(|latest| latest.payload.as_str());
    json!({
        "topic": seen.topic,
        "epoch": seen.position.epoch,
        "offset": seen.position.offset,
        "subscribers": seen.subscribers,
        "lag": seen.lag,
        "idle_ms": u64::try_from(seen.idle.as_millis()).unwrap_or(u64::MAX),
        "end": latest.and_then(|latest| latest.end),
        "value": value.map(|text| text.chars().take(VALUE_CHARACTERS_MAX).collect::<String>()).unwrap_or_default(),
    })
}
