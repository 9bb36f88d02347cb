//! Deletes history beyond its limits, and topics without publications for long, in small steps.

mod grown;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use rusqlite::params;
use tidegate_core::limits::IDEMPOTENCY_KEYS_MAX;
use tidegate_core::topic::Topic;

use super::fault::is_of_rows;
use super::reading::{Kept, for_each_place};
use super::rows::{known, stored};
use super::store::{Store, now_millis};
use super::writing::Writing;
use crate::backend::Keep;
use grown::Grown;

/// How long every publication stays, whatever the limits say: longer than another process takes to check the file.
const STAYS: Duration = Duration::from_secs(2);

/// The factor by which the bytes of a history may exceed their limit until then.
const BYTES_FACTOR: usize = 8;

/// The most rows that one step deletes.
const ROWS_AT_ONCE_MAX: u32 = 500;

/// The most topics that one step trims or forgets.
const TOPICS_AT_ONCE_MAX: u32 = 100;

/// The time between two checks of the topics that this process published to.
const TOPICS_EVERY: Duration = Duration::from_millis(500);

/// The time between two sweeps through the whole file, by whichever process.
const SWEEP_EVERY_MAX: Duration = Duration::from_secs(60);

/// What has to be trimmed, and when.
pub(super) struct Trimming {
    grown: Grown,
    /// The last publication whose topic was noted.
    noted: i64,
    next: Instant,
    sweep: Sweep,
    sweep_every: Duration,
}

/// How far a sweep has come.
enum Sweep {
    Resting {
        until: Instant,
    },
    /// Notes the topics that others published to, because a short-lived process trims nothing itself.
    Noting {
        /// The last publication when the sweep began. Later ones are left to the next sweep; otherwise, this one might never end.
        upto: i64,
    },
    Forgetting {
        /// Topics up to this one have been checked.
        after: String,
    },
    Ageing {
        seq: i64,
    },
    /// Topics that keep their publications for a shorter time than others.
    AgeingByTopic {
        after: String,
    },
    Refused,
}

impl Trimming {
    pub(super) fn new(now: Instant, keep: &Keep) -> Self {
        let shortest = keep.shortest_age().min(keep.retention);
        Self {
            grown: Grown::default(),
            noted: 0,
            next: now + TOPICS_EVERY,
            sweep: Sweep::Resting { until: now },
            sweep_every: (shortest / 4).clamp(TOPICS_EVERY, SWEEP_EVERY_MAX),
        }
    }

    /// Notes that a topic's history has grown.
    pub(super) fn has_grown(&mut self, topic: &Topic) {
        self.grown.insert(topic);
    }

