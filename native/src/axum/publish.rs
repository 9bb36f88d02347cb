//! `POST /publish`: one publication, or an array of them.

mod batch;

use axum::Json as JsonResponse;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use tidegate_core::access::Grant;
use tidegate_core::lifecycle::StatedEnd;
use tidegate_core::protocol::{ErrorCode, PublishRequest, WireError};
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
struct PublishBody {
    topic: String,
    data: Json,
    end: Option<StatedEnd>,
    id: Option<String>,
    #[serde(default)]
    restart: bool,
}

#[derive(Serialize)]
struct Published {
    topic: Topic,
    #[serde(flatten)]
    position: Position,
}

pub(super) async fn publish(
    State(hub): State<Hub>,
    caller: Caller,
    request: Request,
) -> Result<Response, HttpError> {
    // Check this first, so that nothing is read and kept for a caller that may not publish at all, or not now.
    let publisher = publisher(&caller);
    let grant = caller.known.grant_now()?;
    if grant.publish.is_empty() {
        return Err(HttpError::forbidden("you may not publish"));
    }
    let first = hub.count_posts(&publisher, 1);
    first.map_err(|(_, error)| too_often(error))?;
    let body = body::read(&hub, request.into_body()).await?;
    if batch::is_one(body.bytes()) {
        return batch::publish(&hub, &publisher, &grant, body.bytes()).await;
    }
    let body: PublishBody = serde_json::from_slice(body.bytes()).map_err(not_expected)?;
    let request = body.request(&grant)?;
    let topic = request.topic.clone();
    let position = hub.request(request).await?;
    Ok(JsonResponse(Published { topic, position }).into_response())
}

impl PublishBody {
    /// The request that it stands for.
    ///
    /// # Errors
    /// If the topic is invalid, or this grant doesn't allow publishing to it.
    fn request(self, grant: &Grant) -> Result<PublishRequest<Json>, HttpError> {
        let topic = Topic::new(&self.topic).map_err(|error| {
            let message = format!("topic {:?}: {error}", self.topic);
            HttpError::bad_request(ErrorCode::BadTopic, message)
        })?;
        if !grant.may_publish(&topic) {
            return Err(HttpError::forbidden(format!(
                "you may not publish to {topic}"
            )));
        }
        Ok(PublishRequest {
            topic,
            payload: self.data,
            end: self.end,
            id: self.id,
            restart: self.restart,
        })
    }
}

fn not_expected(error: serde_json::Error) -> HttpError {
    let message = format!(r#"expected {{"topic": "job:42", "data": …}}: {error}"#);
    HttpError::bad_request(ErrorCode::BadFrame, message)
}

fn too_often(error: WireError) -> HttpError {
    HttpError::new(StatusCode::TOO_MANY_REQUESTS, error.code, error.message)
}

/// The publisher as which a caller is counted.
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
