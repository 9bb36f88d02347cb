//! One writing transaction: publications get their positions, one after the other.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Transaction, params};
use tidegate_core::hub::PublishError;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use tidegate_core::payload::Payload;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::{Position, epoch_after, first_epoch, later_epoch};
use tidegate_core::random::Random;
use tidegate_core::topic::Topic;

use super::rows::{
    Known, known, loaded, payload_of, publication, publications_after, stored, text_of, topic_of,
};
use super::schema::EventsTable;
use super::store::now_millis;
use crate::backend::Keep;
use crate::hub::Publication;
use crate::json::Json;

/// How many rows of others one transaction takes in, so that nobody waits long for it.
const TAKEN_IN_MAX: usize = 256;

/// A transaction in progress. It holds the file's write lock.
pub(super) struct Writing<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) keep: &'a Keep,
    pub(super) now: i64,
    table: EventsTable,
    epochs: &'a mut Random,
    seq_before: i64,
    seq: i64,
    fresh: Vec<Publication>,
    refused: Vec<Refusal>,
}

/// What a committed transaction did.
pub(super) struct Written<T> {
    pub(super) value: T,
    /// The last `seq` that others had assigned before.
    pub(super) seq_before: i64,
    /// The last `seq` that this transaction assigned.
    pub(super) seq: i64,
    /// The publications that it stored, in order.
    pub(super) fresh: Vec<Publication>,
    /// Rows of others that were refused.
    pub(super) refused: Vec<Refusal>,
}

/// A row that somebody inserted and that is not published.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) channel: String,
    pub(super) reason: String,
}

struct Raw {
    row: i64,
    /// The name of its channel, whether or not that is a topic.
    channel: String,
    topic: Result<Topic, String>,
    data: Result<Json, String>,
}

impl<'a> Writing<'a> {
    pub(super) fn begin(
        transaction: &'a Transaction<'a>,
        keep: &'a Keep,
        table: EventsTable,
        epochs: &'a mut Random,
    ) -> Result<Self, rusqlite::Error> {
        let seq = transaction
            .prepare_cached("SELECT value FROM tidegate_state WHERE name = 'seq'")?
            .query_row([], |row| row.get(0))?;
        Ok(Self {
            transaction,
            keep,
            now: now_millis(),
            table,
            epochs,
            seq_before: seq,
            seq,
            fresh: Vec::new(),
            refused: Vec::new(),
        })
    }

    pub(super) fn finish<T>(self, value: T) -> Result<Written<T>, rusqlite::Error> {
        if self.seq != self.seq_before {
            self.transaction
                .prepare_cached("UPDATE tidegate_state SET value = ?1 WHERE name = 'seq'")?
                .execute([self.seq])?;
        }
        Ok(Written {
            value,
            seq_before: self.seq_before,
            seq: self.seq,
            fresh: self.fresh,
            refused: self.refused,
        })
    }

    /// Stores one publication, or returns why not. The order of the checks is the hub's.
    pub(super) fn publish(
        &mut self,
        request: &PublishRequest<Json>,
    ) -> Result<Result<Position, PublishError>, rusqlite::Error> {
        let bytes = request.payload.size();
        if bytes > self.keep.payload_bytes_max {
            return Ok(Err(PublishError::PayloadTooLarge {
                bytes,
                bytes_max: self.keep.payload_bytes_max,
            }));
        }
        if let Some(id) = &request.id {
            if id.len() > IDEMPOTENCY_KEY_BYTES_MAX {
                return Ok(Err(PublishError::KeyTooLong { bytes: id.len() }));
            }
            if let Some(position) = self.position_of_key(&request.topic, id)? {
                return Ok(Ok(position));
            }
        }
        let known = known(self.transaction, &request.topic)?;
        if let Some(Known {
            end: Some(reason), ..
        }) = known
            && !request.restart
        {
            return Ok(Err(PublishError::Ended(reason)));
        }
        let end = request.end_reason();
        let position = self.place(&request.topic, known, end)?;
        self.insert(&request.topic, position, &request.payload, end)?;
        if let Some(id) = &request.id {
            self.remember_key(&request.topic, id, position)?;
        }
        Ok(Ok(position))
    }

    /// Assigns rows that others inserted their positions, oldest first. Returns whether there may be more of them.
    pub(super) fn take_in(&mut self) -> Result<bool, rusqlite::Error> {
        let waiting: Vec<Raw> = self
            .transaction
            .prepare_cached(
                "SELECT rowid, channel, data FROM pubsub_events WHERE seq IS NULL ORDER BY rowid LIMIT ?1",
            )?
            .query_map([stored(TAKEN_IN_MAX as u64)], |row| {
                Ok(Raw {
                    row: row.get(0)?,
                    channel: text_of(row.get_ref(1)?),
                    topic: topic_of(row.get_ref(1)?),
                    data: payload_of(row.get_ref(2)?).and_then(|payload| {
                        let checked = payload.nested_within_limit();
                        checked.map_err(|error| format!("its data is {error}"))
                    }),
                })
            })?
            .collect::<Result<_, _>>()?;
        let may_be_more = waiting.len() == TAKEN_IN_MAX;
        for raw in waiting {
            if let Err(reason) = self.take_in_row(&raw)? {
                self.transaction
                    .prepare_cached(
                        "UPDATE pubsub_events SET seq = -1, placed_at = ?2 WHERE rowid = ?1",
                    )?
                    .execute([raw.row, self.now])?;
                self.refused.push(Refusal {
                    channel: raw.channel,
                    reason,
                });
            }
        }
        Ok(may_be_more)
    }

