//! Takes in rows that others have inserted: checks them, and assigns those that are publications their position.

use std::time::Instant;

use tidegate_core::lifecycle::EndReason;
use tidegate_core::payload::Payload as _;
use tidegate_core::publication::first_epoch;
use tidegate_core::random::Random;
use tidegate_core::topic::Topic;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::aside::{ASIDE_FOR, Aside};
use super::link::Link;
use crate::Json;
use crate::backend::{BackendError, RefusedLog};

/// The most rows that are taken in at a time.
const ROWS_MAX: usize = 64;

/// The intake of one link.
#[derive(Debug, Default)]
pub(super) struct Intake {
    aside: Aside,
    warnings: Warnings,
}

impl Intake {
    /// Takes in all rows that are waiting, and returns how many.
    ///
    /// A row that becomes visible late, because its transaction was long, is still found: rows are found by having no position yet, and not
    /// by their number. Several servers may find the same row; the first one places it.
    ///
    /// # Errors
    /// If something is wrong that is not due to the rows.
    pub(super) async fn take_in(
        &mut self,
        link: &Link,
        client: &Client,
    ) -> Result<usize, BackendError> {
        let bytes_max = i64::try_from(link.keep().payload_bytes_max).unwrap_or(i64::MAX);
        let rows_max = i64::try_from(ROWS_MAX).unwrap_or(i64::MAX);
        let began = Instant::now();
        if !self.aside.may_ask(began) {
            return Ok(0);
        }
        let (mut after, aside) = (self.aside.after(), self.aside.rows());
        let mut taken = 0;
        loop {
            let rows = link
                .query_on(
                    client,
                    &link.statements().raw,
                    &[
                        (&after, Type::INT8),
                        (&rows_max, Type::INT8),
                        (&bytes_max, Type::INT8),
                        (&aside, Type::INT8_ARRAY),
                    ],
                )
                .await?;
            let Some(last) = rows.last() else {
                return Ok(taken);
            };
            // Continue after rows that an application holds locked.
            after = last.get(0);
            let checked: Vec<Checked> = rows
                .iter()
                .map(|row| Checked::new(link, row.get(0), row.get(1), row.get(2)))
                .collect();
            let placed = self.place_by_parts(link, client, &checked).await?;
            taken += placed.taken;
            if placed.is_any_refused {
                self.aside.rest_after(began, Instant::now());
                return Ok(taken);
            }
            if rows.len() < ROWS_MAX {
                return Ok(taken);
            }
        }
    }

    /// Places rows in their order. If the database refuses some of them, halves are tried, so that only those are set aside.
    async fn place_by_parts(
        &mut self,
        link: &Link,
        client: &Client,
        rows: &[Checked],
    ) -> Result<Placed, BackendError> {
        let mut placed = Placed::default();
        let mut parts = vec![rows];
        while let Some(part) = parts.pop() {
            let error = match self.place(link, client, part).await {
                Ok(taken) => {
                    placed.taken += taken;
                    continue;
                }
                Err(error) => error,
            };
            let now = Instant::now();
            match (&error, part) {
                (BackendError::Content { .. }, [row]) => {
                    placed.is_any_refused = true;
                    self.aside.put(now, row.id);
                    self.warnings.not_taken_in(row, &error);
                }
                (BackendError::Content { .. }, _) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                (BackendError::Full { .. }, [row, ..]) => {
                    self.aside.rest_until(now + ASIDE_FOR);
                    self.warnings.not_taken_in(row, &error);
                    return Ok(placed);
                }
                _ => return Err(error),
            }
        }
        Ok(placed)
    }
}

/// The outcome of placing rows.
#[derive(Debug, Default)]
struct Placed {
    taken: usize,
    is_any_refused: bool,
}

/// A row, and whether it can be published.
struct Checked {
    id: i64,
    channel: String,
    bytes: i32,
    end: Option<EndReason>,
    fault: Option<String>,
}

impl Checked {
    fn new(link: &Link, id: i64, channel: Option<&str>, data: Option<&str>) -> Self {
        let mut checked = Self {
            id,
            channel: channel.unwrap_or_default().to_owned(),
            bytes: 0,
            end: None,
            fault: None,
        };
        let Some(data) = data else {
            let bytes_max = link.keep().payload_bytes_max;
            checked.fault = Some(format!(
                "its data is NULL, or larger than {bytes_max} bytes"
            ));
            return checked;
        };
        match (Topic::new(&checked.channel), Json::from_text(data)) {
            (Err(error), _) => checked.fault = Some(format!("its channel is no topic: {error}")),
            (_, Err(error)) => checked.fault = Some(format!("its data is {error}")),
            (Ok(_), Ok(payload)) => {
                checked.bytes = i32::try_from(payload.size()).unwrap_or(i32::MAX);
                let rule = &link.keep().terminal_rule;
                checked.end = rule.as_ref().and_then(|rule| rule.evaluate(&payload));
            }
        }
        checked
    }
}

impl Intake {
    /// Places rows in one transaction, and returns how many.
    async fn place(
        &mut self,
        link: &Link,
        client: &Client,
        rows: &[Checked],
    ) -> Result<usize, BackendError> {
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let sizes: Vec<i32> = rows.iter().map(|row| row.bytes).collect();
        let ends: Vec<Option<&str>> = rows
            .iter()
            .map(|row| row.end.map(EndReason::as_str))
            .collect();
        let are_valid: Vec<bool> = rows.iter().map(|row| row.fault.is_none()).collect();
        let mut random = Random::new(crate::random_seed());
        let epochs: Vec<i64> = rows
            .iter()
            .map(|_| first_epoch(&mut random).cast_signed())
            .collect();
        let taken = link
            .store_on(
                client,
                &link.statements().take_in,
                &[
                    (&ids, Type::INT8_ARRAY),
                    (&sizes, Type::INT4_ARRAY),
                    (&ends, Type::TEXT_ARRAY),
                    (&are_valid, Type::BOOL_ARRAY),
                    (&epochs, Type::INT8_ARRAY),
                ],
            )
            .await?;
        for row in &taken {
            let number: i32 = row.get(0);
            let checked = usize::try_from(number - 1)
                .ok()
                .and_then(|index| rows.get(index))
                .ok_or_else(|| {
                    link.unexpected(format!("row {number} of {} was taken", rows.len()))
                })?;
            if let Some(fault) = &checked.fault {
                self.warnings.marked(link, checked, fault);
            }
        }
        Ok(taken.len())
    }
}

/// Logs rows that are not publications, and rows that can't be taken in, but not often.
#[derive(Debug, Default)]
struct Warnings(RefusedLog);

impl Warnings {
    /// Logs that a row is not a publication.
    fn marked(&self, link: &Link, row: &Checked, fault: &str) {
        if let Some(others) = self.0.others() {
            tracing::warn!(
                backend = link.place(),
                id = row.id,
                channel = row.channel,
                others,
                "an inserted row was refused, and is marked by seq = -1: {fault}; insert it anew, corrected"
            );
        }
    }

    /// Logs that a row can't be taken in.
    fn not_taken_in(&self, row: &Checked, error: &BackendError) {
        if let Some(others) = self.0.others() {
            tracing::warn!(
                id = row.id,
                channel = row.channel,
                others,
                "an inserted row can't be taken in, and is tried again every {} s: {error}",
                ASIDE_FOR.as_secs(),
            );
        }
    }
}
