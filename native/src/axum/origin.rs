//! Keeps out pages of other origins, and pages whose own name resolves to the server's machine.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tidegate_core::protocol::ErrorCode;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::access::peer;
use super::error::HttpError;
use crate::Hub;
use crate::access::hosts;
use crate::access::is_for_others;
use crate::serve::Peer;

/// How long browsers may cache what a page may send. A changed configuration takes effect after this time.
const PREFLIGHT_HOLDS_FOR: Duration = Duration::from_secs(600);

/// The header by which `EventSource` resumes. A page that uses `fetch` may set it, too.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Refuses a request whose `Origin` is neither the host that it was sent to nor one of the allowed ones; programs send no `Origin`. If
/// clients are not asked who they are, it also refuses requests to a host name that may be a foreign page's, and requests of other machines
/// that a proxy on this one forwards.
pub(super) async fn let_in(State(hub): State<Hub>, request: Request, next: Next) -> Response {
    let config = &hub.door().config;
    let (headers, uri_host) = (request.headers(), request.uri().host());
    let is_known_by_more = config.authenticate.is_some() || config.open_to_everyone;
    if !is_known_by_more
        && may_be_a_page_here(peer(request.extensions()))
        && !is_sent_to_own_host(headers, uri_host, &config.origins)
    {
        return forbidden(
            "this server does not authenticate clients, so it answers only to localhost and IP addresses: any other name may belong to somebody else's page; if it is the server's own, allow it: --origin https://NAME, or AccessConfig::origins",
        );
    }
    if !is_known_by_more && is_for_others(headers) {
        return forbidden(
            "this server does not authenticate clients, so it refuses requests that a proxy forwards for other machines: give the server a key (--jwt-secret-file, AccessConfig::authenticate), or let everyone in (--open-to-everyone, AccessConfig::open_to_everyone)",
        );
    }
    if is_listed(headers, &config.origins) || is_same_origin(headers, uri_host) {
        return next.run(request).await;
    }
    forbidden(
        "pages of another origin may not connect; serve the page from this host, put both behind one proxy, or allow the origin in the server's configuration (--origin)",
    )
}

/// Tells browsers that pages of the other allowed origins, if there are any, may read the answers, too.
pub(super) fn shared_with(hub: &Hub) -> Option<CorsLayer> {
    let origins = &hub.door().config.origins;
    if origins.is_empty() {
        return None;
    }
    let origins = origins.iter().filter_map(|origin| origin.parse().ok());
    let origins: Vec<HeaderValue> = origins.collect();
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, LAST_EVENT_ID])
        .allow_credentials(true)
        .max_age(PREFLIGHT_HOLDS_FOR);
    Some(layer)
}

fn forbidden(message: &str) -> Response {
    HttpError::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message).into_response()
}

/// Whether a browser on this machine may have sent the request: no page can reach a Unix socket.
fn may_be_a_page_here(peer: Option<Peer>) -> bool {
    match peer {
        Some(peer @ Peer::Tcp(_)) => peer.is_near(),
        Some(Peer::Unix) => false,
        None => true,
    }
}

/// Whether the host that a request was sent to can't be a foreign page's. All browsers send it.
pub(super) fn is_sent_to_own_host(
    headers: &HeaderMap,
    uri_host: Option<&str>,
    origins: &[String],
) -> bool {
    let host = match headers.get(HOST) {
        Some(host) => host.to_str().ok(),
        None => uri_host.or(Some("localhost")),
    };
    host.is_some_and(|host| hosts::is_own(host, origins))
}

fn is_listed(headers: &HeaderMap, origins: &[String]) -> bool {
    headers
        .get(ORIGIN)
        .is_some_and(|origin| origins.iter().any(|listed| origin == listed.as_str()))
}

fn is_same_origin(headers: &HeaderMap, uri_host: Option<&str>) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    // HTTP/2 has the host in the request's URI.
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or(uri_host);
    let origin_host = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, host)| host);
    origin_host.is_some() && origin_host == host
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(origin: Option<&str>, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().expect("valid"));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().expect("valid"));
        }
        is_same_origin(&headers, None)
    }

    #[test]
    fn only_the_own_origin_and_programs_are_let_in() {
        assert!(allows(None, "127.0.0.1:8420"));
        assert!(allows(Some("http://127.0.0.1:8420"), "127.0.0.1:8420"));
        assert!(allows(Some("https://example.org"), "example.org"));
        assert!(!allows(Some("http://evil.example"), "127.0.0.1:8420"));
        assert!(!allows(Some("http://127.0.0.1:9999"), "127.0.0.1:8420"));
        assert!(!allows(Some("null"), "127.0.0.1:8420"));
    }
}
