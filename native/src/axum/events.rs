//! `GET /events`: Server-Sent Events.

mod body;
#[cfg(feature = "fuzzing")]
pub(super) mod fuzz;

use std::time::{Instant, SystemTime};

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use axum::http::{HeaderName, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tidegate_core::access::Grant;
use tidegate_core::durable::DurableName;
use tidegate_core::flow::{Flow, Slow, UnknownSlow};
use tidegate_core::protocol::{ErrorCode, FlowSpec, ServerFrame, Start};
use tidegate_core::topic::{Pattern, Topic};

use super::access::{Caller, Visitor};
use super::error::HttpError;
use super::served::Served;
use crate::Subscribe;
use crate::access::{Known, Pass};
use crate::duration::parse_duration_ms;
use crate::event_stream::{Beginning, EventStream, PositionId, Standing, StreamContext};
use crate::serve::Handover;
use crate::shard::{ForClient, LocalReader};
use body::EventBody;

/// The most topics and patterns of one request.
const TOPICS_MAX: usize = 100;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The query of `GET /events`.
///
/// `topic` is a topic or pattern, and may be repeated. Times are in milliseconds or have a unit: `250`, `250ms`, `1s`,
/// `2m`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsQuery {
    /// Topics and patterns.
    pub topic: Vec<String>,
    /// The window of a throttle.
    pub throttle: Option<String>,
    /// The quiet time of a debounce.
    pub debounce: Option<String>,
    /// The longest time for which a debounce delays an event.
    pub max_wait: Option<String>,
    /// Whether to emit at the start of a burst.
    pub leading: Option<bool>,
    /// Whether to emit at the end of a window or burst.
    pub trailing: Option<bool>,
    /// `latest`, `merge`, `sum` or `collect`.
    pub conflate: Option<String>,
    /// The most publications of a `collect` batch.
    pub max: Option<u32>,
    /// `false`: don't send retained values first.
    pub latest: Option<bool>,
    /// `conflate`, `drop` or `disconnect`: what happens while the reader is too slow.
    pub slow: Option<String>,
    /// The name of a device: the stream continues where it stopped.
    pub durable: Option<String>,
    /// The position to resume from, for clients that cannot send `Last-Event-ID`.
    pub last_event_id: Option<String>,
}

impl EventsQuery {
    pub(super) fn parse(uri: &Uri) -> Result<Self, HttpError> {
        let mut query = Self::default();
        for (name, value) in form_pairs(uri.query().unwrap_or_default())? {
            match name.as_str() {
                "topic" => query.topic.push(value),
                "throttle" => query.throttle = Some(value),
                "debounce" => query.debounce = Some(value),
                "max_wait" => query.max_wait = Some(value),
                "leading" => query.leading = Some(flag(&name, &value)?),
                "trailing" => query.trailing = Some(flag(&name, &value)?),
                "conflate" => query.conflate = Some(value),
                "max" => {
                    query.max = Some(
                        value
                            .parse()
                            .map_err(|_| bad_flow(&name, &value, "a whole number"))?,
                    )
                }
                "latest" => query.latest = Some(flag(&name, &value)?),
                "slow" => query.slow = Some(value),
                // `device` is the name that `/user/notifications` has for it over a WebSocket.
                "durable" | "device" => query.durable = Some(value),
                "last_event_id" => query.last_event_id = Some(value),
                "delta" => {
                    return Err(HttpError::bad_request(
                        ErrorCode::BadFlow,
                        "an event stream carries whole values; ask for delta on a WebSocket",
                    ));
                }
                // It was checked already.
                "ticket" => {}
                _ => return Err(no_parameter(&name)),
            }
        }
        Ok(query)
    }

    fn slow(&self) -> Result<Option<Slow>, HttpError> {
        let slow = self.slow.as_deref().map(str::parse).transpose();
        slow.map_err(|error: UnknownSlow| {
            HttpError::bad_request(ErrorCode::BadFlow, error.to_string())
        })
    }

    fn durable(&self) -> Result<Option<DurableName>, HttpError> {
        let name = self.durable.as_deref().map(DurableName::new).transpose();
        name.map_err(|error| HttpError::bad_request(ErrorCode::BadFrame, error.to_string()))
    }

