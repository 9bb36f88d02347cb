//! The cursors of durable subscriptions. All calls of a batch take one round trip and one transaction.

use std::borrow::Cow;

use tidegate_core::durable::{Cursor, CursorAnswer, CursorCall, CursorKey, owner_of};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::link::Link;
use super::publish::stored_key;
use super::upkeep::seconds;
use crate::Json;
use crate::backend::BackendError;
use crate::backend::remembered::remembered;

/// Carries out calls, in this order.
pub(super) async fn keep(
    link: &Link,
    calls: &[CursorCall],
) -> Result<Vec<CursorAnswer>, BackendError> {
    let mut answers = Vec::new();
    for calls in calls.chunk_by(|one, next| one.key().is_some() && next.key().is_some()) {
        match calls {
            [CursorCall::List { user }] => answers.push(list(link, user).await?),
            calls => answers.extend(change(link, calls).await?),
        }
    }
    Ok(answers)
}

/// Lists the cursors of a user.
async fn list(link: &Link, user: &str) -> Result<CursorAnswer, BackendError> {
    let owner = owner_of(user);
    let rows = link
        .query(
            &link.statements().list_cursors,
            &[
                (&stored_key(&owner), Type::TEXT),
                (&seconds(link.keep().cursors.age_max), Type::FLOAT8),
            ],
        )
        .await?;
    let listed = rows.iter().filter_map(|row| {
        let unused_ms = row.get::<_, i64>(3).cast_unsigned();
        remembered(row.get(0), row.get(1), row.get(2), unused_ms)
    });
    Ok(CursorAnswer::Listed(listed.collect()))
}

/// Carries out calls that concern one cursor each.
async fn change(link: &Link, calls: &[CursorCall]) -> Result<Vec<CursorAnswer>, BackendError> {
    let keys: Vec<&CursorKey> = calls.iter().filter_map(CursorCall::key).collect();
    let owners: Vec<String> = keys.iter().map(|key| key.owner()).collect();
    let owners: Vec<Cow<'_, str>> = owners.iter().map(|owner| stored_key(owner)).collect();
    let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    let patterns: Vec<&str> = keys.iter().map(|key| key.pattern.as_str()).collect();
    let (kinds, cursors): (Vec<&str>, Vec<Option<&Cursor>>) = calls.iter().map(parts).unzip();
    let term = |cursor: &Option<&Cursor>| cursor.map_or(0, |cursor| cursor.term.cast_signed());
    let terms: Vec<i64> = cursors.iter().map(term).collect();
    let texts: Vec<String> = cursors.iter().map(|cursor| text_of(*cursor)).collect();
    let limits = link.keep().cursors;
    let number = |limit: usize| i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = link
        .query(
            &link.statements().keep_cursors,
            &[
                (&kinds, Type::TEXT_ARRAY),
                (&owners, Type::TEXT_ARRAY),
                (&names, Type::TEXT_ARRAY),
                (&patterns, Type::TEXT_ARRAY),
                (&terms, Type::INT8_ARRAY),
                (&texts, Type::TEXT_ARRAY),
                (&seconds(limits.age_max), Type::FLOAT8),
                (&number(limits.per_user_max), Type::INT8),
                (&number(limits.total_max), Type::INT8),
            ],
        )
        .await?;
    if rows.len() != calls.len() {
        let (answers, calls) = (rows.len(), calls.len());
        return Err(link.unexpected(format!("{answers} answers to {calls} calls about cursors")));
    }
    rows.iter().map(|row| answer(link, row)).collect()
}

fn parts(call: &CursorCall) -> (&'static str, Option<&Cursor>) {
    match call {
        CursorCall::Claim { beginning, .. } => ("claim", Some(beginning)),
        CursorCall::Store { cursor, .. } => ("store", Some(cursor)),
        CursorCall::Remove { .. } | CursorCall::List { .. } => ("remove", None),
    }
}

fn text_of(cursor: Option<&Cursor>) -> String {
    let text = cursor.and_then(|cursor| Json::from_value(&cursor.positions).ok());
    text.map_or_else(|| "[]".to_owned(), |json| json.to_string())
}

fn answer(link: &Link, row: &Row) -> Result<CursorAnswer, BackendError> {
    match row.get(0) {
        "done" => Ok(CursorAnswer::Done),
        "full" => Ok(CursorAnswer::Full),
        "claimed" => Ok(CursorAnswer::Claimed {
            cursor: Cursor {
                term: row.get::<_, i64>(1).cast_unsigned(),
                // If the positions were damaged by another program, the subscription starts from the beginning.
                positions: serde_json::from_str(row.get(2)).unwrap_or_default(),
            },
            forgotten: row.get::<_, i64>(3).cast_unsigned(),
        }),
        other => Err(link.unexpected(format!("{other:?} in answer to a call about a cursor"))),
    }
}
