//! Broadcasts to all that have the file open: rows that each of them reads once, and that are deleted soon.

use rusqlite::params;

use super::store::{Store, now_millis};
use crate::backend::Feed;

/// How long a broadcast is kept, in milliseconds: longer than any process takes to check the file.
const STAYS_MS: i64 = 60_000;

/// How far this process has read.
pub(super) struct Broadcasts {
    last: i64,
}

impl Broadcasts {
    /// Reads broadcasts from now on.
    pub(super) fn new(store: &Store) -> Result<Self, rusqlite::Error> {
        let sql = "SELECT coalesce(max(id), 0) FROM tidegate_broadcasts";
        let last = store.connection.query_row(sql, [], |row| row.get(0))?;
        Ok(Self { last })
    }

    /// Passes on the broadcasts since the last call.
    pub(super) fn read(&mut self, store: &Store, feed: &Feed) -> Result<(), rusqlite::Error> {
        let mut statement = store.connection.prepare_cached(
            "SELECT id, message FROM tidegate_broadcasts WHERE id > ?1 ORDER BY id",
        )?;
        let mut rows = statement.query([self.last])?;
        while let Some(row) = rows.next()? {
            self.last = row.get(0)?;
            feed.broadcast(row.get(1)?);
        }
        Ok(())
    }
}

impl Store {
    /// Stores a broadcast. Deletes old ones, and those from the future, which remain if a clock was set back.
    pub(super) fn broadcast(&mut self, message: &str) -> Result<(), rusqlite::Error> {
        let now = now_millis();
        let transaction = self.connection.transaction()?;
        transaction
            .prepare_cached("DELETE FROM tidegate_broadcasts WHERE said_at NOT BETWEEN ?1 AND ?2")?
            .execute([now - STAYS_MS, now + STAYS_MS])?;
        transaction
            .prepare_cached("INSERT INTO tidegate_broadcasts (message, said_at) VALUES (?1, ?2)")?
            .execute(params![message, now])?;
        transaction.commit()
    }
}
