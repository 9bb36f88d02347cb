//! Converts rows of the file to what they stand for.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tidegate_core::lifecycle::EndReason;
use tidegate_core::publication::Position;
use tidegate_core::topic::Topic;

use crate::hub::Publication;
use crate::json::Json;

/// A topic as the file remembers it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) position: Position,
    pub(super) end: Option<EndReason>,
}

/// What the file remembers of a topic.
pub(super) fn known(
    connection: &Connection,
    topic: &Topic,
) -> Result<Option<Known>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT epoch, \"offset\", ended FROM tidegate_topics WHERE channel = ?1")?
        .query_row([topic.as_str()], |row| {
            Ok(Known {
                position: position_of(row, 0)?,
                end: end_of(row, 2)?,
            })
        })
        .optional()
}

/// The publications of an epoch after an offset, oldest first. Rows that an application has damaged are left out.
pub(super) fn publications_after(
    connection: &Connection,
    topic: &Topic,
    epoch: u64,
    offset: u64,
) -> Result<Vec<Publication>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT epoch, \"offset\", ended, data FROM pubsub_events
             WHERE channel = ?1 AND epoch = ?2 AND \"offset\" > ?3 AND seq > 0 ORDER BY \"offset\"",
        )?
        .query_map(
            params![topic.as_str(), stored(epoch), stored(offset)],
            |row| publication_of(row, topic),
        )?
        .filter_map(Result::transpose)
        .collect()
}

/// Makes a publication of the columns epoch, offset, ended and data; `None` if its data is not (or no longer) JSON.
pub(super) fn publication_of(
    row: &Row<'_>,
    topic: &Topic,
) -> Result<Option<Publication>, rusqlite::Error> {
    let payload = payload_of(row.get_ref(3)?).ok();
    let position = position_of(row, 0)?;
    let end = end_of(row, 2)?;
    Ok(payload.map(|payload| publication(topic.clone(), position, payload, end)))
}

pub(super) fn publication(
    topic: Topic,
    position: Position,
    payload: Json,
    end: Option<EndReason>,
) -> Publication {
    Arc::new(tidegate_core::publication::Publication {
        topic,
        position,
        payload,
        end,
    })
}

/// The topic that a value names, or why it names none. In SQLite, a BLOB or a number never equals a text. So nobody who looks for the topic
/// would find a row whose channel is one.
pub(super) fn topic_of(value: ValueRef<'_>) -> Result<Topic, String> {
    let ValueRef::Text(text) = value else {
        let kind = value.data_type();
        return Err(format!("its channel is no TEXT but {kind}"));
    };
    let text = std::str::from_utf8(text).map_err(|error| format!("its channel is {error}"))?;
    Topic::new(text).map_err(|error| format!("its channel is no topic: {error}"))
}

/// The payload that a value contains, or why it contains none.
pub(super) fn payload_of(value: ValueRef<'_>) -> Result<Json, String> {
    match value {
        ValueRef::Text(_) | ValueRef::Blob(_) => {
            let text = value.as_bytes().map_err(|error| error.to_string())?;
            let text = std::str::from_utf8(text)
                .map_err(|error| format!("its data is no text: {error}"))?;
            Json::from_stored(text).map_err(|error| format!("its data is {error}"))
        }
        ValueRef::Integer(number) => Json::from_value(&number).map_err(|error| error.to_string()),
        ValueRef::Real(number) => Json::from_value(&number).map_err(|error| error.to_string()),
        ValueRef::Null => Err("it has no data".to_owned()),
    }
}

/// A value as text, whatever it is.
pub(super) fn text_of(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => String::new(),
    }
}

fn position_of(row: &Row<'_>, first: usize) -> Result<Position, rusqlite::Error> {
    Ok(Position {
        epoch: loaded(row.get(first)?),
        offset: loaded(row.get(first + 1)?),
    })
}

fn end_of(row: &Row<'_>, column: usize) -> Result<Option<EndReason>, rusqlite::Error> {
    let word = row.get_ref(column)?.as_str_or_null().unwrap_or_default();
    Ok(word.and_then(|word| word.parse().ok()))
}

/// A number as SQLite stores it. Ours stay below 2^53.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that was stored. Ours are never negative.
pub(super) fn loaded(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
