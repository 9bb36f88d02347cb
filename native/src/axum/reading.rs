//! `GET /latest` and `GET /history`: what topics have published, for whoever doesn't subscribe.

use std::collections::BTreeMap;
use std::io::Write as _;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use futures_util::future::try_join_all;
use tidegate_core::payload::Payload as _;
use tidegate_core::protocol::ErrorCode;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::Lookup;

use super::access::Caller;
use super::answer::{self, ANSWER_BYTES_MAX};
use super::error::HttpError;
use super::events::{check_covered, form_pairs, no_parameter, patterns};
use crate::Hub;
use crate::access::Pass;
use crate::encode::write_publication;
use crate::hub::Publication;

/// The most publications of an answer.
const PUBLICATIONS_MAX: usize = 1_000;

/// What a publication has around its payload, at most: its topic may be escaped.
const FRAME_BYTES: usize = 384;

/// What all requests to read may say.
struct Query {
    topics: Vec<String>,
    /// Where to go on.
    from: Option<String>,
    limit: usize,
}

impl Query {
    /// `from` is the parameter that says where to go on.
    fn parse(uri: &Uri, from: &str) -> Result<Self, HttpError> {
        let mut query = Self {
            topics: Vec::new(),
            from: None,
            limit: PUBLICATIONS_MAX,
        };
        for (name, value) in form_pairs(uri.query().unwrap_or_default())? {
            match name.as_str() {
                "topic" => query.topics.push(value),
                "limit" => query.limit = limit(&value)?,
                name if name == from => query.from = Some(value),
                name => return Err(no_parameter(name)),
            }
        }
        Ok(query)
    }
}

fn limit(text: &str) -> Result<usize, HttpError> {
    let limit = text.parse().ok();
    let limit = limit.filter(|limit| (1..=PUBLICATIONS_MAX).contains(limit));
    limit.ok_or_else(|| {
        let message =
            format!("limit={text:?}: expected a whole number from 1 to {PUBLICATIONS_MAX}");
        HttpError::bad_request(ErrorCode::BadFrame, message)
    })
}

/// The latest publications of topics, by topic, as many as an answer has room for from one topic on.
pub(super) async fn latest(
    State(hub): State<Hub>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, HttpError> {
    let query = Query::parse(&uri, "after")?;
    let patterns = patterns("/latest", &query.topics)?;
    let after = query.from.as_deref().map(topic).transpose()?;
    let pass = enter(&hub, caller, &patterns)?;
    let lookups = patterns
        .into_iter()
        .map(|pattern| hub.look_up(Lookup::Latest(pattern)));
    let found = try_join_all(lookups).await?;
    let publications = found
        .iter()
        .flat_map(|excerpts| excerpts.iter())
        .flat_map(|excerpt| &excerpt.publications)
        .filter(|publication| {
            after
                .as_ref()
                .is_none_or(|after| publication.topic > *after)
        });
    let by_topic: BTreeMap<&Topic, &Publication> = publications
        .map(|publication| (&publication.topic, publication))
        .collect();
    let part = Part::of(by_topic.into_values(), query.limit);
    answer::json(&hub, pass, part.about_bytes(), |text| {
        text.push(b'{');
        part.write(text);
    })
}

/// What a topic keeps, as much of it as an answer has room for, from a position on.
pub(super) async fn history(
    State(hub): State<Hub>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, HttpError> {
    let query = Query::parse(&uri, "since")?;
    let [name] = query.topics.as_slice() else {
        let message = "ask for one topic: /history?topic=job:42";
        return Err(HttpError::bad_request(ErrorCode::BadTopic, message));
    };
    let topic = topic(name)?;
    let since = query.from.as_deref().map(str::parse::<Position>);
    let since = since
        .transpose()
        .map_err(|error| HttpError::bad_request(ErrorCode::BadFrame, format!("since: {error}")))?;
    let pass = enter(&hub, caller, &[topic.clone().into()])?;
    let history = hub.history_of(topic.clone(), since).await?;
    let part = Part::of(history.publications.iter(), query.limit);
    // From there it goes on.
    let position = match part.publications.last() {
        Some(last) => last.position,
        None => history.position,
    };
    answer::json(&hub, pass, part.about_bytes(), |text| {
        text.extend_from_slice(br#"{"topic":"#);
        serde_json::to_writer(&mut *text, &topic).expect("a topic has a JSON form");
        let Position { epoch, offset } = position;
        let recovered = history.recovered;
        write!(
            text,
            r#","epoch":{epoch},"offset":{offset},"recovered":{recovered},"#
        )
        .expect("a Vec takes every write");
        part.write(text);
    })
}

pub(super) fn topic(text: &str) -> Result<Topic, HttpError> {
    Topic::new(text).map_err(|error| {
        HttpError::bad_request(ErrorCode::BadTopic, format!("topic {text:?}: {error}"))
    })
}

/// Lets whoever may subscribe to all of these in, as a connection that lasts as long as the answer.
fn enter(hub: &Hub, caller: Caller, patterns: &[Pattern]) -> Result<Pass, HttpError> {
    let pass = caller.enter(hub)?;
    check_covered(&*caller.known.grant_now()?, patterns)?;
    Ok(pass)
}

/// As many publications, from the first one on, as an answer has room for.
struct Part<'a> {
    publications: Vec<&'a Publication>,
    payload_bytes: usize,
    has_more: bool,
}

impl<'a> Part<'a> {
    fn of(all: impl Iterator<Item = &'a Publication>, limit: usize) -> Self {
        let mut part = Self {
            publications: Vec::new(),
            payload_bytes: 0,
            has_more: false,
        };
        for publication in all {
            let bytes = part.payload_bytes + publication.payload.size();
            let is_full = part.publications.len() == limit || bytes > ANSWER_BYTES_MAX;
            if is_full && !part.publications.is_empty() {
                part.has_more = true;
                break;
            }
            part.payload_bytes = bytes;
            part.publications.push(publication);
        }
        part
    }

    fn about_bytes(&self) -> usize {
        self.payload_bytes + (1 + self.publications.len()) * FRAME_BYTES
    }

    /// The members that tell of it, and the end of the object that they are in.
    fn write(&self, text: &mut Vec<u8>) {
        let more = self.has_more;
        write!(text, r#""more":{more},"publications":["#).expect("a Vec takes every write");
        for (index, publication) in self.publications.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            write_publication(text, publication, None, None);
        }
        text.extend_from_slice(b"]}\n");
    }
}
