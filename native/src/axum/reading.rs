//! `GET /latest` and `GET /history`: what topics have published, for callers that don't subscribe.

use std::collections::BTreeMap;
use std::io::Write as _;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tidegate_core::payload::Payload as _;
use tidegate_core::protocol::ErrorCode;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::{Found, Lookup, Page};

use super::access::Caller;
use super::answer::{self, ANSWER_BYTES_MAX};
use super::error::HttpError;
use super::events::{check_covered, form_pairs, no_parameter, patterns};
use crate::Hub;
use crate::access::Pass;
use crate::encode::write_publication;
use crate::error::LookupError;
use crate::hub::Publication;

/// The most publications of an answer.
const PUBLICATIONS_MAX: usize = 1_000;

/// How many of its topics and patterns a request looks up concurrently.
const LOOKUPS_AT_ONCE: usize = 8;

/// The most bytes that a publication has in addition to its payload. Its topic may be escaped.
const FRAME_BYTES: usize = 384;

/// The parameters of all requests to read.
struct Query {
    topics: Vec<String>,
    /// Where to continue.
    from: Option<String>,
    limit: usize,
}

impl Query {
    /// `from` is the name of the parameter that says where to continue.
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

/// The latest publications of topics, ordered by topic, after a given one, as many as fit into an answer.
pub(super) async fn latest(
    State(hub): State<Hub>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, HttpError> {
    let query = Query::parse(&uri, "after")?;
    let patterns = patterns("/latest", &query.topics)?;
    let after = query.from.as_deref().map(topic).transpose()?;
    let pass = enter(&hub, caller, &patterns)?;
    let mut first = First::new(after.clone(), query.limit);
    let pages = patterns.into_iter().map(|pattern| Page {
        pattern,
        after: after.clone(),
        // One more than the page holds tells whether there are more.
        count_max: query.limit + 1,
        bytes_max: ANSWER_BYTES_MAX,
    });
    let lookups = stream::iter(pages).map(|page| first_of(&hub, page));
    let mut lookups = lookups.buffer_unordered(LOOKUPS_AT_ONCE);
    while let Some(publications) = lookups.try_next().await? {
        publications.iter().for_each(|it| first.offer(it));
    }
    let part = Part::of(first.by_topic.values(), query.limit);
    answer::json(&hub, pass, part.about_bytes(), |text| {
        text.push(b'{');
        part.write(text);
    })
}

/// The publications of a page. The latest of a known topic may be gone; then further topics are read.
async fn first_of(hub: &Hub, mut page: Page) -> Result<Vec<Publication>, LookupError> {
    if page.pattern.is_exact() {
        let found = hub.look_up(Lookup::Latest(page.pattern)).await?;
        return Ok(publications(&found).cloned().collect());
    }
    let (mut first, mut bytes) = (Vec::new(), 0);
    loop {
        let found = hub.look_up(Lookup::Page(page.clone())).await?;
        bytes += publications(&found)
            .map(|it| it.payload.size())
            .sum::<usize>();
        first.extend(publications(&found).cloned());
        let last = found.last().filter(|_| page.is_full_with(&found));
        match last {
            Some(last) if !page.is_full(first.len(), bytes) => {
                page.after = Some(last.topic.clone());
            }
            _ => return Ok(first),
        }
    }
}

fn publications(found: &Found<crate::Json>) -> impl Iterator<Item = &Publication> {
    found.iter().flat_map(|excerpt| &excerpt.publications)
}

/// What a topic keeps after a position, as much as fits into an answer.
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
    // The next request continues from there.
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

/// Admits a caller that may subscribe to all of these, as a connection that lasts as long as the answer.
fn enter(hub: &Hub, caller: Caller, patterns: &[Pattern]) -> Result<Pass, HttpError> {
    let pass = caller.enter(hub)?;
    check_covered(&*caller.known.grant_now()?, patterns)?;
    Ok(pass)
}

/// The first of the publications found, ordered by topic: as many as fit into an answer, and one more, to know whether there are more.
/// Further ones are dropped as soon as they are found, however many there are.
struct First {
    after: Option<Topic>,
    limit: usize,
    by_topic: BTreeMap<Topic, Publication>,
    payload_bytes: usize,
}

impl First {
    const fn new(after: Option<Topic>, limit: usize) -> Self {
        Self {
            after,
            limit,
            by_topic: BTreeMap::new(),
            payload_bytes: 0,
        }
    }

    /// Offers a publication. If several patterns select a topic, one publication of it is kept: it was the latest a moment ago.
    fn offer(&mut self, publication: &Publication) {
        let topic = &publication.topic;
        let is_told = self.after.as_ref().is_some_and(|after| topic <= after);
        if is_told || self.by_topic.contains_key(topic) {
            return;
        }
        self.payload_bytes += publication.payload.size();
        self.by_topic.insert(topic.clone(), publication.clone());
        while self.has_too_many()
            && let Some((_, last)) = self.by_topic.pop_last()
        {
            self.payload_bytes -= last.payload.size();
        }
    }

    /// Whether the last one neither fits into the answer nor is the first that doesn't. One publication always fits, however long it is, so
    /// two are always kept.
    fn has_too_many(&self) -> bool {
        let Some((_, last)) = self.by_topic.last_key_value() else {
            return false;
        };
        let count = self.by_topic.len();
        let bytes_before = self.payload_bytes - last.payload.size();
        count > self.limit + 1 || (count > 2 && bytes_before > ANSWER_BYTES_MAX)
    }
}

/// As many publications, from the first one on, as fit into an answer.
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

    /// Writes the members that describe it, and the end of the object that they are in.
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use proptest::prelude::*;

    use super::*;
    use crate::Json;

    /// Payloads of which many, three, and one fit into an answer.
    static PAYLOADS: LazyLock<[Json; 3]> = LazyLock::new(|| {
        [1, ANSWER_BYTES_MAX / 3, ANSWER_BYTES_MAX + 1].map(|bytes| {
            let text = format!("\"{}\"", "x".repeat(bytes.saturating_sub(2)));
            Json::from_text(&text).expect("a text")
        })
    });

    fn name(number: usize) -> Topic {
        Topic::new(&format!("job:{number:02}")).expect("a topic")
    }

    fn publication(number: usize, payload: usize) -> Publication {
        let position = Position {
            epoch: 1,
            offset: 1,
        };
        Arc::new(tidegate_core::publication::Publication {
            topic: name(number),
            position,
            end: None,
            payload: PAYLOADS[payload].clone(),
        })
    }

    fn summary(part: &Part<'_>) -> (Vec<Topic>, bool) {
        let topics = part.publications.iter().map(|it| it.topic.clone());
        (topics.collect(), part.has_more)
    }

    proptest! {
        #[test]
        fn no_more_is_kept_of_what_is_found_than_is_told(
            payloads in prop::collection::btree_map(0..30_usize, 0..3_usize, 0..30),
            order in prop::collection::vec(any::<prop::sample::Index>(), 60),
            after in prop::option::of(0..30_usize),
            limit in 1..8_usize,
        ) {
            let all: Vec<Publication> = payloads
                .into_iter()
                .map(|(number, payload)| publication(number, payload))
                .collect();
            let after = after.map(name);
            let mut first = First::new(after.clone(), limit);
            let some = order.iter().filter(|_| !all.is_empty()).map(|index| index.get(&all));
            // In any order, and some of them twice, as overlapping patterns find them.
            for publication in some.chain(&all) {
                first.offer(publication);
                let kept = first.by_topic.values().map(|it| it.payload.size());
                let bytes: usize = kept.sum();
                prop_assert_eq!(first.payload_bytes, bytes);
                prop_assert!(first.by_topic.len() <= limit + 1);
                prop_assert!(bytes <= 2 * (ANSWER_BYTES_MAX + 1));
            }
            let is_due = |it: &&Publication| after.as_ref().is_none_or(|after| it.topic > *after);
            let due = Part::of(all.iter().filter(is_due), limit);
            prop_assert_eq!(summary(&Part::of(first.by_topic.values(), limit)), summary(&due));
        }
    }
}