    /// Whether there is something to do.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let is_resting = matches!(self.sweep, Sweep::Resting { until } if until > now);
        !is_resting || (self.next <= now && !self.grown.is_empty())
    }

    /// Does the next step, if one is due.
    pub(super) fn step(&mut self, now: Instant, store: &mut Store) -> Result<(), rusqlite::Error> {
        if self.next <= now && !self.grown.is_empty() {
            self.next = now + TOPICS_EVERY;
            return self.trim_grown(store);
        }
        let next = match &self.sweep {
            Sweep::Resting { until } if *until <= now => {
                if take_turn(store, self.sweep_every)? {
                    let upto = store.seq()?;
                    Sweep::Noting { upto }
                } else {
                    self.rest(now)
                }
            }
            Sweep::Resting { until } => Sweep::Resting { until: *until },
            Sweep::Noting { upto } if self.noted < *upto => {
                let (topics, last) = store.topics_after(self.noted, ROWS_AT_ONCE_MAX)?;
                self.grown.extend(topics);
                self.noted = last.unwrap_or(*upto);
                Sweep::Noting { upto: *upto }
            }
            Sweep::Noting { .. } => {
                let after = String::new();
                Sweep::Forgetting { after }
            }
            Sweep::Forgetting { after } => {
                match store.write(|it| forget_topics(it, after))?.value {
                    Some(after) => Sweep::Forgetting { after },
                    None => Sweep::Ageing { seq: 0 },
                }
            }
            Sweep::Ageing { seq } => match store.write(|it| age(it, *seq))?.value {
                Some(seq) => Sweep::Ageing { seq },
                None if store.keep.shortest_age() == store.keep.widest_history().age_max => {
                    Sweep::Refused
                }
                None => {
                    let after = String::new();
                    Sweep::AgeingByTopic { after }
                }
            },
            Sweep::AgeingByTopic { after } => {
                match store.write(|it| age_topics(it, after))?.value {
                    Some(after) => Sweep::AgeingByTopic { after },
                    None => Sweep::Refused,
                }
            }
            Sweep::Refused if store.write(forget_refused)?.value => Sweep::Refused,
            Sweep::Refused => self.rest(now),
        };
        self.sweep = next;
        Ok(())
    }

    fn rest(&self, now: Instant) -> Sweep {
        let until = now + self.sweep_every;
        Sweep::Resting { until }
    }

    fn trim_grown(&mut self, store: &mut Store) -> Result<(), rusqlite::Error> {
        let topics = self.grown.next(TOPICS_AT_ONCE_MAX as usize);
        let mut damaged = Vec::new();
        let done = store.write(|writing| {
            let mut done = Vec::new();
            for topic in topics {
                match trim_topic(writing, &topic) {
                    Ok(false) => {}
                    Ok(true) => done.push(topic),
                    // The others must not wait for this topic. It is checked again once it has grown.
                    Err(error) if is_of_rows(&error) => damaged.push((topic, error)),
                    Err(error) => return Err(error),
                }
            }
            Ok(done)
        })?;
        for topic in done.value {
            self.grown.remove(&topic);
        }
        for (topic, error) in damaged {
            store.damaged.log_damaged(&topic, &error);
            self.grown.remove(&topic);
        }
        Ok(())
    }
}

/// Returns whether this process, and no other one, is to sweep now.
fn take_turn(store: &mut Store, every: Duration) -> Result<bool, rusqlite::Error> {
    let now = now_millis();
    let due = |swept_at: i64| now.saturating_sub(swept_at) >= millis(every) || swept_at > now;
    if !due(store.state("swept_at")?) {
        return Ok(false);
    }
    let turn = store.write(|writing| {
        let last = "SELECT value FROM tidegate_state WHERE name = 'swept_at'";
        let is_due = due(writing
            .transaction
            .prepare_cached(last)?
            .query_row([], |row| row.get(0))?);
        if is_due {
            let sql = "UPDATE tidegate_state SET value = ?1 WHERE name = 'swept_at'";
            writing.transaction.prepare_cached(sql)?.execute([now])?;
        }
        Ok(is_due)
    })?;
    Ok(turn.value)
}

/// Trims one topic, and returns whether nothing is left to be done.
fn trim_topic(writing: &Writing<'_>, topic: &Topic) -> Result<bool, rusqlite::Error> {
    let Some(known) = known(writing.transaction, topic)? else {
        return Ok(true);
    };
    let epoch = known.position.epoch;
    let limits = &writing.keep.history_of(topic);
    let stays_since = writing.now.saturating_sub(millis(STAYS));
    let mut kept = Kept::new(limits, writing.now);
    let (mut over, mut cut) = (None, None);
    for_each_place(
        writing.transaction,
        topic,
        epoch,
        |offset, bytes, placed_at| {
            if over.is_none() && !kept.takes(bytes, placed_at) {
                over = Some(offset);
            }
            let exceeds_all = kept.bytes / BYTES_FACTOR > limits.bytes_max;
            if over.is_some() && (placed_at <= stays_since || exceeds_all) {
                cut = Some(offset);
            }
            cut.is_none()
        },
    )?;
    let mut is_more = over != cut;
    if let Some(cut) = cut {
        let deleted = writing
            .transaction
            .prepare_cached(
                "DELETE FROM pubsub_events WHERE rowid IN (SELECT rowid FROM pubsub_events
                 WHERE channel = ?1 AND epoch = ?2 AND \"offset\" <= ?3 AND seq > 0 ORDER BY \"offset\" LIMIT ?4)",
            )?
            .execute(params![topic.as_str(), stored(epoch), stored(cut), ROWS_AT_ONCE_MAX])?;
        is_more |= deleted == ROWS_AT_ONCE_MAX as usize;
    }
    is_more |= trim_old_epochs(writing, topic, epoch, stays_since)?;
    trim_keys(writing, topic)?;
    Ok(!is_more)
}

