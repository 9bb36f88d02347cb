//! `GET /presence`: who is present, for callers that don't watch.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::Serialize;
use tidegate_core::payload::Payload as _;
use tidegate_core::presence::{Key, PresenceId, Present};
use tidegate_core::protocol::ErrorCode;
use tidegate_core::topic::Topic;

use super::access::Caller;
use super::answer::{self, ANSWER_BYTES_MAX};
use super::error::HttpError;
use super::events::{flag, form_pairs, no_parameter};
use super::reading::topic;
use crate::{Hub, Json};

/// The most bytes that a meta has in addition to its key and its data.
const FRAME_BYTES: usize = 96;

/// Who is present in a topic, as watchers see it.
#[derive(Serialize)]
struct Here<'a> {
    topic: &'a Topic,
    /// How many keys are present, each counted once.
    keys: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    present: Option<Vec<Meta<'a>>>,
}

#[derive(Serialize)]
struct Meta<'a> {
    key: &'a Key,
    #[serde(flatten)]
    id: PresenceId,
    data: &'a Json,
}

pub(super) async fn presence(
    State(hub): State<Hub>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, HttpError> {
    let (mut topics, mut counts_only) = (Vec::new(), false);
    for (name, value) in form_pairs(uri.query().unwrap_or_default())? {
        match name.as_str() {
            "topic" => topics.push(value),
            "count" => counts_only = value.is_empty() || flag(&name, &value)?,
            name => return Err(no_parameter(name)),
        }
    }
    let [name] = topics.as_slice() else {
        let message = "ask for one topic: /presence?topic=doc:7";
        return Err(HttpError::bad_request(ErrorCode::BadTopic, message));
    };
    let topic = topic(name)?;
    let pass = caller.enter(&hub)?;
    if !caller.known.grant_now()?.may_watch(&topic) {
        return Err(HttpError::forbidden(format!("you may not watch {topic}")));
    }
    let present = hub.presence_of(topic.clone()).list().await?;
    let keys = present.chunk_by(|one, other| one.key == other.key).count();
    let told = (!counts_only).then_some(present.as_slice());
    let about_bytes: usize = told.unwrap_or_default().iter().map(bytes_of).sum();
    if about_bytes > ANSWER_BYTES_MAX {
        return Err(HttpError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::TooLarge,
            format!(
                "{} presences are more than the {ANSWER_BYTES_MAX} bytes of an answer; ask for their number by count, or watch the topic",
                present.len()
            ),
        ));
    }
    let here = Here {
        topic: &topic,
        keys,
        present: told.map(|told| told.iter().map(Meta::of).collect()),
    };
    answer::json(&hub, pass, about_bytes + 2 * FRAME_BYTES, |text| {
        serde_json::to_writer(&mut *text, &here).expect("presences have a JSON form");
        text.push(b'\n');
    })
}

fn bytes_of(present: &Present<Json>) -> usize {
    present.meta.size() + present.key.as_str().len() + FRAME_BYTES
}

impl<'a> Meta<'a> {
    const fn of(present: &'a Present<Json>) -> Self {
        Self {
            key: &present.key,
            id: present.id,
            data: &present.meta,
        }
    }
}