    fn take_in_row(&mut self, raw: &Raw) -> Result<Result<(), String>, rusqlite::Error> {
        let (topic, payload) = match (&raw.topic, &raw.data) {
            (Ok(topic), Ok(payload)) => (topic.clone(), payload.clone()),
            (Err(reason), _) | (_, Err(reason)) => return Ok(Err(reason.clone())),
        };
        let (bytes, bytes_max) = (payload.size(), self.keep.payload_bytes_max);
        if bytes > bytes_max {
            return Ok(Err(format!(
                "its data has {bytes} bytes; at most {bytes_max} are allowed"
            )));
        }
        // A row can't request a restart, so a row inserted for an ended topic starts it anew.
        let known = known(self.transaction, &topic)?;
        let rule = self.keep.terminal_rule.as_ref();
        let end = rule.and_then(|rule| rule.evaluate(&payload));
        let position = self.place(&topic, known, end)?;
        self.seq += 1;
        self.transaction
            .prepare_cached(
                "UPDATE pubsub_events SET seq = ?2, epoch = ?3, \"offset\" = ?4, ended = ?5, placed_at = ?6
                 WHERE rowid = ?1",
            )?
            .execute(params![
                raw.row,
                self.seq,
                stored(position.epoch),
                stored(position.offset),
                end.map(EndReason::as_str),
                self.now
            ])?;
        self.fresh.push(publication(topic, position, payload, end));
        Ok(Ok(()))
    }

    /// Begins a new epoch with the latest publication, if the topic is in `epoch`.
    pub(super) fn renew(&mut self, topic: &Topic, epoch: u64) -> Result<(), rusqlite::Error> {
        let Some(known) = known(self.transaction, topic)?.filter(|it| it.position.epoch == epoch)
        else {
            return Ok(());
        };
        let latest = publications_after(
            self.transaction,
            topic,
            known.position.epoch,
            known.position.offset.saturating_sub(1),
        )?;
        let renewed = Position {
            epoch: later_epoch(self.epochs),
            offset: latest.len() as u64,
        };
        self.remember(topic, renewed, known.end)?;
        match latest.first() {
            Some(latest) => self.insert(topic, renewed, &latest.payload, latest.end),
            None => Ok(()),
        }
    }

    /// Assigns a topic its next position.
    fn place(
        &mut self,
        topic: &Topic,
        known: Option<Known>,
        end: Option<EndReason>,
    ) -> Result<Position, rusqlite::Error> {
        let position = match known {
            Some(Known {
                position,
                end: None,
            }) => Position {
                offset: position.offset + 1,
                ..position
            },
            Some(Known {
                position,
                end: Some(_),
            }) => Position {
                epoch: epoch_after(position.epoch),
                offset: 1,
            },
            None => Position {
                epoch: first_epoch(self.epochs),
                offset: 1,
            },
        };
        self.remember(topic, position, end)?;
        Ok(position)
    }

    fn remember(
        &self,
        topic: &Topic,
        position: Position,
        end: Option<EndReason>,
    ) -> Result<(), rusqlite::Error> {
        self.transaction
            .prepare_cached(
                "INSERT INTO tidegate_topics (channel, epoch, \"offset\", ended, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (channel) DO UPDATE SET epoch = excluded.epoch, \"offset\" = excluded.\"offset\",
                   ended = excluded.ended, updated_at = excluded.updated_at",
            )?
            .execute(params![
                topic.as_str(),
                stored(position.epoch),
                stored(position.offset),
                end.map(EndReason::as_str),
                self.now
            ])?;
        Ok(())
    }

    fn insert(
        &mut self,
        topic: &Topic,
        position: Position,
        payload: &Json,
        end: Option<EndReason>,
    ) -> Result<(), rusqlite::Error> {
        self.seq += 1;
        let sql = if self.table.fills_created_at {
            "INSERT INTO pubsub_events (channel, data, seq, epoch, \"offset\", ended, placed_at, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, CURRENT_TIMESTAMP)"
        } else {
            "INSERT INTO pubsub_events (channel, data, seq, epoch, \"offset\", ended, placed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
        };
        let text = payload.as_str();
        let starts_a_number =
            text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        let data = if self.table.changes_numbers && starts_a_number {
            ValueRef::Blob(text.as_bytes())
        } else {
            ValueRef::Text(text.as_bytes())
        };
        self.transaction.prepare_cached(sql)?.execute(params![
            topic.as_str(),
            rusqlite::types::ToSqlOutput::Borrowed(data),
            self.seq,
            stored(position.epoch),
            stored(position.offset),
            end.map(EndReason::as_str),
            self.now
        ])?;
        self.fresh
            .push(publication(topic.clone(), position, payload.clone(), end));
        Ok(())
    }

    fn position_of_key(
        &self,
        topic: &Topic,
        key: &str,
    ) -> Result<Option<Position>, rusqlite::Error> {
        self.transaction
            .prepare_cached(
                "SELECT epoch, \"offset\" FROM tidegate_keys WHERE channel = ?1 AND key = ?2",
            )?
            .query_row([topic.as_str(), key], |row| {
                Ok(Position {
                    epoch: loaded(row.get(0)?),
                    offset: loaded(row.get(1)?),
                })
            })
            .optional()
    }

    fn remember_key(
        &self,
        topic: &Topic,
        key: &str,
        position: Position,
    ) -> Result<(), rusqlite::Error> {
        self.transaction
            .prepare_cached("INSERT INTO tidegate_keys (channel, key, epoch, \"offset\", seq) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                topic.as_str(),
                key,
                stored(position.epoch),
                stored(position.offset),
                self.seq
            ])?;
        Ok(())
    }
}
