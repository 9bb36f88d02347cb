//! Several publications in one request. Each is authorised, limited and answered as if it had come by itself, but they go to the hub
//! together, and none waits for the answer to another.

use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json as JsonResponse};
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidegate_core::access::Grant;
use tidegate_core::protocol::{ErrorCode, WireError};
use tidegate_core::topic::Topic;
use tokio::sync::oneshot::Receiver;

use super::{PublishBody, Published, not_expected, too_often};
use crate::Hub;
use crate::axum::error::{HttpError, SOON};
use crate::axum::errors::Codes;
use crate::error::{PublishError, Stopped};
use crate::hub::{Published as Outcome, Publisher};

/// The most publications of one request.
const PUBLICATIONS_MAX: usize = 1_000;

/// Whether a body is an array.
pub(super) fn is_one(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"[")
}

/// Publishes the items of an array, in its order. The first of them has been counted already.
pub(super) async fn publish(
    hub: &Hub,
    publisher: &Publisher,
    grant: &Grant,
    body: &[u8],
) -> Result<Response, HttpError> {
    let items = Items::read(body)?;
    let more = hub.count_posts(publisher, items.len().saturating_sub(1));
    let (let_in, refusal) = match more {
        Ok(()) => (items.len(), None),
        // After the first one that is refused, all others are refused, too, so that the rest can be sent again in its order.
        Err((more, error)) => (1 + more, Some(error)),
    };
    let begun: Vec<Begun> = items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let refusal = refusal.as_ref().filter(|_| index >= let_in);
            Begun::new(hub, grant, item, refusal)
        })
        .collect();
    let mut answer = Answer::default();
    for one in begun {
        one.end(&mut answer).await;
    }
    Ok(answer.into_response())
}

/// The publications of a request as they were written.
struct Items<'a>(Vec<&'a RawValue>);

impl<'a> Items<'a> {
    fn read(body: &'a [u8]) -> Result<Vec<&'a RawValue>, HttpError> {
        let Items(items) = serde_json::from_slice(body).map_err(not_expected)?;
        if items.len() > PUBLICATIONS_MAX {
            return Err(HttpError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                ErrorCode::TooLarge,
                format!(
                    "a request may have {PUBLICATIONS_MAX} publications; nothing was published"
                ),
            ));
        }
        Ok(items)
    }
}

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor)
    }
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of publications")
    }

    /// Stops at one more than allowed, which is enough to know.
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut known = Vec::new();
        while let Some(item) = items.next_element()? {
            known.push(item);
            if known.len() > PUBLICATIONS_MAX {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                break;
            }
        }
        Ok(Items(known))
    }
}

/// A publication of the request, in progress.
enum Begun {
    Sent(Topic, Receiver<Outcome>),
    /// With the topic as written, if there was one.
    Refused(Option<String>, HttpError),
}

impl Begun {
    fn new(hub: &Hub, grant: &Grant, item: &RawValue, refusal: Option<&WireError>) -> Self {
        let body: PublishBody = match serde_json::from_str(item.get()) {
            Ok(body) => body,
            Err(error) => {
                let error = refusal
                    .cloned()
                    .map_or_else(|| not_expected(error), too_often);
                return Self::Refused(None, error);
            }
        };
        let written = body.topic.clone();
        if let Some(refusal) = refusal {
            return Self::Refused(Some(written), too_often(refusal.clone()));
        }
        let sent = body.request(grant).and_then(|request| {
            let topic = request.topic.clone();
            Ok((topic, hub.begin_request_of_others(request)?))
        });
        match sent {
            Ok((topic, outcome)) => Self::Sent(topic, outcome),
            Err(error) => Self::Refused(Some(written), error),
        }
    }

    /// Waits for its outcome.
    async fn end(self, answer: &mut Answer) {
        match self {
            Self::Sent(topic, outcome) => match outcome.await {
                Ok(Ok(position)) => answer
                    .results
                    .push(Ended::Published(Published { topic, position })),
                Ok(Err(refusal)) => {
                    answer.refuse(Some(topic.to_string()), PublishError::from(refusal).into());
                }
                Err(_) => answer.refuse(Some(topic.to_string()), Stopped.into()),
            },
            Self::Refused(topic, error) => answer.refuse(topic, error),
        }
    }
}

/// The outcome of each publication, in the order of the request.
#[derive(Default)]
struct Answer {
    results: Vec<Ended>,
    codes: Vec<ErrorCode>,
    /// Whether some were refused only temporarily.
    is_worth_repeating: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Ended {
    Published(Published),
    Refused {
        #[serde(skip_serializing_if = "Option::is_none")]
        topic: Option<String>,
        error: Refusal,
    },
}

#[derive(Serialize)]
struct Refusal {
    code: ErrorCode,
    message: String,
}

impl Answer {
    fn refuse(&mut self, topic: Option<String>, error: HttpError) {
        self.is_worth_repeating |= error.is_for_now();
        let (code, message) = error.into_wire();
        self.codes.push(code);
        let error = Refusal { code, message };
        self.results.push(Ended::Refused { topic, error });
    }

    fn into_response(self) -> Response {
        let soon = self.is_worth_repeating.then_some([SOON]);
        let codes = Extension(Codes(self.codes));
        match soon {
            Some(soon) => (soon, codes, JsonResponse(self.results)).into_response(),
            None => (codes, JsonResponse(self.results)).into_response(),
        }
    }
}
