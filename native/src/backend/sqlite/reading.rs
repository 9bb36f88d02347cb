//! Reads what the file keeps of topics, and what is new since the last check.

use std::collections::BTreeSet;

use rusqlite::{Row, params};
use tidegate_core::history::{Excerpt, HistoryLimits};
use tidegate_core::payload::Payload as _;
use tidegate_core::publication::Position;
use tidegate_core::topic::Topic;
use tidegate_core::uplink::Page;

use super::fault::is_of_rows;
use super::rows::{Known, known, loaded, publication_of, publications_after, stored, topic_of};
use super::store::{Store, now_millis};
use crate::hub::Publication;
use crate::json::Json;

/// How many publications are read at a time, so that writers get their turn in between.
const READ_AT_ONCE_MAX: u64 = 256;

/// A part of what is new.
pub(super) struct News {
    pub(super) publications: Vec<Publication>,
    /// The last `seq` of this part.
    pub(super) seq: i64,
    /// Whether publications are missing in it: they were trimmed, or another program deleted or damaged them.
    pub(super) has_gap: bool,
    /// Whether there is more.
    pub(super) is_more: bool,
}

impl Store {
    /// Reads what a topic keeps since a position, within the limits of its history. Nothing is known of a topic whose rows another program
    /// has damaged.
    pub(super) fn read(
        &mut self,
        topic: &Topic,
        since: Option<Position>,
    ) -> Result<Excerpt<Json>, rusqlite::Error> {
        match self.read_intact(topic, since) {
            Err(error) if is_of_rows(&error) => {
                self.damaged.log_damaged(topic, &error);
                Ok(excerpt(topic, Position::default(), Vec::new()))
            }
            read => read,
        }
    }

    fn read_intact(
        &mut self,
        topic: &Topic,
        since: Option<Position>,
    ) -> Result<Excerpt<Json>, rusqlite::Error> {
        self.load_keep()?;
        let snapshot = self.connection.transaction()?;
        let Some(Known { position, .. }) = known(&snapshot, topic)? else {
            return Ok(excerpt(topic, Position::default(), Vec::new()));
        };
        let is_known =
            |since: &Position| since.epoch == position.epoch || *since == Position::default();
        let wants_all = since == Some(Position::default());
        let since = since.filter(is_known).map(|since| since.offset);
        let latest = position.offset.saturating_sub(1);
        let after = match since {
            Some(offset) if offset == position.offset => offset,
            Some(offset) if offset < position.offset => {
                let limits = self.keep.history_of(topic);
                let first = first_kept(&snapshot, topic, position, &limits)?;
                if wants_all || first <= offset + 1 {
                    offset.max(first - 1)
                } else {
                    latest
                }
            }
            Some(_) | None => latest,
        };
        let publications = publications_after(&snapshot, topic, position.epoch, after)?;
        let is_whole = publications.len() as u64 == position.offset - after;
        let publications = if is_whole {
            publications
        } else {
            // Another program deleted or damaged rows in between. The latest publication replaces them, if it is still there.
            let last = publications.into_iter().last();
            last.into_iter()
                .filter(|last| last.position == position)
                .collect()
        };
        Ok(excerpt(topic, position, publications))
    }

