//! Restricts what only operators may see and do: from the server's own machine, or with a token that may subscribe to everything.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{FORWARDED, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tidegate_core::protocol::ErrorCode;
use tidegate_core::topic::Pattern;

use super::access::{Caller, peer};
use super::error::HttpError;
use super::origin::is_sent_to_own_host;
use super::served::Served;
use crate::access::Known;
use crate::auth::AuthError;
use crate::serve::Peer;

/// Refuses callers that are not operators.
pub(super) async fn only(State(served): State<Served>, request: Request, next: Next) -> Response {
    let peer = peer(request.extensions());
    // No configured origins here: a proxy for such a page may be forwarding the request of another machine.
    let is_own_host = || is_sent_to_own_host(request.headers(), request.uri().host(), &[]);
    let Some(message) = obstacle(peer, request.headers(), is_own_host) else {
        return next.run(request).await;
    };
    let (mut parts, body) = request.into_parts();
    match Caller::from_request_parts(&mut parts, &served).await {
        Ok(caller) if may_see_everything(&caller.known) => {
            next.run(Request::from_parts(parts, body)).await
        }
        Ok(_) => {
            HttpError::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message).into_response()
        }
        Err(error) => error.into_response(),
    }
}

/// Refuses callers that may not do everything. If clients are asked who they are, callers on the same machine need a token, too.
///
/// # Errors
/// If they may not: why.
pub(super) fn check_everything(known: &Known, request: &Request) -> Result<(), HttpError> {
    let grant = match known {
        Known::Someone(identity) => Arc::new(identity.clone().into_grant_now()),
        Known::Nobody => return Err(AuthError::Missing.into()),
        Known::Anyone(grant) => {
            let headers = request.headers();
            let is_own_host = || is_sent_to_own_host(headers, request.uri().host(), &[]);
            let is_page = headers.contains_key(ORIGIN);
            if is_page || obstacle(peer(request.extensions()), headers, is_own_host).is_some() {
                return Err(HttpError::forbidden(
                    "this server does not authenticate clients, so it accepts this only from programs on its own machine, addressed as localhost or by IP address, and not through a proxy",
                ));
            }
            Arc::clone(grant)
        }
    };
    if grant.is_everything() {
        return Ok(());
    }
    Err(HttpError::forbidden(
        "this needs a token that may subscribe to ** and publish to **",
    ))
}

fn may_see_everything(known: &Known) -> bool {
    let all = Pattern::new("**").expect("a wildcard is a pattern");
    match known {
        Known::Someone(identity) => identity.clone().into_grant_now().may_subscribe(&all),
        Known::Anyone(_) | Known::Nobody => false,
    }
}

/// Why a caller without a token gets no answer, if so.
fn obstacle(
    peer: Option<Peer>,
    headers: &HeaderMap,
    is_own_host: impl Fn() -> bool,
) -> Option<&'static str> {
    let Some(peer) = peer else {
        return Some(
            "the client's address is not known; serve the application with tidegate::serve::Server or into_make_service_with_connect_info::<SocketAddr>(), or send a token that may subscribe to **",
        );
    };
    // A proxy on this machine may forward requests of others.
    let is_forwarded = headers.contains_key(FORWARDED) || headers.contains_key("x-forwarded-for");
    // A browser on this machine sends requests of pages, which may have made their own name resolve to this machine. No page can reach a
    // Unix socket.
    let may_be_a_page = || peer != Peer::Unix && !is_own_host();
    (is_forwarded || !peer.is_near() || may_be_a_page()).then_some(
        "this is available only on the server's own machine, addressed as localhost or by IP address and not through a proxy, or with a token that may subscribe to **; run there: curl http://127.0.0.1:8420/debug",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_let_in(peer: Option<&str>, header: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(name) = header {
            headers.insert(name, "for=192.0.2.7".parse().expect("valid"));
        }
        let peer = peer.map(|peer| Peer::Tcp(peer.parse().expect("valid")));
        obstacle(peer, &headers, || true).is_none()
    }

    #[test]
    fn only_callers_of_this_machine_are_told_without_a_token() {
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
        let by_another_name = |peer| obstacle(peer, &HeaderMap::new(), || false);
        assert_eq!(by_another_name(Some(Peer::Unix)), None);
        let near = Peer::Tcp("127.0.0.1:9".parse().expect("valid"));
        assert!(by_another_name(Some(near)).is_some());
    }
}
