//! What is said to all who have the file open: rows that are read once by each of them and deleted soon.

use rusqlite::params;

use super::store::{Store, now_millis};
use crate::backend::Feed;

/// How long a broadcast lies there, in milliseconds: longer than anybody takes to look at the file.
const STAYS_MS: i64 = 60_000;

/// How far this process has heard.
pub(super) struct Broadcasts {
    last: i64,
}

impl Broadcasts {
    /// Hears what is said from now on.
    pub(super) fn new(store: &Store) -> Result<Self, rusqlite::Error> {
        let sql = "SELECT coalesce(max(id), 0) FROM tidegate_broadcasts";
        let last = store.connection.query_row(sql, [], |row| row.get(0))?;
        Ok(Self { last })
    }

    /// Hands on what was said since.
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
    /// Says it, and deletes what is old, or from a future that a clock which was set back has seen.
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
