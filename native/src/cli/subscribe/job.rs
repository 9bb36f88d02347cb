//! Reads a job's progress from a publication, as the dashboard does.

use serde_json::Value;
use tidegate::Publication;
use tidegate::core::lifecycle::EndReason;

use crate::cli::text::{clean, span};

/// A job, according to its last publication.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    /// How it ended, if it has.
    pub(super) end: Option<EndReason>,
    /// The part that is done, from 0 to 1.
    pub(super) progress: Option<f64>,
    /// How much is done of how much, as text.
    pub(super) amount: String,
    pub(super) elapsed_ms: Option<u64>,
    pub(super) remaining_ms: Option<u64>,
    /// Its message.
    pub(super) message: String,
}

impl Job {
    /// Reads a publication: an object with any of `progress` (0 to 1), `done` and `total`, or a known `status`. Anything
    /// else reports no progress.
    pub(super) fn read(publication: &Publication) -> Option<Self> {
        let data: Value = publication.payload.parse().ok()?;
        let stated = data["status"].as_str();
        let end = publication
            .end
            .or_else(|| stated.and_then(|status| status.parse().ok()));
        let is_running = stated.is_some_and(|status| status.eq_ignore_ascii_case("running"));
        let number = |name: &str| data[name].as_f64().filter(|number| number.is_finite());
        let (done, total) = (number("done"), number("total"));
        let share = total.zip(done).filter(|(total, _)| *total > 0.0);
        let progress = number("progress").or_else(|| share.map(|(total, done)| done / total));
        if !data.is_object() || (progress.is_none() && end.is_none() && !is_running) {
            return None;
        }
        let progress = match end {
            Some(EndReason::Complete) => Some(1.0),
            _ => progress.map(|progress| progress.clamp(0.0, 1.0)),
        };
        let elapsed = number("elapsed_ms").filter(|elapsed| *elapsed >= 0.0);
        Some(Self {
            end,
            progress,
            amount: amount(done, total, data["unit"].as_str()),
            elapsed_ms: elapsed.map(whole),
            remaining_ms: remaining(done, total, progress, number("rate"), elapsed),
            message: message(&data, end),
        })
    }

    /// A text about its time, `since_ms` after it was read.
    pub(super) fn time(&self, since_ms: u64) -> String {
        let elapsed = self.elapsed_ms.unwrap_or_default();
        match (self.end, self.remaining_ms) {
            (None, Some(left)) if since_ms <= left => format!("{} left", span(left - since_ms)),
            (None, _) if self.elapsed_ms.is_some() => span(elapsed.saturating_add(since_ms)),
            (Some(_), _) if self.elapsed_ms.is_some() => span(elapsed),
            (None | Some(_), _) => String::new(),
        }
    }
}

fn remaining(
    done: Option<f64>,
    total: Option<f64>,
    progress: Option<f64>,
    rate: Option<f64>,
    elapsed: Option<f64>,
) -> Option<u64> {
    if let (Some(done), Some(total), Some(rate)) = (done, total, rate.filter(|rate| *rate > 0.0)) {
        return Some(whole((total - done).max(0.0) / rate * 1000.0));
    }
    let progress = progress.filter(|progress| *progress > 0.0)?;
    Some(whole(elapsed? / progress * (1.0 - progress)))
}

fn amount(done: Option<f64>, total: Option<f64>, unit: Option<&str>) -> String {
    let Some(done) = done else {
        return String::new();
    };
    let quantity = |value: f64| match unit {
        Some("bytes") => bytes(value),
        Some(_) | None => format!("{value:.0}"),
    };
    let unit = unit.filter(|unit| *unit != "bytes");
    let unit = unit.map_or(String::new(), |unit| format!(" {}", clean(unit)));
    match total {
        Some(total) => format!("{}/{}{unit}", quantity(done), quantity(total)),
        None => format!("{}{unit}", quantity(done)),
    }
}

fn bytes(mut value: f64) -> String {
    let mut units = ["B", "kB", "MB", "GB", "TB", "PB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1000.0, larger);
    }
    let digits = usize::from(unit != "B" && value < 99.95);
    format!("{value:.digits$} {unit}")
}

fn message(data: &Value, end: Option<EndReason>) -> String {
    let message = data["message"].as_str().unwrap_or_default();
    match data["exit_code"].as_i64() {
        Some(code) if message.is_empty() && end == Some(EndReason::Failed) => {
            format!("exit status {code}")
        }
        Some(_) | None => clean(message),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times are not negative, and a cast saturates"
)]
const fn whole(millis: f64) -> u64 {
    millis as u64
}
