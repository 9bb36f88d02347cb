//! Reads what is published. Notifications wake it, but it also polls, because a notification is only a hint that may not arrive (a pooler
//! doesn't pass it on).

use std::sync::Arc;

use tidegate_core::lifecycle::EndReason;
use tidegate_core::publication::{Position, Publication};
use tidegate_core::topic::Topic;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::intake::Intake;
use super::link::Link;
use crate::Json;
use crate::backend::{BackendError, Feed};

/// The most rows of a page.
const ROWS_MAX: usize = 500;

/// The most payload bytes of a page.
pub(super) const BYTES_MAX: i64 = 8 * 1024 * 1024;

/// From this number of bytes on, a page may have been cut short. What the database counts as bytes differs from what it sends if it stores
/// values and not texts.
const PAGE_FULL_BYTES: usize = 2 * 1024 * 1024;

/// Reported if somebody has emptied that table.
const NO_UPKEEP: &str = "the row of the upkeep table is gone";

/// Reads the feed on a connection of its own.
pub(super) struct Reader {
    link: Arc<Link>,
    client: Client,
    feed: Feed,
    intake: Intake,
    cursor: i64,
    /// The place up to which the feed was told that something may have been missed.
    told_missed: i64,
}

impl Reader {
    /// Starts to listen, and to read from the current end of the order.
    pub(super) async fn start(
        link: &Arc<Link>,
        client: Client,
        feed: Feed,
    ) -> Result<Self, BackendError> {
        // Listen first, then read the end: whatever is published after that end is announced by a notification that this connection gets.
        link.query_on(&client, &link.statements().listen, &[])
            .await?;
        link.follow_broadcasts(&client).await?;
        let rows = link.query_on(&client, &link.statements().top, &[]).await?;
        let top: Option<i64> = rows.first().map(|row| row.get(0));
        let cursor = top.ok_or_else(|| link.unexpected(NO_UPKEEP.to_owned()))?;
        Ok(Self {
            cursor,
            told_missed: cursor,
            link: Arc::clone(link),
            client,
            feed,
            intake: Intake::default(),
        })
    }

    /// Reads until the link is lost.
    pub(super) async fn run(mut self) {
        let link = Arc::clone(&self.link);
        link.while_it_stands(async {
            // Any error here may have lost something, so the link is opened anew.
            if let Err(error) = self.read_on().await {
                self.link.lose(error);
            }
        })
        .await;
    }

    async fn read_on(&mut self) -> Result<(), BackendError> {
        let mut ticks = interval_at(Instant::now(), self.link.poll());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_tick = tokio::select! {
                _ = ticks.tick() => true,
                () = self.link.news.notified() => false,
            };
            if is_tick && self.intake.take_in(&self.link, &self.client).await? > 0 {
                self.link.announcement.notify_one();
            }
            while self.read_page().await? {}
        }
    }

    /// Reads a page, and returns whether there may be another.
    async fn read_page(&mut self) -> Result<bool, BackendError> {
        let rows_max = i64::try_from(ROWS_MAX).unwrap_or(i64::MAX);
        let selection = self.link.following().selection();
        let rows = self
            .link
            .query_on(
                &self.client,
                &self.link.statements().page,
                &[
                    (&self.cursor, Type::INT8),
                    (&rows_max, Type::INT8),
                    (&BYTES_MAX, Type::INT8),
                    (&selection.is_all, Type::BOOL),
                    (&selection.topics, Type::TEXT_ARRAY),
                    (&selection.prefixes, Type::TEXT_ARRAY),
                ],
            )
            .await?;
        let trimmed: Option<i64> = rows.first().map(|row| row.get(0));
        let trimmed = trimmed.ok_or_else(|| self.link.unexpected(NO_UPKEEP.to_owned()))?;
        if trimmed > self.cursor.max(self.told_missed) {
            self.told_missed = trimmed;
            self.feed.missed();
        }
        let mut bytes = 0;
        for row in &rows {
            let Some(seq) = row.get::<_, Option<i64>>(1) else {
                break;
            };
            if !self.hand_on(row) {
                return Ok(true);
            }
            self.cursor = seq;
            bytes += row.get::<_, Option<&str>>(6).map_or(0, str::len);
        }
        Ok(rows.len() == ROWS_MAX || bytes >= PAGE_FULL_BYTES)
    }

    /// Passes on a row if its topic is followed. Returns false if its payload is missing, because the topic was followed only after the
    /// page was requested: the page has to be read again then. A damaged row is skipped; the gap shows with the next publication of its
    /// topic.
    fn hand_on(&self, row: &Row) -> bool {
        let channel: &str = row.get(2);
        let topic = match Topic::new(channel) {
            Ok(topic) => topic,
            Err(error) => {
                self.link.log_damaged(channel, error.to_string());
                return true;
            }
        };
        if !self.link.following().matches(&topic) {
            return true;
        }
        let Some(payload) = row.get::<_, Option<&str>>(6) else {
            return false;
        };
        let position = position(row.get(3), row.get(4));
        if let Some(read) = publication(&self.link, &topic, position, row.get(5), payload) {
            self.feed.publication(read);
        }
        true
    }
}

/// Makes a position of the database's numbers.
pub(super) fn position(epoch: i64, offset: i64) -> Position {
    Position {
        epoch: epoch.unsigned_abs(),
        offset: offset.unsigned_abs(),
    }
}

/// Makes a publication of a row; `None` if somebody has damaged it, which is logged.
pub(super) fn publication(
    link: &Link,
    topic: &Topic,
    position: Position,
    ended: Option<&str>,
    payload: &str,
) -> Option<Arc<Publication<Json>>> {
    let read = || {
        let payload = Json::from_stored(payload).map_err(|error| error.to_string())?;
        let end = ended.map(|word| {
            word.parse::<EndReason>()
                .map_err(|error| format!("ended {word:?}: {error}"))
        });
        Ok::<_, String>((payload, end.transpose()?))
    };
    match read() {
        Ok((payload, end)) => Some(Arc::new(Publication {
            topic: topic.clone(),
            position,
            payload,
            end,
        })),
        Err(error) => {
            link.log_damaged(topic.as_str(), format!("{topic} at {position}: {error}"));
            None
        }
    }
}

/// Parses the stored word for an end reason.
pub(super) fn end(link: &Link, word: &str) -> Result<EndReason, BackendError> {
    word.parse()
        .map_err(|error| link.unexpected(format!("ended {word:?}: {error}")))
}
