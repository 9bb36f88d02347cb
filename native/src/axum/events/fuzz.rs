//! Arbitrary bytes, as the query of a request for events, and after a line feed the id that a browser sends back.

use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse as _;
use tidegate_core::flow::Flow;
use tidegate_core::protocol::FlowSpec;
use tidegate_core::topic::Pattern;

use super::{EventsQuery, HttpError, TOPICS_MAX};
use crate::event_stream::PositionId;

/// Whatever is accepted can open a stream; everything else is the client's fault.
pub(crate) fn events_query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (query, id) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(uri) = format!("/events?{query}").parse::<Uri>() else {
        return;
    };
    if let Err(error) = take(&uri, id) {
        assert_eq!(error.into_response().status(), StatusCode::BAD_REQUEST);
    }
}

fn take(uri: &Uri, id: &str) -> Result<(), HttpError> {
    let query = EventsQuery::parse(uri)?;
    let patterns = query.patterns()?;
    assert!((1..=TOPICS_MAX).contains(&patterns.len()));
    let id = query.last_event_id.as_deref().unwrap_or(id);
    if let Some(id) = PositionId::parse(id, &patterns) {
        check_id(&id, &patterns);
    }
    query.slow()?;
    query.durable()?;
    let flow = query.flow()?;
    assert_eq!(Flow::try_from(FlowSpec::from(flow)).ok(), Some(flow));
    Ok(())
}

/// An id stays the same when it is written and read again.
fn check_id(id: &PositionId, patterns: &[Pattern]) {
    let positions = id.positions();
    let is_bare = matches!(patterns, [pattern] if pattern.is_exact());
    let written: Vec<String> = positions
        .iter()
        .map(|known| match is_bare {
            true => known.position.to_string(),
            false => format!("{}={}", known.topic, known.position),
        })
        .collect();
    let read = PositionId::parse(&written.join(" "), patterns);
    assert_eq!(read.map(|read| read.positions()), Some(positions));
}