    fn patterns(&self) -> Result<Vec<Pattern>, HttpError> {
        patterns("/events", &self.topic)
    }

    fn flow(&self) -> Result<Flow, HttpError> {
        let millis = |name: &str, value: &Option<String>| {
            let parse = |text: &String| {
                parse_duration_ms(text)
                    .ok_or_else(|| bad_flow(name, text, "a duration such as 250ms or 1s"))
            };
            value.as_ref().map(parse).transpose()
        };
        let conflate = |text: &String| {
            serde_json::from_value(text.as_str().into())
                .map_err(|_| bad_flow("conflate", text, "one of latest, merge, sum, collect"))
        };
        let spec = FlowSpec {
            throttle_ms: millis("throttle", &self.throttle)?,
            debounce_ms: millis("debounce", &self.debounce)?,
            max_wait_ms: millis("max_wait", &self.max_wait)?,
            leading: self.leading,
            trailing: self.trailing,
            conflate: self.conflate.as_ref().map(conflate).transpose()?,
            max: self.max,
            delta: None,
        };
        Flow::try_from(spec)
            .map_err(|error| HttpError::bad_request(ErrorCode::BadFlow, error.to_string()))
    }
}

/// The topics and patterns that are requested at `path`, without duplicates.
pub(super) fn patterns(path: &str, topics: &[String]) -> Result<Vec<Pattern>, HttpError> {
    if topics.is_empty() || topics.len() > TOPICS_MAX {
        let message = format!("ask for 1 to {TOPICS_MAX} topics: {path}?topic=job:42");
        return Err(HttpError::bad_request(ErrorCode::BadTopic, message));
    }
    let mut patterns = Vec::new();
    for text in topics {
        let pattern = Pattern::new(text).map_err(|error| {
            HttpError::bad_request(ErrorCode::BadTopic, format!("topic {text:?}: {error}"))
        })?;
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    Ok(patterns)
}

/// Refuses callers that may not subscribe to all of these.
pub(super) fn check_covered(grant: &Grant, patterns: &[Pattern]) -> Result<(), HttpError> {
    for pattern in patterns {
        if !grant.may_subscribe(pattern) {
            let message = format!("what you may subscribe to doesn't cover the whole of {pattern}");
            return Err(HttpError::forbidden(message));
        }
    }
    Ok(())
}

/// The error for an unknown parameter.
pub(super) fn no_parameter(name: &str) -> HttpError {
    let message = format!("there is no query parameter {name:?}");
    HttpError::bad_request(ErrorCode::BadFrame, message)
}

pub(super) fn flag(name: &str, value: &str) -> Result<bool, HttpError> {
    value
        .parse()
        .map_err(|_| bad_flow(name, value, "true or false"))
}

fn bad_flow(name: &str, value: &str, expected: &str) -> HttpError {
    HttpError::bad_request(
        ErrorCode::BadFlow,
        format!("{name}={value:?}: expected {expected}"),
    )
}

pub(super) fn form_pairs(query: &str) -> Result<Vec<(String, String)>, HttpError> {
    let uri = Uri::builder().path_and_query(format!("/?{query}")).build();
    let parsed = uri
        .ok()
        .and_then(|uri| axum::extract::Query::try_from_uri(&uri).ok());
    parsed
        .filter(|_| is_well_formed(query))
        .map(|axum::extract::Query(pairs)| pairs)
        .ok_or_else(|| HttpError::bad_request(ErrorCode::BadFrame, "the query is not well-formed"))
}

/// Whether each `%` begins an escape, and the decoded text is UTF-8. A parser that reads forms as browsers do accepts anything, and would
/// make another topic of it.
fn is_well_formed(query: &str) -> bool {
    let (mut bytes, mut decoded) = (query.bytes(), Vec::new());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return false;
        };
        decoded.push((16 * high + low) as u8);
    }
    // No character spans a separator, which is a character itself.
    str::from_utf8(&decoded).is_ok()
}

