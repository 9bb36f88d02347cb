//! Keeps pages of other origins out, and pages that have the server's machine answer to a name of theirs.

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tidegate_core::protocol::ErrorCode;

use super::access::peer;
use super::error::HttpError;
use crate::Hub;
use crate::access::hosts;
use crate::serve::Peer;

/// Refuses a request whose `Origin` is neither the host that it was sent to nor among those that may, programs send no
/// `Origin`; and one that was sent to a host that anybody may be.
pub(super) async fn let_in(State(hub): State<Hub>, request: Request, next: Next) -> Response {
    let config = &hub.door().config;
    let (headers, uri_host) = (request.headers(), request.uri().host());
    let is_known_by_more = config.authenticate.is_some() || config.open_to_everyone;
    if !is_known_by_more
        && may_be_a_page_here(peer(request.extensions()))
        && !is_sent_to_own_host(headers, uri_host, &config.origins)
    {
        return forbidden(
            "this server asks nobody who they are, and so answers to localhost and to addresses only: any other name may be one of somebody else's page; if it is the server's own, name it: --origin https://NAME, or AccessConfig::origins",
        );
    }
    if is_listed(headers, &config.origins) || is_same_origin(headers, uri_host) {
        return next.run(request).await;
    }
    forbidden(
        "pages of another origin may not connect; serve the page from this host, put both behind one proxy, or name the origin in the server's configuration",
    )
}

fn forbidden(message: &str) -> Response {
    HttpError::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message).into_response()
}

/// Whether a browser of this machine may be asking: no page reaches a Unix socket.
fn may_be_a_page_here(peer: Option<Peer>) -> bool {
    match peer {
        Some(peer @ Peer::Tcp(_)) => peer.is_near(),
        Some(Peer::Unix) => false,
        None => true,
    }
}

/// Whether the host that a request was sent to can't be somebody else's. All browsers say which it was.
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
    // HTTP/2 carries the host in the address of the request.
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
