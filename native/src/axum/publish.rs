//! `POST /publish`.

use axum::Json as JsonResponse;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{ErrorCode, PublishRequest};
use tidegate_core::publication::Position;
use tidegate_core::topic::Topic;

use super::access::Caller;
use super::body;
use super::error::HttpError;
use crate::access::{Known, place};
use crate::hub::Publisher;
use crate::{Hub, Json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    topic: String,
    data: Json,
    end: Option<EndReason>,
    id: Option<String>,
    #[serde(default)]
    restart: bool,
}

#[derive(Serialize)]
pub(super) struct Published {
    topic: Topic,
    #[serde(flatten)]
    position: Position,
}

pub(super) async fn publish(
    State(hub): State<Hub>,
    caller: Caller,
    request: Request,
) -> Result<JsonResponse<Published>, HttpError> {
    // Nothing is read of, and kept for, whoever may not publish anywhere, or not now.
    let publisher = publisher(&caller);
    let grant = caller.known.grant_now()?;
    if grant.publish.is_empty() {
        return Err(HttpError::forbidden("you may not publish"));
    }
    hub.count_post(&publisher).map_err(|error| {
        HttpError::new(StatusCode::TOO_MANY_REQUESTS, error.code, error.message)
    })?;
    let body = body::read(&hub, request.into_body()).await?;
    let told: Body = serde_json::from_slice(body.bytes()).map_err(|error| {
        let message = format!(r#"expected {{"topic": "job:42", "data": …}}: {error}"#);
        HttpError::bad_request(ErrorCode::BadFrame, message)
    })?;
    let topic = Topic::new(&told.topic).map_err(|error| {
        HttpError::bad_request(
            ErrorCode::BadTopic,
            format!("topic {:?}: {error}", told.topic),
        )
    })?;
    if !grant.may_publish(&topic) {
        return Err(HttpError::forbidden(format!(
            "you may not publish to {topic}"
        )));
    }
    let request = PublishRequest {
        topic: topic.clone(),
        payload: told.data,
        end: told.end,
        id: told.id,
        restart: told.restart,
    };
    let position = hub.request(request).await?;
    Ok(JsonResponse(Published { topic, position }))
}

/// With whom a caller counts together.
fn publisher(caller: &Caller) -> Publisher {
    let user = match &caller.known {
        Known::Someone(identity) => identity.user.as_deref(),
        Known::Anyone(_) | Known::Nobody => None,
    };
    let address = caller
        .address
        .map(|address| place(address).unwrap_or(address));
    match (user, address) {
        (Some(user), _) => Publisher::User(user.into()),
        (None, Some(address)) => Publisher::Address(address),
        (None, None) => Publisher::Unknown,
    }
}
