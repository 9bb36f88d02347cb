//! Keeps pages of other origins out.

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tidegate_core::protocol::ErrorCode;

use super::error::HttpError;
use crate::Hub;

/// Refuses a request whose `Origin` is neither the host that it was sent to nor among those that may. Programs send no
/// `Origin`.
pub(super) async fn let_in(State(hub): State<Hub>, request: Request, next: Next) -> Response {
    let origins = &hub.door().config.origins;
    if is_listed(request.headers(), origins)
        || is_same_origin(request.headers(), request.uri().host())
    {
        return next.run(request).await;
    }
    HttpError::new(
        StatusCode::FORBIDDEN,
        ErrorCode::Forbidden,
        "pages of another origin may not connect; serve the page from this host, put both behind one proxy, or name the origin in the server's configuration",
    )
    .into_response()
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
