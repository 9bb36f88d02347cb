//! The sequence from which publications get their place in the order. It must never be behind places that were already given out: whatever
//! is published then would come before the positions of all readers.

use tokio_postgres::types::Type;

use super::link::Link;
use crate::backend::BackendError;

/// The greatest place that was ever given out, as far as the tables know. Restoring the tables without the sequence, as logical replication
/// does, leaves the sequence behind.
const TOP: &str = "\
greatest((SELECT max(e.seq) FROM {events} e WHERE e.seq <> 0), \
(SELECT greatest(u.trimmed_seq, u.looked_at_seq, u.aged_seq) FROM {upkeep} u))";

/// Advances the sequence, under the lock that assigning places takes. Does nothing if it is not behind.
pub(super) fn advance() -> String {
    format!(
        "SELECT pg_advisory_xact_lock({{order_lock}});\nSELECT setval({{sequence}}, t.top) FROM (SELECT {TOP} AS top) t \
         WHERE t.top > coalesce(pg_sequence_last_value({{sequence}}), 0);"
    )
}

/// Whether it is behind. False if this user may not look: then the missing right is reported instead.
pub(super) async fn is_behind(link: &Link) -> Result<bool, BackendError> {
    let names = link.names();
    let may_look = link
        .query(
            "SELECT has_table_privilege($1, 'SELECT') AND has_table_privilege($2, 'SELECT') \
             AND has_sequence_privilege($3, 'USAGE, SELECT')",
            &[
                (&names.events(), Type::TEXT),
                (&names.own("upkeep"), Type::TEXT),
                (&names.own("seq"), Type::TEXT),
            ],
        )
        .await?;
    if !may_look.iter().all(|row| row.get(0)) {
        return Ok(false);
    }
    // The statement sees the tables as they were at its start, but the sequence as it is now. So a sequence that advances meanwhile doesn't
    // look behind.
    let sql = format!(
        "SELECT coalesce({TOP} > coalesce(pg_sequence_last_value({{sequence}}), 0), false)"
    );
    let rows = link.query(&names.fill(&sql), &[]).await?;
    Ok(rows.iter().any(|row| row.get(0)))
}
