//! `POST /publish`.

use axum::Json as JsonResponse;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{ErrorCode, PublishRequest};
use tidegate_core::publication::Position;
use tidegate_core::topic::Topic;

use super::access::Caller;
use super::error::HttpError;
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
    body: Result<Bytes, BytesRejection>,
) -> Result<JsonResponse<Published>, HttpError> {
    let body = body.map_err(|rejection| unread(&hub, &rejection))?;
    let body: Body = serde_json::from_slice(&body).map_err(|error| {
        let message = format!(r#"expected {{"topic": "job:42", "data": …}}: {error}"#);
        HttpError::bad_request(ErrorCode::BadFrame, message)
    })?;
    let topic = Topic::new(&body.topic).map_err(|error| {
        HttpError::bad_request(
            ErrorCode::BadTopic,
            format!("topic {:?}: {error}", body.topic),
        )
    })?;
    if !caller.known.grant_now()?.may_publish(&topic) {
        return Err(HttpError::forbidden(format!(
            "you may not publish to {topic}"
        )));
    }
    let request = PublishRequest {
        topic: topic.clone(),
        payload: body.data,
        end: body.end,
        id: body.id,
        restart: body.restart,
    };
    let position = hub.request(request).await?;
    Ok(JsonResponse(Published { topic, position }))
}

/// What to say of a body that was not read to its end.
fn unread(hub: &Hub, rejection: &BytesRejection) -> HttpError {
    match rejection.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => HttpError::new(
            status,
            ErrorCode::TooLarge,
            format!("a body may have {} bytes", hub.frame_bytes_max()),
        ),
        _ if crate::serve::is_late_body(rejection) => HttpError::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorCode::Timeout,
            "the body did not come in time",
        ),
        status => HttpError::new(status, ErrorCode::BadFrame, rejection.body_text()),
    }
}
