//! What happens in the background: telling others that there is something new, and deleting what is beyond the limits.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_postgres::types::Type;

use super::link::Link;
use crate::backend::BackendError;

/// How long a publication with an idempotency key is kept at least: repetitions are recognised by it.
const KEYS_AGE: Duration = Duration::from_secs(60);

/// The most rows that are deleted at once.
const ROWS_MAX: i32 = 500;

/// The most topics that are forgotten at once.
const TOPICS_MAX: i32 = 20;

/// The longest time between two rounds.
const ROUND_MAX: Duration = Duration::from_secs(5);

/// The shortest.
const ROUND_MIN: Duration = Duration::from_millis(250);

/// Tells the other servers, one notification at a time: what is published meanwhile is told by the next one.
pub(super) async fn announce(link: Arc<Link>) {
    let announcing = async {
        loop {
            link.announcement.notified().await;
            // A lost link says so itself. Otherwise they find it by themselves.
            if let Err(error) = link.query(&link.statements().notify, &[]).await {
                tracing::debug!(%error, "not announced");
            }
        }
    };
    link.while_it_stands(announcing).await;
}

/// Keeps the tables within the limits.
pub(super) async fn keep_up(link: Arc<Link>) {
    let keep = &link.keep;
    let shortest = keep.history.age_max.min(keep.retention);
    let mut rounds = interval((shortest / 4).clamp(ROUND_MIN, ROUND_MAX));
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let upkeep = async {
        loop {
            rounds.tick().await;
            // A lost link says so itself.
            if let Err(error) = round(&link).await
                && link.check().is_ok()
            {
                tracing::warn!(%error, "history could not be trimmed; it is tried again");
            }
        }
    };
    link.while_it_stands(upkeep).await;
}

async fn round(link: &Link) -> Result<(), BackendError> {
    let history = link.keep.widest_history();
    let number = |limit: usize| i64::try_from(limit).unwrap_or(i64::MAX);
    let (count_max, bytes_max) = (number(history.count_max), number(history.bytes_max));
    let (age_max, keys_age) = (seconds(history.age_max), seconds(KEYS_AGE));
    let young_age = seconds(link.stall());
    let parameters: [super::link::Parameter<'_>; 6] = [
        (&count_max, Type::INT8),
        (&bytes_max, Type::INT8),
        (&age_max, Type::FLOAT8),
        (&keys_age, Type::FLOAT8),
        (&young_age, Type::FLOAT8),
        (&ROWS_MAX, Type::INT4),
    ];
    while said_more(link, &link.statements().trim, &parameters).await? {}
    let retention = seconds(link.keep.longest_retention());
    let parameters: [super::link::Parameter<'_>; 2] =
        [(&retention, Type::FLOAT8), (&TOPICS_MAX, Type::INT4)];
    while said_more(link, &link.statements().forget, &parameters).await? {}
    Ok(())
}

async fn said_more(
    link: &Link,
    sql: &str,
    parameters: &[super::link::Parameter<'_>],
) -> Result<bool, BackendError> {
    Ok(link.query(sql, parameters).await?[0].get(0))
}

/// So many seconds, as an interval of the database's can hold them.
pub(super) fn seconds(duration: Duration) -> f64 {
    const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
    duration.min(CENTURY).as_secs_f64()
}