pub(super) async fn events(
    State(served): State<Served>,
    visitor: Visitor,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let query = EventsQuery::parse(&uri)?;
    let patterns = query.patterns()?;
    let reader = Reader::of(&visitor.caller);
    let grant = visitor.caller.known.grant_now()?;
    check_covered(&grant, &patterns)?;
    stream(&served, visitor.pass, reader, &query, patterns, &headers).await
}

/// The reader of a stream.
pub(super) struct Reader {
    /// The user's name, if known.
    user: Option<String>,
    /// The room that all connections of the user are in, if there is one.
    room: Option<Topic>,
    /// When it was asked who the user is.
    asked: Instant,
    /// When the stream ends, because the token expires.
    ends: Option<SystemTime>,
}

impl Reader {
    pub(super) fn of(caller: &Caller) -> Self {
        let asked = caller.asked;
        match &caller.known {
            Known::Someone(identity) => Self {
                user: identity.user.clone(),
                room: identity.room(),
                asked,
                ends: identity.expires,
            },
            Known::Anyone(_) | Known::Nobody => Self {
                user: None,
                room: None,
                asked,
                ends: None,
            },
        }
    }
}

/// A response that continues until all its subscriptions have ended.
pub(super) async fn stream(
    served: &Served,
    pass: Pass,
    reader: Reader,
    query: &EventsQuery,
    patterns: Vec<Pattern>,
    headers: &HeaderMap,
) -> Result<Response, HttpError> {
    let last_event_id = match headers.get(LAST_EVENT_ID) {
        Some(value) => String::from_utf8(value.as_bytes().to_vec()).ok(),
        None => query.last_event_id.clone(),
    };
    let id = last_event_id.and_then(|text| PositionId::parse(&text, &patterns));
    let options = Subscribe {
        flow: served.hub.granted_flow(&patterns, query.flow()?),
        reduce: None,
        start: match (&id, query.latest) {
            (Some(id), _) => Start::Since(id.positions()),
            (None, Some(false)) => Start::New,
            (None, Some(true) | None) => Start::Latest,
        },
        outbox_bytes_max: None,
        durable: query.durable()?,
        slow: query.slow()?,
    };
    let beginning = match (&options.durable, &options.start) {
        (Some(_), _) => Beginning::Device,
        (None, Start::New) => Beginning::New,
        (None, Start::Latest | Start::Since(_)) => Beginning::Latest,
    };
    let goes_on = id.is_some() || options.durable.is_some();
    // A room that the request asks for is delivered as requested, and not added.
    let is_asked = |room: &Topic| patterns.iter().any(|pattern| pattern.matches(room));
    let room = reader.room.filter(|room| !is_asked(room));
    let ends = reader.ends;
    let client = ForClient {
        user: reader.user.map(Into::into),
        asked: reader.asked,
        device: options.durable.clone(),
        room: room.clone(),
    };
    let opened = served
        .hub
        .open_for_client(patterns.clone(), options, client);
    let (reader, _) = opened.await?;
    if goes_on && has_only_ended(&reader, patterns.len()) {
        // Nothing was missed, and nothing will follow. This status tells an `EventSource` not to reconnect.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let events = EventStream::new(
        reader,
        StreamContext {
            standing: Standing::new(&patterns, id, room, beginning),
            ends,
            deadlines: served.hub.event_streams(),
            _counted: served.event_streams.open(),
            _pass: pass,
        },
    );
    let handover = Handover::new(events);
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // Asks proxies that buffer responses (nginx) not to.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let body = Body::from_stream(EventBody::new(handover.clone()));
    Ok((headers, Extension(handover), body).into_response())
}

/// Whether every subscription has ended, with nothing to deliver.
fn has_only_ended(reader: &LocalReader, subscriptions: usize) -> bool {
    let frames = reader.waiting();
    let ended = frames
        .iter()
        .filter(|frame| matches!(frame, ServerFrame::End { .. }))
        .count();
    let silent = frames.iter().all(|frame| {
        matches!(
            frame,
            ServerFrame::End { .. } | ServerFrame::Subscribed { .. }
        )
    });
    silent && ended == subscriptions
}
