//! `GET /user/notifications`: what is published to the caller's own room, and nothing else, over WebSocket or as
//! Server-Sent Events.

use axum::extract::{Request, State};
use axum::http::header::UPGRADE;
use axum::response::Response;
use tidegate_core::durable::DurableName;
use tidegate_core::protocol::ErrorCode;
use tidegate_core::topic::Pattern;

use super::access::{Caller, Visitor};
use super::error::HttpError;
use super::events::{self, EventsQuery, Reader, form_pairs};
use super::served::Served;
use super::websocket::{self, Welcome};
use crate::access::Known;
use crate::auth::{AuthError, Identity};

pub(super) async fn notifications(
    State(served): State<Served>,
    visitor: Visitor,
    request: Request,
) -> Result<Response, HttpError> {
    let Visitor { caller, pass } = visitor;
    let own = own_room_only(caller.known)?;
    let room = own.room().ok_or_else(|| {
        HttpError::forbidden("only users whose names are whole numbers have a room, user:{int}")
    })?;
    let known = Known::Someone(own);
    let is_socket = request.headers().contains_key(UPGRADE);
    if is_socket {
        let caller = Caller { known, ..caller };
        let device = device(&request)?;
        let visitor = Visitor { caller, pass };
        return websocket::welcome(served.hub, visitor, request, Welcome { device });
    }
    let query = EventsQuery::parse(request.uri())?;
    if !query.topic.is_empty() {
        return Err(HttpError::forbidden(
            "there is one topic here, your own; for others use /events",
        ));
    }
    let reader = Reader::of(&Caller { known, ..caller });
    let patterns = vec![Pattern::from(room)];
    events::stream(&served, pass, reader, &query, patterns, request.headers()).await
}

/// The name of the device that `?device=` gives.
fn device(request: &Request) -> Result<Option<DurableName>, HttpError> {
    let query = request.uri().query().unwrap_or_default();
    let mut given = form_pairs(query)?.into_iter();
    let given = given.find(|(name, _)| name == "device");
    let name = given.map(|(_, device)| DurableName::new(&device));
    name.transpose()
        .map_err(|error| HttpError::bad_request(ErrorCode::BadFrame, error.to_string()))
}

/// The caller, with no rights but to be in their own room.
fn own_room_only(known: Known) -> Result<Identity, HttpError> {
    match known {
        Known::Someone(identity) => Ok(Identity {
            subscribe: Vec::new(),
            publish: Vec::new(),
            ..identity
        }),
        Known::Nobody => Err(AuthError::Missing.into()),
        Known::Anyone(_) => Err(HttpError::forbidden(
            "this server does not authenticate clients, so nobody has notifications; start it with --jwt-secret-file, --jwks or --oidc-issuer",
        )),
    }
}
