//! Draws one line for each topic that reports progress: how far it is, how much time is left, and what it is doing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tidegate::Publication;
use tidegate::core::lifecycle::EndReason;
use tidegate::core::topic::Topic;

use super::job::Job;
use super::screen::Line;
use crate::cli::text;

/// The most topics that are kept. The one that was silent for the longest makes room for another.
const TOPICS_MAX: usize = 1_000;

/// The maximum width of the names of topics.
const NAME_COLUMNS_MAX: usize = 32;

/// How often the bar of a job moves that doesn't report how far it is.
const PULSE: Duration = Duration::from_millis(250);

/// The topics that report progress and have not ended, and what remains to be printed about others.
#[derive(Debug)]
pub(super) struct Bars {
    running: BTreeMap<u64, Row>,
    by_topic: BTreeMap<Topic, u64>,
    next: u64,
    has_colors: bool,
    started: Instant,
}

#[derive(Debug)]
struct Row {
    topic: Topic,
    /// The topic's name, cleaned.
    name: String,
    job: Job,
    read: Instant,
}

impl Bars {
    pub(super) fn new(now: Instant, has_colors: bool) -> Self {
        Self {
            running: BTreeMap::new(),
            by_topic: BTreeMap::new(),
            next: 0,
            has_colors,
            started: now,
        }
    }

    /// Takes a publication. Returns what has to be printed permanently: all of it if it reports no progress, or how its
    /// topic ended.
    pub(super) fn take(
        &mut self,
        now: Instant,
        publication: &Publication,
        columns: usize,
    ) -> Option<Line> {
        let topic = &publication.topic;
        let Some(job) = Job::read(publication) else {
            let mut line = self.line();
            line.push(&text::clean(topic.as_str()));
            line.push_in(Style::Dim, &format!(" #{} ", publication.position.offset));
            line.push(&text::clean(publication.payload.as_str()));
            return Some(line);
        };
        let row = Row {
            topic: topic.clone(),
            name: text::clean(topic.as_str()),
            job,
            read: now,
        };
        if row.job.end.is_some() {
            let place = self.by_topic.remove(topic);
            place.and_then(|place| self.running.remove(&place));
            return Some(self.ended(&row, columns));
        }
        let place = self.place_of(topic);
        self.running.insert(place, row);
        None
    }

    fn place_of(&mut self, topic: &Topic) -> u64 {
        if let Some(place) = self.by_topic.get(topic) {
            return *place;
        }
        if self.running.len() >= TOPICS_MAX {
            let silent = self.running.iter().min_by_key(|(_, row)| row.read);
            if let Some(place) = silent.map(|(place, _)| *place)
                && let Some(row) = self.running.remove(&place)
            {
                self.by_topic.remove(&row.topic);
            }
        }
        self.next += 1;
        self.by_topic.insert(topic.clone(), self.next);
        self.next
    }

    /// When something will look different, although nothing is published.
    pub(super) fn changes(&self, now: Instant) -> Option<Instant> {
        let is_unmeasured = |row: &Row| row.job.progress.is_none();
        if self.running.values().any(is_unmeasured) {
            return Some(now + PULSE);
        }
        (!self.running.is_empty()).then(|| now + Duration::from_secs(1))
    }

    /// The lines of the topics that have not ended, for a screen of this size.
    pub(super) fn lines(&self, now: Instant, columns: usize, rows: usize) -> Vec<Line> {
        let room = rows.saturating_sub(1).max(1);
        let count = self.running.len();
        let shown = if count > room { room - 1 } else { count };
        let name_columns = self.name_columns(columns);
        let rows = self.running.values().take(shown);
        let mut lines: Vec<Line> = rows
            .map(|row| self.bar(row, now, name_columns, columns))
            .collect();
        if count > shown {
            let mut line = self.line();
            line.push_in(Style::Dim, &format!("… and {} more", count - shown));
            lines.push(line);
        }
        for line in &mut lines {
            line.cut(columns.saturating_sub(1));
        }
        lines
    }

