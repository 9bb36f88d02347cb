//! Background work: notifying others of new publications, and deleting what exceeds the limits.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_postgres::types::Type;

use super::link::Link;
use super::rules::Rules;
use crate::backend::BackendError;

/// How long a publication with an idempotency key is kept at least, so that repetitions are recognised.
const KEYS_AGE: Duration = Duration::from_secs(60);

/// The most rows that one statement deletes.
const ROWS_MAX: i32 = 500;

/// The same after it has taken too long again and again.
const ROWS_MIN: i32 = 10;

/// The most topics that one statement forgets.
const TOPICS_MAX: i32 = 20;

/// The most topics that one statement checks for publications that are too old for them.
const AGEING_TOPICS_MAX: i32 = 200;

/// The longest time between two checks of all topics.
const AGEING_MAX: Duration = Duration::from_secs(60);

/// The longest time between two rounds.
const ROUND_MAX: Duration = Duration::from_secs(5);

/// The shortest time between two rounds.
const ROUND_MIN: Duration = Duration::from_millis(250);

/// Notifies the other servers, with one notification at a time: what is published meanwhile is covered by the next one.
pub(super) async fn announce(link: Arc<Link>) {
    let announcing = async {
        loop {
            link.announcement.notified().await;
            // A lost link reports itself. Otherwise, the others find what is new by polling.
            if let Err(error) = link.query(&link.statements().notify, &[]).await {
                tracing::debug!(%error, "not announced");
            }
        }
    };
    link.while_it_stands(announcing).await;
}

/// Keeps the tables within the limits.
pub(super) async fn keep_up(link: Arc<Link>) {
    let keep = link.keep();
    let shortest = keep.shortest_age().min(keep.retention);
    let mut rounds = interval((shortest / 4).clamp(ROUND_MIN, ROUND_MAX));
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ages_at = Instant::now();
    let mut rows_max = ROWS_MAX;
    let upkeep = async {
        loop {
            let now = rounds.tick().await;
            let may_age = ages_at <= now;
            if may_age {
                ages_at = now + (shortest / 4).clamp(ROUND_MIN, AGEING_MAX);
            }
            // A lost link reports itself.
            match round(&link, may_age, rows_max).await {
                Ok(()) => rows_max = (rows_max * 2).min(ROWS_MAX),
                Err(error) if link.check().is_ok() => {
                    rows_max = (rows_max / 2).max(ROWS_MIN);
                    tracing::warn!(%error, "history could not be trimmed; it is tried again");
                }
                Err(_) => {}
            }
        }
    };
    link.while_it_stands(upkeep).await;
}

/// One round of upkeep. With `may_age`, it also looks for publications that are too old only by the rule of their own topic. No statement
/// deletes more than `rows_max` rows.
async fn round(link: &Link, may_age: bool, rows_max: i32) -> Result<(), BackendError> {
    // Use what servers keep now, so as not to delete by outdated limits.
    link.agree_on_keep().await?;
    let keep = link.keep();
    let rules = Rules::of(&keep);
    let ages = may_age && keep.shortest_age() < keep.widest_history().age_max;
    let keys_age = seconds(KEYS_AGE);
    let young_age = seconds(link.stall());
    let parameters: [super::link::Parameter<'_>; 7] = [
        (&rules.patterns, Type::TEXT_ARRAY),
        (&rules.counts, Type::INT8_ARRAY),
        (&rules.sizes, Type::INT8_ARRAY),
        (&rules.ages, Type::FLOAT8_ARRAY),
        (&keys_age, Type::FLOAT8),
        (&young_age, Type::FLOAT8),
        (&rows_max, Type::INT4),
    ];
    while said_more(link, &link.statements().trim, &parameters).await? {}
    let mut next = ages.then(String::new);
    while let Some(after) = next {
        let parameters: [super::link::Parameter<'_>; 7] = [
            (&after, Type::TEXT),
            (&rules.patterns, Type::TEXT_ARRAY),
            (&rules.ages, Type::FLOAT8_ARRAY),
            (&keys_age, Type::FLOAT8),
            (&young_age, Type::FLOAT8),
            (&AGEING_TOPICS_MAX, Type::INT4),
            (&rows_max, Type::INT4),
        ];
        let rows = link.query_in_background(&link.statements().age, &parameters);
        next = rows.await?[0].get(0);
    }
    let parameters: [super::link::Parameter<'_>; 4] = [
        (&rules.patterns, Type::TEXT_ARRAY),
        (&rules.retentions, Type::FLOAT8_ARRAY),
        (&TOPICS_MAX, Type::INT4),
        (&rows_max, Type::INT4),
    ];
    while said_more(link, &link.statements().forget, &parameters).await? {}
    Ok(())
}

async fn said_more(
    link: &Link,
    sql: &str,
    parameters: &[super::link::Parameter<'_>],
) -> Result<bool, BackendError> {
    Ok(link.query_in_background(sql, parameters).await?[0].get(0))
}

/// A duration in seconds, limited to what an interval of the database can hold.
pub(super) fn seconds(duration: Duration) -> f64 {
    const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
    duration.min(CENTURY).as_secs_f64()
}
