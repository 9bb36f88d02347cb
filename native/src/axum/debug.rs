//! `GET /debug`: where topics live, how the link there is, and how much the hub holds. For whoever is at this machine.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tidegate_core::protocol::ErrorCode;

use super::Served;
use super::error::HttpError;
use crate::hub::BackendLink;

/// Refuses whoever does not call from this machine.
pub(super) async fn from_loopback(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    match obstacle(peer.map(|ConnectInfo(peer)| *peer), request.headers()) {
        None => next.run(request).await,
        Some(message) => {
            HttpError::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message).into_response()
        }
    }
}

/// What speaks against an answer.
fn obstacle(peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<&'static str> {
    let Some(peer) = peer else {
        return Some(
            "who asks is not known; serve the application by into_make_service_with_connect_info::<SocketAddr>()",
        );
    };
    // A proxy on this machine asks for others.
    let is_forwarded = headers.contains_key(FORWARDED) || headers.contains_key("x-forwarded-for");
    let is_near = peer.ip().to_canonical().is_loopback();
    (is_forwarded || !is_near).then_some(
        "this is told on the machine of the server only, and not through a proxy; ask there: curl http://127.0.0.1:8420/debug",
    )
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn is_let_in(peer: Option<&str>, header: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(name) = header {
            headers.insert(name, "for=192.0.2.7".parse().expect("valid"));
        }
        obstacle(peer.map(|peer| peer.parse().expect("valid")), &headers).is_none()
    }

    #[test]
    fn only_callers_of_this_machine_are_told() {
        for near in [
            "127.0.0.1:9",
            "127.8.0.1:9",
            "[::1]:9",
            "[::ffff:127.0.0.1]:9",
        ] {
            assert!(is_let_in(Some(near), None), "{near}");
            assert!(!is_let_in(Some(near), Some("forwarded")), "{near}");
            assert!(!is_let_in(Some(near), Some("x-forwarded-for")), "{near}");
        }
        for far in [
            "192.0.2.7:9",
            "10.0.0.1:9",
            "[2001:db8::1]:9",
            "[::ffff:192.0.2.7]:9",
        ] {
            assert!(!is_let_in(Some(far), None), "{far}");
        }
        assert!(!is_let_in(None, None));
    }
}