    fn name_columns(&self, columns: usize) -> usize {
        let names = self.running.values();
        let longest = names.map(|row| text::width(&row.name)).max();
        longest
            .unwrap_or_default()
            .min(NAME_COLUMNS_MAX)
            .min(columns / 3)
    }

    fn bar(&self, row: &Row, now: Instant, name_columns: usize, columns: usize) -> Line {
        let Row {
            name, job, read, ..
        } = row;
        let bar_columns = (columns / 4).clamp(4, 24);
        let mut line = self.line();
        line.push(&text::fit(name, name_columns));
        line.push("  ");
        match job.progress {
            Some(progress) => {
                let (done, left) = filled(progress, bar_columns);
                line.push_in(Style::Running, &done);
                line.push_in(Style::Dim, &left);
                line.push_in(Style::Bold, &format!(" {:>3}%", percent(progress)));
            }
            None => {
                let (before, pulse, after) = pulsing(now - self.started, bar_columns);
                line.push_in(Style::Dim, &before);
                line.push_in(Style::Running, &pulse);
                line.push_in(Style::Dim, &after);
                line.push("    …");
            }
        }
        let since = now.saturating_duration_since(*read);
        let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        line.push_word(&text::fit(&job.time(since_ms), 12));
        line.push_word(&job.amount);
        line.push_word(&job.message);
        line
    }

    fn ended(&self, row: &Row, columns: usize) -> Line {
        let Row { name, job, .. } = row;
        let (style, mark) = match job.end {
            Some(EndReason::Complete) => (Style::Complete, "✔ complete "),
            Some(EndReason::Failed) => (Style::Failed, "✘ failed   "),
            Some(EndReason::Cancelled) | None => (Style::Cancelled, "■ cancelled"),
        };
        let name_columns = self.name_columns(columns);
        let mut line = self.line();
        line.push(&text::fit(name, name_columns.max(text::width(name))));
        line.push("  ");
        line.push_in(style, mark);
        line.push_word(&job.time(0));
        line.push_word(&job.amount);
        line.push_word(&job.message);
        line
    }

    fn line(&self) -> Line {
        Line::new(self.has_colors)
    }
}

/// How a part of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Dim,
    Bold,
    Running,
    Complete,
    Failed,
    Cancelled,
}

impl Style {
    /// Its code in a terminal's sequence for colours (ECMA-48, SGR).
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Running => "36",
            Self::Complete => "32",
            Self::Failed => "31",
            Self::Cancelled => "33",
        }
    }
}

/// By how much 100 times a number written as 0.29 may be below 29.
const ROUNDING: f64 = 1e-9;

/// Whole percent. Unfinished jobs never show 100.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it lies between 0 and 1"
)]
fn percent(progress: f64) -> u8 {
    if progress >= 1.0 {
        return 100;
    }
    ((progress * 100.0 + ROUNDING) as u8).min(99)
}

/// The full and the empty part of a bar. It is drawn in eighths of a column.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a few dozen columns"
)]
fn filled(progress: f64, columns: usize) -> (String, String) {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = ((progress * columns as f64 * 8.0) as usize).min(columns * 8);
    let part = EIGHTHS[eighths % 8];
    let done = "█".repeat(eighths / 8) + part;
    let left = columns - eighths / 8 - usize::from(!part.is_empty());
    (done, "─".repeat(left))
}

/// A bar with a piece that moves back and forth.
fn pulsing(time: Duration, columns: usize) -> (String, String, String) {
    let piece = (columns / 4).max(1);
    let way = columns - piece;
    let steps = usize::try_from(time.as_millis() / PULSE.as_millis()).unwrap_or_default();
    let step = steps % (way * 2).max(1);
    let at = if step > way { way * 2 - step } else { step };
    ("─".repeat(at), "█".repeat(piece), "─".repeat(way - at))
}
