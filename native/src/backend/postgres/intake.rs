//! Takes in rows that others have inserted: checks them, and gives those that are publications their place.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tidegate_core::lifecycle::EndReason;
use tidegate_core::payload::Payload as _;
use tidegate_core::publication::first_epoch;
use tidegate_core::random::Random;
use tidegate_core::topic::Topic;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::link::Link;
use crate::Json;
use crate::backend::BackendError;

/// The most rows that are taken in at once.
const ROWS_MAX: usize = 64;

/// The shortest time between two warnings.
const WARNING_EVERY: Duration = Duration::from_secs(10);

/// Takes in all rows that wait; tells how many.
///
/// A row that appears late, because its transaction was long, is found late: rows are looked for by their not
/// having a place, and not by their number. Several servers may find the same one; the first places it.
pub(super) async fn take_in_raw(link: &Link, client: &Client) -> Result<usize, BackendError> {
    let bytes_max = i64::try_from(link.keep().payload_bytes_max).unwrap_or(i64::MAX);
    let rows_max = i64::try_from(ROWS_MAX).unwrap_or(i64::MAX);
    let mut after = i64::MIN;
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
                ],
            )
            .await?;
        let Some(last) = rows.last() else {
            return Ok(taken);
        };
        // Goes on behind what an application holds locked.
        after = last.get(0);
        let checked: Vec<Checked> = rows
            .iter()
            .map(|row| Checked::new(link, row.get(0), row.get(1), row.get(2)))
            .collect();
        taken += place(link, client, &checked).await?;
        if rows.len() < ROWS_MAX {
            return Ok(taken);
        }
    }
}

/// A row, and what is to become of it.
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

async fn place(link: &Link, client: &Client, rows: &[Checked]) -> Result<usize, BackendError> {
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
        .query_on(
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
            .ok_or_else(|| link.unexpected(format!("row {number} of {} was taken", rows.len())))?;
        if let Some(fault) = &checked.fault {
            warn(link, checked, fault);
        }
    }
    Ok(taken.len())
}

/// When somebody was warned last, and what was passed over since.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    last: Option<Instant>,
    passed_over: u64,
}

fn warn(link: &Link, row: &Checked, fault: &str) {
    let mut warnings = link.warnings.lock().unwrap_or_else(PoisonError::into_inner);
    if warnings
        .last
        .is_some_and(|last| last.elapsed() < WARNING_EVERY)
    {
        warnings.passed_over += 1;
        return;
    }
    tracing::warn!(
        backend = link.place(),
        id = row.id,
        channel = row.channel,
        others = warnings.passed_over,
        "an inserted row was refused, and is marked by seq = -1: {fault}; insert it anew, corrected"
    );
    *warnings = Warnings {
        last: Some(Instant::now()),
        passed_over: 0,
    };
}
