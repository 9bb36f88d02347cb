//! The cursors of durable subscriptions.

use rusqlite::{OptionalExtension as _, Row, params};
use tidegate_core::durable::{Cursor, CursorAnswer, CursorCall, CursorKey, Remembered, owner_of};
use tidegate_core::protocol::TopicPosition;

use super::rows::{loaded, stored};
use super::writing::Writing;
use crate::Json;
use crate::backend::remembered::remembered;

impl Writing<'_> {
    /// Carries out a call about a cursor.
    pub(super) fn cursor(&self, call: &CursorCall) -> Result<CursorAnswer, rusqlite::Error> {
        match call {
            CursorCall::Claim { key, beginning } => self.claim(key, beginning),
            CursorCall::Store { key, cursor } => self.store_cursor(key, cursor),
            CursorCall::Remove { key } => {
                self.remove_cursor(key)?;
                Ok(CursorAnswer::Done)
            }
            CursorCall::List { user } => Ok(CursorAnswer::Listed(self.list_cursors(user)?)),
        }
    }

    fn list_cursors(&self, user: &str) -> Result<Vec<Remembered>, rusqlite::Error> {
        let unused_since = self.now.saturating_sub(age_max(self));
        let rows: Vec<(String, String, String, i64)> = self
            .transaction
            .prepare_cached(
                "SELECT name, pattern, positions, used_at FROM tidegate_cursors
                 WHERE owner = ?1 AND used_at >= ?2 ORDER BY name, pattern",
            )?
            .query_map(params![owner_of(user), unused_since], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?
            .collect::<Result<_, _>>()?;
        let loaded = rows.iter().filter_map(|(name, pattern, text, used_at)| {
            let unused_ms = self.now.saturating_sub(*used_at);
            remembered(name, pattern, text, loaded(unused_ms))
        });
        Ok(loaded.collect())
    }

    fn claim(&self, key: &CursorKey, beginning: &Cursor) -> Result<CursorAnswer, rusqlite::Error> {
        let unused_since = self.now.saturating_sub(age_max(self));
        let claimed = self
            .transaction
            .prepare_cached(
                "UPDATE tidegate_cursors SET term = term + 1, used_at = ?4
                 WHERE owner = ?1 AND name = ?2 AND pattern = ?3 AND used_at >= ?5 RETURNING term, positions",
            )?
            .query_row(
                params![
                    key.owner(),
                    key.name.as_str(),
                    key.pattern.as_str(),
                    self.now,
                    unused_since
                ],
                cursor,
            )
            .optional()?;
        if let Some(cursor) = claimed {
            let forgotten = 0;
            return Ok(CursorAnswer::Claimed { cursor, forgotten });
        }
        let mut forgotten = self.remove_cursor(key)?;
        if self.has_no_cursor_left(key)? {
            forgotten += self
                .transaction
                .prepare_cached("DELETE FROM tidegate_cursors WHERE used_at < ?1")?
                .execute([unused_since])?;
            if self.has_no_cursor_left(key)? {
                return Ok(CursorAnswer::Full);
            }
        }
        self.transaction
            .prepare_cached(
                "INSERT INTO tidegate_cursors (owner, name, pattern, term, positions, used_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                key.owner(),
                key.name.as_str(),
                key.pattern.as_str(),
                stored(beginning.term),
                text_of(&beginning.positions),
                self.now
            ])?;
        Ok(CursorAnswer::Claimed {
            cursor: beginning.clone(),
            forgotten: forgotten as u64,
        })
    }

    /// Removes a cursor, and returns how many there were: one or none.
    fn remove_cursor(&self, key: &CursorKey) -> Result<usize, rusqlite::Error> {
        self.transaction
            .prepare_cached(
                "DELETE FROM tidegate_cursors WHERE owner = ?1 AND name = ?2 AND pattern = ?3",
            )?
            .execute([&key.owner(), key.name.as_str(), key.pattern.as_str()])
    }

    fn has_no_cursor_left(&self, key: &CursorKey) -> Result<bool, rusqlite::Error> {
        let limits = &self.keep.cursors;
        let total: i64 = self
            .transaction
            .prepare_cached("SELECT count(*) FROM tidegate_cursors")?
            .query_row([], |row| row.get(0))?;
        if loaded(total) >= limits.total_max as u64 {
            return Ok(true);
        }
        if key.user.is_none() {
            return Ok(false);
        }
        let own: i64 = self
            .transaction
            .prepare_cached("SELECT count(*) FROM tidegate_cursors WHERE owner = ?1")?
            .query_row([key.owner()], |row| row.get(0))?;
        Ok(loaded(own) >= limits.per_user_max as u64)
    }

    fn store_cursor(
        &self,
        key: &CursorKey,
        cursor: &Cursor,
    ) -> Result<CursorAnswer, rusqlite::Error> {
        self.transaction
            .prepare_cached(
                "UPDATE tidegate_cursors SET positions = ?5, used_at = ?6
                 WHERE owner = ?1 AND name = ?2 AND pattern = ?3 AND term = ?4",
            )?
            .execute(params![
                key.owner(),
                key.name.as_str(),
                key.pattern.as_str(),
                stored(cursor.term),
                text_of(&cursor.positions),
                self.now
            ])?;
        Ok(CursorAnswer::Done)
    }
}

fn age_max(writing: &Writing<'_>) -> i64 {
    let age_max = writing.keep.cursors.age_max.as_millis();
    i64::try_from(age_max).unwrap_or(i64::MAX)
}

fn cursor(row: &Row<'_>) -> Result<Cursor, rusqlite::Error> {
    let text = row.get_ref(1)?.as_str().unwrap_or_default();
    Ok(Cursor {
        term: loaded(row.get(0)?),
        // If the positions were damaged by another program, the subscription starts from the beginning.
        positions: serde_json::from_str(text).unwrap_or_default(),
    })
}

fn text_of(positions: &[TopicPosition]) -> String {
    Json::from_value(&positions).map_or_else(|_| "[]".to_owned(), |json| json.to_string())
}
