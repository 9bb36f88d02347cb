//! Reads the latest publications of the topics that match a pattern.

use tidegate_core::history::Excerpt;
use tidegate_core::payload::Payload as _;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::Page;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::link::{Link, Parameter};
use super::listen::{BYTES_MAX, position, publication};
use super::read::read;
use crate::Json;
use crate::backend::BackendError;

/// The largest number of topics read at once.
const TOPICS_MAX: usize = 1000;

/// The smallest number of topics read at once if the pattern matches only some of the names with its prefix: few of them may match.
const TOPICS_MIN: usize = 100;

/// The latest publication of every topic that matches `pattern`.
pub(super) async fn list(
    link: &Link,
    pattern: &Pattern,
) -> Result<Vec<Excerpt<Json>>, BackendError> {
    list_page(link, &Page::all(pattern.clone())).await
}

/// The latest publications of one page of the topics that match.
pub(super) async fn list_page(
    link: &Link,
    page: &Page,
) -> Result<Vec<Excerpt<Json>>, BackendError> {
    if let Some(topic) = page.pattern.exact() {
        if !page.selects(&topic) {
            return Ok(Vec::new());
        }
        let excerpt = read(link, &topic, None).await?;
        let is_known = excerpt.position != Position::default();
        return Ok(is_known.then_some(excerpt).into_iter().collect());
    }
    let (mut found, mut bytes) = (Vec::new(), 0);
    let mut after = page.after.as_ref().map_or("", Topic::as_str).to_owned();
    loop {
        let missing = page.count_max.saturating_sub(found.len());
        let rows = rows_after(link, page, &after, missing).await?;
        let Some(last) = rows.last() else {
            return Ok(found);
        };
        after = last.get(0);
        for row in &rows {
            let excerpt = excerpt(link, row).filter(|excerpt| page.selects(&excerpt.topic));
            let Some(excerpt) = excerpt else {
                continue;
            };
            let publications = excerpt.publications.iter();
            bytes += publications.map(|it| it.payload.size()).sum::<usize>();
            found.push(excerpt);
            if page.is_full(found.len(), bytes) {
                return Ok(found);
            }
        }
    }
}

/// Topics after a name that share the pattern's prefix: as many as the page still needs, if all of those match.
async fn rows_after(
    link: &Link,
    page: &Page,
    after: &str,
    missing: usize,
) -> Result<Vec<Row>, BackendError> {
    let number = |limit: usize| i64::try_from(limit).unwrap_or(i64::MAX);
    let topics_max = number(missing.clamp(TOPICS_MIN, TOPICS_MAX));
    // Includes the topic that exceeds the limit.
    let bytes_max = number(page.bytes_max.saturating_add(1)).min(BYTES_MAX);
    let parameters: [Parameter<'_>; 4] = [
        (&after, Type::TEXT),
        (&page.pattern.literal_prefix(), Type::TEXT),
        (&topics_max, Type::INT8),
        (&bytes_max, Type::INT8),
    ];
    link.query(&link.statements().list, &parameters).await
}

/// The excerpt of the topic in a row; `None`, and a warning, if that is not the name of a topic.
fn excerpt(link: &Link, row: &Row) -> Option<Excerpt<Json>> {
    let channel: &str = row.get(0);
    let topic = match Topic::new(channel) {
        Ok(topic) => topic,
        Err(error) => {
            link.log_damaged(channel, error.to_string());
            return None;
        }
    };
    let position = position(row.get(1), row.get(2));
    let payload: Option<&str> = row.get(4);
    let latest =
        payload.and_then(|payload| publication(link, &topic, position, row.get(3), payload));
    Some(Excerpt {
        topic,
        position,
        publications: latest.into_iter().collect(),
    })
}
