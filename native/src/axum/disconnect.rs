//! `POST /disconnect`: ends the connections of a user. Only callers that may do everything can use it.

use axum::Json as JsonResponse;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tidegate_core::protocol::ErrorCode;

use super::access::Caller;
use super::error::HttpError;
use super::{body, operator};
use crate::Hub;
use crate::auth::Subject;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    user: Subject,
}

#[derive(Serialize)]
pub(super) struct Disconnected {
    /// How many connections there were at this server.
    disconnected: usize,
}

/// The status says whether all other servers have been told by now.
pub(super) async fn disconnect(
    State(hub): State<Hub>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, JsonResponse<Disconnected>), HttpError> {
    // Check this first, so that nothing is read from a caller without the right.
    operator::check_everything(&caller.known, &request)?;
    let body = body::read(&hub, request.into_body()).await?;
    let bad = |reason: String| {
        let message = format!(
            r#"expected {{"user": "ada"}}, or a number, as `sub` of their tokens: {reason}"#
        );
        HttpError::bad_request(ErrorCode::BadFrame, message)
    };
    let told: Body =
        serde_json::from_slice(body.bytes()).map_err(|error| bad(error.to_string()))?;
    let user = told.user.name().map_err(bad)?;
    let ended = hub.disconnect(&user).await?;
    let status = match ended.is_told {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    let disconnected = ended.here;
    Ok((status, JsonResponse(Disconnected { disconnected })))
}