/// Deletes what other epochs left, and returns whether some of it remains for now.
fn trim_old_epochs(
    writing: &Writing<'_>,
    topic: &Topic,
    epoch: u64,
    stays_since: i64,
) -> Result<bool, rusqlite::Error> {
    let old = "channel = ?1 AND (epoch < ?2 OR epoch > ?2) AND seq > 0";
    let delete = format!(
        "DELETE FROM pubsub_events WHERE rowid IN
           (SELECT rowid FROM pubsub_events WHERE {old} AND placed_at <= ?3 LIMIT ?4)"
    );
    writing
        .transaction
        .prepare_cached(&delete)?
        .execute(params![
            topic.as_str(),
            stored(epoch),
            stays_since,
            ROWS_AT_ONCE_MAX
        ])?;
    let is_left = format!("SELECT EXISTS (SELECT 1 FROM pubsub_events WHERE {old})");
    writing
        .transaction
        .prepare_cached(&is_left)?
        .query_row(params![topic.as_str(), stored(epoch)], |row| row.get(0))
}

fn trim_keys(writing: &Writing<'_>, topic: &Topic) -> Result<(), rusqlite::Error> {
    writing
        .transaction
        .prepare_cached(
            "DELETE FROM tidegate_keys WHERE channel = ?1 AND seq <=
               (SELECT seq FROM tidegate_keys WHERE channel = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![topic.as_str(), stored(IDEMPOTENCY_KEYS_MAX as u64)])?;
    Ok(())
}

/// Forgets topics after `after` whose retention is over. Returns where to continue.
fn forget_topics(
    writing: &mut Writing<'_>,
    after: &str,
) -> Result<Option<String>, rusqlite::Error> {
    let (transaction, keep) = (writing.transaction, writing.keep);
    let updated_before = writing.now.saturating_sub(millis(keep.retention));
    let topics: Vec<(String, i64)> = transaction
        .prepare_cached(
            "SELECT channel, updated_at FROM tidegate_topics WHERE channel > ?1 AND updated_at < ?2
             ORDER BY channel LIMIT ?3",
        )?
        .query_map(params![after, updated_before, TOPICS_AT_ONCE_MAX], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    for (channel, updated_at) in &topics {
        let topic = Topic::new(channel).ok();
        let retention = topic.map_or(keep.retention, |topic| keep.retention_of(&topic));
        if *updated_at >= writing.now.saturating_sub(millis(retention)) {
            continue;
        }
        for sql in [
            "DELETE FROM pubsub_events WHERE channel = ?1 AND seq > 0",
            "DELETE FROM tidegate_keys WHERE channel = ?1",
            "DELETE FROM tidegate_topics WHERE channel = ?1",
        ] {
            transaction.prepare_cached(sql)?.execute([channel])?;
        }
    }
    let is_full = topics.len() == TOPICS_AT_ONCE_MAX as usize;
    let last = topics.into_iter().next_back().filter(|_| is_full);
    Ok(last.map(|(channel, _)| channel))
}

/// Trims topics after `after` whose oldest publication is too old by their own rule, though not by all rules. Returns where to continue.
fn age_topics(writing: &mut Writing<'_>, after: &str) -> Result<Option<String>, rusqlite::Error> {
    let keep = writing.keep;
    // Anything older has been deleted already, except for the latest publication of each topic, which stays.
    let updated_since = writing.now - millis(keep.widest_history().age_max.max(STAYS));
    let topics: Vec<(String, i64)> = writing
        .transaction
        .prepare_cached(
            "SELECT t.channel, (SELECT e.placed_at FROM pubsub_events e
               WHERE e.channel = t.channel AND e.epoch = t.epoch AND e.seq > 0 AND e.\"offset\" < t.\"offset\"
               ORDER BY e.\"offset\" LIMIT 1)
             FROM tidegate_topics t WHERE t.channel > ?1 AND t.updated_at >= ?2 ORDER BY t.channel LIMIT ?3",
        )?
        .query_map(params![after, updated_since, TOPICS_AT_ONCE_MAX], |row| {
            let oldest: Option<i64> = row.get(1)?;
            Ok((row.get(0)?, oldest.unwrap_or(i64::MAX)))
        })?
        .collect::<Result<_, _>>()?;
    for (channel, oldest) in &topics {
        let Ok(topic) = Topic::new(channel) else {
            continue;
        };
        let age_max = keep.history_of(&topic).age_max.max(STAYS);
        if *oldest < writing.now.saturating_sub(millis(age_max)) {
            // The next sweep deletes what is left.
            match trim_topic(writing, &topic) {
                Err(error) if !is_of_rows(&error) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
    }
    let is_full = topics.len() == TOPICS_AT_ONCE_MAX as usize;
    let last = topics.into_iter().next_back().filter(|_| is_full);
    Ok(last.map(|(channel, _)| channel))
}

/// Deletes what is too old and not the latest of its topic, from `seq` on. Returns where to continue.
fn age(writing: &mut Writing<'_>, seq: i64) -> Result<Option<i64>, rusqlite::Error> {
    let age_max = writing.keep.widest_history().age_max.max(STAYS);
    let placed_before = writing.now.saturating_sub(millis(age_max));
    let rows: Vec<(i64, i64, bool)> = writing
        .transaction
        .prepare_cached(
            "SELECT e.place, e.seq, EXISTS (SELECT 1 FROM tidegate_topics t
               WHERE t.channel = e.channel AND t.epoch = e.epoch AND t.\"offset\" = e.\"offset\")
             FROM (SELECT rowid AS place, * FROM pubsub_events WHERE seq > max(?1, 0) ORDER BY seq LIMIT ?2) e
             WHERE e.placed_at < ?3 ORDER BY e.seq",
        )?
        .query_map(params![seq, ROWS_AT_ONCE_MAX, placed_before], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    for (row, _, is_latest) in &rows {
        if !is_latest {
            let sql = "DELETE FROM pubsub_events WHERE rowid = ?1";
            writing.transaction.prepare_cached(sql)?.execute([row])?;
        }
    }
    // Rows are placed in order of time: after the first one that is recent enough, all are.
    let is_full = rows.len() == ROWS_AT_ONCE_MAX as usize;
    Ok(rows.last().filter(|_| is_full).map(|(_, seq, _)| *seq))
}

/// Deletes rows that were refused long ago, and returns whether there may be more of them.
fn forget_refused(writing: &mut Writing<'_>) -> Result<bool, rusqlite::Error> {
    let placed_before = writing.now.saturating_sub(millis(writing.keep.retention));
    let deleted = writing
        .transaction
        .prepare_cached(
            "DELETE FROM pubsub_events WHERE rowid IN
               (SELECT rowid FROM pubsub_events WHERE seq = -1 AND placed_at < ?1 LIMIT ?2)",
        )?
        .execute(params![placed_before, ROWS_AT_ONCE_MAX])?;
    Ok(deleted == ROWS_AT_ONCE_MAX as usize)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