    /// The latest publication of the topics of a page. The index of names is read from the first of them to the last, and no further.
    pub(super) fn list(&mut self, page: &Page) -> Result<Vec<Excerpt<Json>>, rusqlite::Error> {
        let pattern = &page.pattern;
        let snapshot = self.connection.transaction()?;
        let after = page.after.as_ref().map_or("", Topic::as_str);
        let mut statement = snapshot.prepare_cached(
            "SELECT t.epoch, t.\"offset\", e.ended, e.data, t.channel FROM tidegate_topics t
             LEFT JOIN pubsub_events e
               ON e.channel = t.channel AND e.epoch = t.epoch AND e.\"offset\" = t.\"offset\" AND e.seq > 0
             WHERE t.channel >= ?1 ORDER BY t.channel",
        )?;
        let mut rows = statement.query([after.max(pattern.literal_prefix())])?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while !page.is_full(found.len(), bytes)
            && let Some(row) = rows.next()?
        {
            match listed(row, page) {
                Ok(Listed::Beyond) => break,
                Ok(Listed::Other) => {}
                Ok(Listed::Topic(excerpt)) => {
                    let publications = excerpt.publications.iter();
                    bytes += publications.map(|it| it.payload.size()).sum::<usize>();
                    found.push(excerpt);
                }
                Err(error) if is_of_rows(&error) => self.damaged.log_damaged(pattern, &error),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The topics of some publications after `seq`, and the `seq` of the last of them, if there are any.
    pub(super) fn topics_after(
        &self,
        seq: i64,
        rows_max: u32,
    ) -> Result<(BTreeSet<Topic>, Option<i64>), rusqlite::Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT channel, seq FROM pubsub_events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let mut rows = statement.query(params![seq, rows_max])?;
        let (mut topics, mut last) = (BTreeSet::new(), None);
        while let Some(row) = rows.next()? {
            topics.extend(topic_of(row.get_ref(0)?));
            last = Some(row.get(1)?);
        }
        Ok((topics, last))
    }

    /// Reads the next part of what came after `cursor`, as far as `is_wanted`.
    pub(super) fn news(
        &mut self,
        cursor: i64,
        is_wanted: impl Fn(&Topic) -> bool,
    ) -> Result<News, rusqlite::Error> {
        let snapshot = self.connection.transaction()?;
        let top: i64 = snapshot
            .prepare_cached("SELECT value FROM tidegate_state WHERE name = 'seq'")?
            .query_row([], |row| row.get(0))?;
        let mut statement = snapshot.prepare_cached(
            "SELECT epoch, \"offset\", ended, data, channel, seq FROM pubsub_events
             WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let mut rows = statement.query([cursor, stored(READ_AT_ONCE_MAX)])?;
        let mut news = News {
            publications: Vec::new(),
            seq: cursor,
            has_gap: false,
            is_more: false,
        };
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(5)?;
            news.has_gap |= seq != news.seq + 1;
            news.seq = seq;
            count += 1;
            match wanted_publication(row, &is_wanted)? {
                Wanted::Yes(publication) => news.publications.push(publication),
                Wanted::No => {}
                Wanted::Damaged => news.has_gap = true,
            }
        }
        news.is_more = count == READ_AT_ONCE_MAX;
        if !news.is_more {
            news.has_gap |= news.seq < top;
            news.seq = top;
        }
        Ok(news)
    }
}

/// How a row of the table of topics counts for a page.
enum Listed {
    Topic(Excerpt<Json>),
    Other,
    /// From here on, no row has the pattern's prefix.
    Beyond,
}

fn listed(row: &Row<'_>, page: &Page) -> Result<Listed, rusqlite::Error> {
    let channel = row.get_ref(4)?.as_str()?;
    if !channel.starts_with(page.pattern.literal_prefix()) {
        return Ok(Listed::Beyond);
    }
    let Some(topic) = Topic::new(channel).ok().filter(|topic| page.selects(topic)) else {
        return Ok(Listed::Other);
    };
    let position = Position {
        epoch: loaded(row.get(0)?),
        offset: loaded(row.get(1)?),
    };
    let latest = publication_of(row, &topic)?;
    Ok(Listed::Topic(excerpt(
        &topic,
        position,
        latest.into_iter().collect(),
    )))
}

enum Wanted {
    Yes(Publication),
    No,
    Damaged,
}

fn wanted_publication(
    row: &Row<'_>,
    is_wanted: &impl Fn(&Topic) -> bool,
) -> Result<Wanted, rusqlite::Error> {
    let Ok(topic) = topic_of(row.get_ref(4)?) else {
        return Ok(Wanted::Damaged);
    };
    if !is_wanted(&topic) {
        return Ok(Wanted::No);
    }
    match publication_of(row, &topic) {
        Ok(publication) => Ok(publication.map_or(Wanted::Damaged, Wanted::Yes)),
        // A damaged row must not keep everyone from what comes after it.
        Err(error) if is_of_rows(&error) => Ok(Wanted::Damaged),
        Err(error) => Err(error),
    }
}

fn excerpt(topic: &Topic, position: Position, publications: Vec<Publication>) -> Excerpt<Json> {
    Excerpt {
        topic: topic.clone(),
        position,
        publications,
    }
}

/// The offset of the oldest publication within the limits. Rows beyond them may still be there for a while.
fn first_kept(
    connection: &rusqlite::Connection,
    topic: &Topic,
    position: Position,
    limits: &HistoryLimits,
) -> Result<u64, rusqlite::Error> {
    let mut kept = Kept::new(limits, now_millis());
    let mut first = position.offset;
    for_each_place(
        connection,
        topic,
        position.epoch,
        |offset, bytes, placed_at| {
            let is_kept = kept.takes(bytes, placed_at);
            if is_kept {
                first = offset;
            }
            is_kept
        },
    )?;
    Ok(first)
}

/// Calls `look` with the offset, the bytes and the time of a topic's publications, newest first, until it returns false.
pub(super) fn for_each_place(
    connection: &rusqlite::Connection,
    topic: &Topic,
    epoch: u64,
    mut look: impl FnMut(u64, usize, i64) -> bool,
) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT \"offset\", coalesce(octet_length(data), 0), placed_at FROM pubsub_events
         WHERE channel = ?1 AND epoch = ?2 AND seq > 0 ORDER BY \"offset\" DESC",
    )?;
    let mut rows = statement.query(params![topic.as_str(), stored(epoch)])?;
    while let Some(row) = rows.next()? {
        let bytes = usize::try_from(row.get::<_, i64>(1)?).unwrap_or_default();
        if !look(loaded(row.get(0)?), bytes, row.get(2)?) {
            break;
        }
    }
    Ok(())
}

/// Counts publications, newest first, up to what a history keeps.
pub(super) struct Kept<'a> {
    limits: &'a HistoryLimits,
    now: i64,
    count: usize,
    pub(super) bytes: usize,
}

impl<'a> Kept<'a> {
    pub(super) const fn new(limits: &'a HistoryLimits, now: i64) -> Self {
        Self {
            limits,
            now,
            count: 0,
            bytes: 0,
        }
    }

    /// Whether the next older publication is kept. The latest always is.
    pub(super) fn takes(&mut self, bytes: usize, placed_at: i64) -> bool {
        self.count += 1;
        self.bytes += bytes;
        let age_max = i64::try_from(self.limits.age_max.as_millis()).unwrap_or(i64::MAX);
        let is_within = self.count <= self.limits.count_max
            && self.bytes <= self.limits.bytes_max
            && self.now.saturating_sub(placed_at) <= age_max;
        self.count == 1 || is_within
    }
}
