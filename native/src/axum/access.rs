//! Finds out who a caller is: by a token in a header, a subprotocol or a cookie, or by a ticket in the URL.

use std::net::{IpAddr, SocketAddr};

use axum::Json;
use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, StatusCode};
use serde_json::{Value, json};
use std::time::{Instant, SystemTime};
use tidegate_core::protocol::ErrorCode;

use super::error::HttpError;
use super::events::form_pairs;
use super::served::Served;
use crate::Hub;
use crate::access::{Known, Pass};
use crate::auth::Credentials;
use crate::serve::Peer;

/// The prefix of a token that a browser sends as a subprotocol.
const TOKEN_PROTOCOL: &str = "tidegate.token.";

/// The cookie that holds a token.
const TOKEN_COOKIE: &str = "tidegate_token";

/// The caller of a request. Tickets are not accepted here, because they only open connections.
pub(super) struct Caller {
    pub(super) known: Known,
    pub(super) address: Option<IpAddr>,
    /// When it was asked who the caller is, or when the ticket was made.
    pub(super) asked: Instant,
}

/// The caller of a request that opens a connection, by a token or a ticket. It counts as a connection until the pass is
/// dropped.
pub(super) struct Visitor {
    pub(super) caller: Caller,
    pub(super) pass: Pass,
}

impl FromRequestParts<Served> for Caller {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, served: &Served) -> Result<Self, HttpError> {
        let caller = Self::look_at(parts, served, None).await?;
        if matches!(caller.known, Known::Nobody) && ticket_of(parts)?.is_some() {
            return Err(HttpError::new(
                StatusCode::UNAUTHORIZED,
                ErrorCode::Unauthorized,
                "a ticket opens only /ws, /events and /user/notifications; send a token here",
            ));
        }
        Ok(caller)
    }
}

impl Caller {
    /// Counts the request as a connection until the pass is dropped.
    pub(super) fn enter(&self, hub: &Hub) -> Result<Pass, HttpError> {
        let mut pass = hub.door().enter(self.address)?;
        if let Known::Someone(identity) = &self.known {
            let user = identity.user.as_deref().map(Into::into);
            pass.identify(user.as_ref())?;
        }
        Ok(pass)
    }

    async fn look_at(
        parts: &Parts,
        served: &Served,
        ticket: Option<&str>,
    ) -> Result<Self, HttpError> {
        let door = served.hub.door();
        let peer = peer(&parts.extensions);
        let is_unix = peer == Some(Peer::Unix);
        let proxies = &door.config.proxies;
        let address = proxies.client(peer.and_then(Peer::ip), is_unix, &parts.headers);
        let shown = Credentials {
            token: token(&parts.headers),
            headers: parts.headers.clone(),
            address,
        };
        let is_browser = parts.headers.contains_key(ORIGIN);
        let (known, asked) = door.look_at(shown, ticket, is_browser).await?;
        Ok(Self {
            known,
            address,
            asked,
        })
    }
}

impl FromRequestParts<Served> for Visitor {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, served: &Served) -> Result<Self, HttpError> {
        let ticket = ticket_of(parts)?;
        let caller = Caller::look_at(parts, served, ticket.as_deref()).await?;
        let pass = caller.enter(&served.hub)?;
        Ok(Self { caller, pass })
    }
}

/// The ticket that a request's address carries.
fn ticket_of(parts: &Parts) -> Result<Option<String>, HttpError> {
    let mut given = form_pairs(parts.uri.query().unwrap_or_default())?.into_iter();
    Ok(given.find_map(|(name, value)| (name == "ticket").then_some(value)))
}

/// The other end of a request's connection, if the server that serves it reports that.
pub(super) fn peer(extensions: &Extensions) -> Option<Peer> {
    let own = extensions.get::<Peer>().copied();
    let address = || {
        let info = extensions.get::<ConnectInfo<SocketAddr>>();
        info.map(|ConnectInfo(address)| Peer::Tcp(*address))
    };
    own.or_else(address)
}

/// The token that a request carries.
fn token(headers: &HeaderMap) -> Option<String> {
    bearer(headers)
        .or_else(|| listed(headers, &SEC_WEBSOCKET_PROTOCOL, ',', TOKEN_PROTOCOL))
        .or_else(|| listed(headers, &COOKIE, ';', &format!("{TOKEN_COOKIE}=")))
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

/// The rest of the first item of a list that starts with `prefix`.
fn listed(headers: &HeaderMap, name: &HeaderName, separator: char, prefix: &str) -> Option<String> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(separator))
        .find_map(|item| item.trim().strip_prefix(prefix))
        .map(str::to_owned)
}

/// `POST /ticket`: exchanges a token for a ticket, for connections that can't carry a token.
pub(super) async fn ticket(
    State(served): State<Served>,
    caller: Caller,
) -> Result<Json<Value>, HttpError> {
    let identity = match caller.known {
        Known::Someone(identity) => identity,
        Known::Nobody => return Err(crate::auth::AuthError::Missing.into()),
        Known::Anyone(_) => {
            return Err(HttpError::new(
                StatusCode::NOT_FOUND,
                ErrorCode::Forbidden,
                "this server does not authenticate clients, so nobody needs a ticket",
            ));
        }
    };
    let tickets = &served.hub.door().tickets;
    let (ticket, life) = tickets.make(&identity, SystemTime::now())?;
    Ok(Json(
        json!({ "ticket": ticket, "expires_in_s": life.as_secs() }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: HeaderName, value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("valid"));
        token(&headers)
    }

    #[test]
    fn a_token_is_found_where_each_kind_of_client_can_put_it() {
        let found = Some("a.b.c".to_owned());
        assert_eq!(shown(AUTHORIZATION, "Bearer a.b.c"), found);
        assert_eq!(shown(AUTHORIZATION, "bearer  a.b.c"), found);
        let protocols = "tidegate.v1.json, tidegate.token.a.b.c";
        assert_eq!(shown(SEC_WEBSOCKET_PROTOCOL, protocols), found);
        assert_eq!(shown(COOKIE, "x=1; tidegate_token=a.b.c; y=2"), found);
        for (name, value) in [
            (AUTHORIZATION, "Basic a.b.c"),
            (AUTHORIZATION, "a.b.c"),
            (SEC_WEBSOCKET_PROTOCOL, "tidegate.v1.json"),
            (COOKIE, "not_tidegate_token=a.b.c"),
        ] {
            assert_eq!(shown(name, value), None, "{value}");
        }
    }
}
