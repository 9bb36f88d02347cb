//! Reads what a topic keeps.

use tidegate_core::history::Excerpt;
use tidegate_core::publication::{POSITION_MAX, Position};
use tidegate_core::topic::Topic;
use tokio_postgres::types::Type;

use super::link::Link;
use super::listen::{position, publication};
use super::upkeep::seconds;
use crate::Json;
use crate::backend::BackendError;

/// Reads what a topic keeps after `since`, or its latest publication.
pub(super) async fn read(
    link: &Link,
    topic: &Topic,
    since: Option<Position>,
) -> Result<Excerpt<Json>, BackendError> {
    let number = |limit: usize| i64::try_from(limit).unwrap_or(i64::MAX);
    let history = link.keep().history_of(topic);
    // No topic has epoch -1, or an epoch above the largest.
    let signed = |half: u64| half.min(POSITION_MAX + 1).cast_signed();
    let (epoch, offset) =
        since.map_or((-1, 0), |since| (signed(since.epoch), signed(since.offset)));
    let (count_max, bytes_max) = (number(history.count_max), number(history.bytes_max));
    let rows = link
        .query(
            &link.statements().read,
            &[
                (&topic.as_str(), Type::TEXT),
                (&epoch, Type::INT8),
                (&offset, Type::INT8),
                (&count_max, Type::INT8),
                (&bytes_max, Type::INT8),
                (&seconds(history.age_max), Type::FLOAT8),
            ],
        )
        .await?;
    let mut excerpt = Excerpt {
        topic: topic.clone(),
        position: Position::default(),
        publications: Vec::new(),
    };
    for row in &rows {
        excerpt.position = position(row.get(0), row.get(1));
        let (Some(offset), Some(payload)) = (row.get::<_, Option<i64>>(2), row.get(4)) else {
            continue;
        };
        let at = position(row.get(0), offset);
        let read = publication(link, topic, at, row.get(3), payload);
        excerpt.publications.extend(read);
    }
    match since {
        Some(since) if since == Position::default() => keep_what_joins(&mut excerpt),
        _ => {
            let since = since.map_or(excerpt.position.offset, |since| since.offset);
            keep_what_has_no_gap(&mut excerpt, since);
        }
    }
    Ok(excerpt)
}

/// Retains only what leads up to the latest publication without a gap.
fn keep_what_joins(excerpt: &mut Excerpt<Json>) {
    let mut next = excerpt.position.offset;
    let newest_first = excerpt.publications.iter().rev();
    let joined = newest_first.take_while(|publication| {
        let joins = publication.position.offset == next;
        next = next.saturating_sub(1);
        joins
    });
    let earlier = excerpt.publications.len() - joined.count();
    excerpt.publications.drain(..earlier);
}

/// Retains only the latest publication if something between it and `since` is missing.
fn keep_what_has_no_gap(excerpt: &mut Excerpt<Json>, since: u64) {
    let top = excerpt.position.offset;
    let has_latest = excerpt
        .publications
        .last()
        .is_some_and(|latest| latest.position.offset == top);
    let missed = usize::try_from(top.saturating_sub(since)).unwrap_or(usize::MAX);
    if !has_latest {
        excerpt.publications.clear();
    } else if excerpt.publications.len() != missed {
        let earlier = excerpt.publications.len() - 1;
        excerpt.publications.drain(..earlier);
    }
}
