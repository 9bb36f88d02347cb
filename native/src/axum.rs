//! The HTTP endpoints of a hub, to be mounted in any axum application.
//!
//! | | |
//! |---|---|
//! | `GET /ws` | WebSocket, subprotocol `tidegate.v1.json` |
//! | `GET /events?topic=…` | Server-Sent Events; see [`EventsQuery`] |
//! | `POST /publish` | `{"topic": …, "data": …, "end"?: …, "id"?: …, "restart"?: …}`, answered with the position; or an array of up to 1,000 of these, answered with an array of positions and errors |
//! | `GET /latest?topic=…` | the retained latest publications of topics and patterns |
//! | `GET /history?topic=…` | what a topic keeps, since a position |
//! | `GET /presence?topic=…` | who is present in a topic, or how many are |
//! | `POST /ticket` | exchanges a token for a ticket, which opens connections within half a minute, as `?ticket=…` |
//! | `POST /disconnect` | `{"user": …}`: [ends the connections](Hub::disconnect) of a user, on all servers that share the backend; for tokens that may subscribe and publish to `**` |
//! | `GET /user/notifications` | the caller's own room, `user:{int}`, over WebSocket or as Server-Sent Events |
//! | `GET`, `DELETE /user/devices` | the caller's devices that have durable subscriptions; `DELETE` forgets one of them, `?device=NAME` |
//! | `GET /healthz` | 200 while the hub runs |
//! | `GET /readyz` | 200 while it can also reach its backend, and has the keys of tokens |
//! | `GET /debug` | where topics live and how much the hub holds, as JSON; for callers on the same machine, and for tokens that may subscribe to `**` |
//! | `GET /metrics` | how much the hub holds and has done, for Prometheus; for the same callers |
//! | `GET /` and `/assets/…` | the dashboard |
//!
//! Requests of pages of other origins are refused, unless the origin is [allowed](crate::AccessConfig::origins): a page
//! on some other site must not be able to subscribe or publish on its reader's machine. For the same reason, a hub that
//! doesn't ask clients who they are answers callers on its own machine only if they address it as `localhost`,
//! `*.localhost`, by an IP address, or by a host of those origins (otherwise HTTP 403), unless it is
//! [open to everyone](crate::AccessConfig::open_to_everyone). If the router is served by something other than `Server`
//! that doesn't report where callers are, all of them count as callers on the same machine.
//!
//! [`Server`](crate::serve::Server) serves such an application safely to the internet, and shuts it down gracefully.
//! `/debug` and `/metrics` have to know where a caller is: if you serve the application differently, report it with
//! [`into_make_service_with_connect_info::<SocketAddr>()`](axum::Router::into_make_service_with_connect_info).

mod access;
mod answer;
mod body;
mod dashboard;
mod debug;
mod devices;
mod disconnect;
mod error;
mod errors;
mod events;
mod metrics;
mod notifications;
mod operator;
mod origin;
mod presence;
mod publish;
mod reading;
mod served;
mod websocket;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};
use tidegate_core::protocol::ErrorCode;

use crate::Hub;
use crate::auth::KeySetHealth;
use crate::hub::{BackendHealth, BackendLink};
pub use events::EventsQuery;
#[cfg(feature = "fuzzing")]
pub(crate) use events::fuzz::events_query as fuzz_events_query;
use served::Served;

/// All endpoints of a hub, including the dashboard.
pub fn router(hub: Hub) -> Router {
    endpoints(hub).merge(dashboard::router())
}

/// All endpoints of a hub, without the dashboard.
pub fn endpoints(hub: Hub) -> Router {
    let served = Served::new(hub.clone());
    let to_operator = middleware::from_fn_with_state(served.clone(), operator::only);
    let mut router = Router::new()
        .route("/debug", get(debug::debug).layer(to_operator.clone()))
        .route("/metrics", get(metrics::metrics).layer(to_operator))
        .route("/ws", get(websocket::upgrade))
        .route("/events", get(events::events))
        .route("/publish", post(publish::publish))
        .route("/latest", get(reading::latest))
        .route("/history", get(reading::history))
        .route("/presence", get(presence::presence))
        .route("/ticket", post(access::ticket))
        .route("/disconnect", post(disconnect::disconnect))
        .route("/user/notifications", get(notifications::notifications))
        .route("/user/devices", get(devices::list).delete(devices::forget))
        .layer(middleware::from_fn_with_state(hub.clone(), origin::let_in));
    if let Some(shared) = origin::shared_with(&hub) {
        router = router.layer(shared);
    }
    router
        .layer(middleware::map_response_with_state(
            served.clone(),
            errors::count,
        ))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(served)
}

async fn healthz(
    axum::extract::State(hub): axum::extract::State<Hub>,
) -> Result<&'static str, error::HttpError> {
    hub.counts().await?;
    Ok("ok\n")
}

async fn readyz(
    axum::extract::State(hub): axum::extract::State<Hub>,
) -> Result<&'static str, error::HttpError> {
    hub.counts().await?;
    let health = hub.backend().map(|health| health.borrow().clone());
    match health {
        Some(BackendHealth { name, link, .. }) if link != BackendLink::Live => {
            Err(error::HttpError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::Unavailable,
                format!("{name} can't be reached; /debug says why"),
            ))
        }
        Some(_) | None => keys_are_here(&hub),
    }
}

/// No client can be let in before the keys that verify tokens have been fetched.
fn keys_are_here(hub: &Hub) -> Result<&'static str, error::HttpError> {
    match hub.door().key_set() {
        Some(KeySetHealth { age: None, .. }) => Err(error::HttpError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Unavailable,
            "the keys of tokens have not been fetched yet; /debug says why",
        )),
        Some(_) | None => Ok("ok\n"),
    }
}
