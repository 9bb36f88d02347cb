//! Stores publications: a batch is one round trip and one transaction.

use std::borrow::Cow;

use tidegate_core::hub::PublishError;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::payload::Payload as _;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::{Position, first_epoch};
use tidegate_core::random::Random;
use tokio_postgres::types::Type;

use super::link::Link;
use super::listen::{end, position};
use crate::Json;
use crate::backend::BackendError;

/// The most publications in one transaction, which others have to wait for. It is all that a hub publishes at a time, so that nothing of a
/// batch is stored if part of it is refused.
const BATCH_MAX: usize = 512;

/// Stores a batch, and returns the position of each publication, or why it was refused.
pub(super) async fn publish(
    link: &Link,
    batch: &[PublishRequest<Json>],
) -> Result<Vec<Result<Position, PublishError>>, BackendError> {
    let mut answers = Vec::with_capacity(batch.len());
    for part in batch.chunks(BATCH_MAX) {
        publish_part(link, part, &mut answers).await?;
    }
    link.news.notify_one();
    link.announcement.notify_one();
    Ok(answers)
}

async fn publish_part(
    link: &Link,
    batch: &[PublishRequest<Json>],
    answers: &mut Vec<Result<Position, PublishError>>,
) -> Result<(), BackendError> {
    let statements = link.statements();
    let channels: Vec<&str> = batch.iter().map(|request| request.topic.as_str()).collect();
    let payloads: Vec<Cow<'_, str>> = batch
        .iter()
        .map(|request| match statements.is_jsonb {
            true => without_what_jsonb_refuses(request.payload.as_str()),
            false => request.payload.as_str().into(),
        })
        .collect();
    let sizes: Vec<i32> = batch
        .iter()
        .map(|request| i32::try_from(request.payload.size()).unwrap_or(i32::MAX))
        .collect();
    let ends: Vec<Option<&str>> = batch
        .iter()
        .map(|request| request.end_reason().map(EndReason::as_str))
        .collect();
    let keys: Vec<Option<Cow<'_, str>>> = batch
        .iter()
        .map(|request| request.id.as_deref().map(stored_key))
        .collect();
    let restarts: Vec<bool> = batch.iter().map(|request| request.restart).collect();
    let mut random = Random::new(crate::random_seed());
    let epochs: Vec<i64> = batch
        .iter()
        .map(|_| first_epoch(&mut random).cast_signed())
        .collect();
    let rows = link
        .store(
            &statements.publish,
            &[
                (&channels, Type::TEXT_ARRAY),
                (&payloads, Type::TEXT_ARRAY),
                (&sizes, Type::INT4_ARRAY),
                (&ends, Type::TEXT_ARRAY),
                (&keys, Type::TEXT_ARRAY),
                (&restarts, Type::BOOL_ARRAY),
                (&epochs, Type::INT8_ARRAY),
            ],
        )
        .await?;
    if rows.len() != batch.len() {
        return Err(link.unexpected(format!(
            "{} answers to {} publications",
            rows.len(),
            batch.len()
        )));
    }
    for row in &rows {
        answers.push(match row.get::<_, Option<&str>>(2) {
            Some(reason) => Err(PublishError::Ended(end(link, reason)?)),
            None => Ok(position(row.get(0), row.get(1))),
        });
    }
    Ok(())
}

/// An idempotency key as a text that PostgreSQL can hold: without U+0000.
pub(super) fn stored_key(key: &str) -> Cow<'_, str> {
    if key.contains(['\0', '\\']) {
        key.replace('\\', "\\\\").replace('\0', "\\0").into()
    } else {
        key.into()
    }
}

/// The JSON text with U+FFFD for what jsonb can't hold in a string: U+0000 and halves of surrogate pairs.
fn without_what_jsonb_refuses(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") {
        return text.into();
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        kept += &rest[..at];
        rest = &rest[at..];
        let taken = match escaped_unit(rest) {
            None => 2,
            Some(0xD800..=0xDBFF) if matches!(escaped_unit(&rest[6..]), Some(0xDC00..=0xDFFF)) => {
                12
            }
            Some(0 | 0xD800..=0xDFFF) => {
                kept += "\\ufffd";
                rest = &rest[6..];
                continue;
            }
            Some(_) => 6,
        };
        kept += &rest[..taken];
        rest = &rest[taken..];
    }
    kept += rest;
    kept.into()
}

/// The code unit of the `\uXXXX` that `text` begins with.
fn escaped_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_different() {
        let keys = ["a\0", "a\\0", "a\\\\0", "a0", "a\\\0"];
        let stored: std::collections::HashSet<_> = keys.iter().map(|key| stored_key(key)).collect();
        assert_eq!(stored.len(), keys.len());
        assert!(stored.iter().all(|key| !key.contains('\0')));
    }

    #[test]
    fn only_what_jsonb_refuses_is_replaced() {
        for (text, kept) in [
            (r#""\u0000""#, r#""\ufffd""#),
            (r#""\\u0000""#, r#""\\u0000""#),
            (
                r#""\ud83d\ude00 \ud83d \ude00""#,
                r#""\ud83d\ude00 \ufffd \ufffd""#,
            ),
            (r#""\ud83d\n\u00e9\\""#, r#""\ufffd\n\u00e9\\""#),
            (r#"{"a":"ü\"\u0041"}"#, r#"{"a":"ü\"\u0041"}"#),
        ] {
            assert_eq!(without_what_jsonb_refuses(text), kept);
        }
    }
}
