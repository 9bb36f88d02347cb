//! What is known of a server's topics between two requests: their rates, and the order in which they are shown.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::cli::text::clean;

/// The answer of a server to `/debug?topics=N`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServerStats {
    pub(super) version: String,
    pub(super) backend: Backend,
    pub(super) connections: usize,
    pub(super) sse_connections: usize,
    pub(super) subscriptions: usize,
    pub(super) topics: usize,
    pub(super) gates: usize,
    pub(super) uplink: Uplink,
    pub(super) done: Done,
    pub(super) latest_topics: Vec<TopicStats>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Backend {
    pub(super) name: String,
    pub(super) link: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Uplink {
    pub(super) behind: usize,
}

/// What the server has done since it started.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Done {
    pub(super) publishes: u64,
    pub(super) frames: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TopicStats {
    pub(super) topic: String,
    pub(super) epoch: u64,
    pub(super) offset: u64,
    pub(super) subscribers: usize,
    pub(super) lag: u64,
    pub(super) idle_ms: u64,
    pub(super) value: String,
}

/// The order of the topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Rate,
    Subscribers,
    Lag,
    Age,
    Name,
}

impl Sort {
    pub(super) const ALL: [Self; 5] = [
        Self::Rate,
        Self::Subscribers,
        Self::Lag,
        Self::Age,
        Self::Name,
    ];

    /// Its key and its name.
    pub(super) const fn label(self) -> (char, &'static str) {
        match self {
            Self::Rate => ('r', "rate"),
            Self::Subscribers => ('s', "subscribers"),
            Self::Lag => ('l', "lag"),
            Self::Age => ('a', "age"),
            Self::Name => ('n', "name"),
        }
    }
}

/// A topic, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) topic: String,
    /// Publications per second, between the last two requests.
    pub(super) rate: f64,
    pub(super) offset: u64,
    pub(super) subscribers: usize,
    /// By how many publications the slowest subscriber is behind.
    pub(super) lag: u64,
    pub(super) idle_ms: u64,
    pub(super) value: String,
}

/// The server, according to its last answer.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) server: String,
    pub(super) stats: ServerStats,
    /// Why there is no newer answer, if that is so.
    pub(super) problem: Option<String>,
    pub(super) sort: Sort,
    pub(super) filter: String,
    /// Whether keys go into the filter.
    pub(super) is_filtering: bool,
    /// How many rows are scrolled past.
    pub(super) scrolled: usize,
    /// Publications accepted and frames sent, per second.
    pub(super) rates: (f64, f64),
    rows: Vec<Row>,
    looked: Option<Instant>,
}

impl Board {
    pub(super) fn new(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            stats: ServerStats::default(),
            problem: None,
            sort: Sort::Rate,
            filter: String::new(),
            is_filtering: false,
            scrolled: 0,
            rates: (0.0, 0.0),
            rows: Vec::new(),
            looked: None,
        }
    }

    /// Takes the server's answer.
    pub(super) fn take(&mut self, now: Instant, stats: ServerStats) {
        let before = std::mem::replace(&mut self.stats, stats);
        let since = self.looked.replace(now).map(|looked| now - looked);
        let before_by_topic: HashMap<(&str, u64), u64> = before
            .latest_topics
            .iter()
            .map(|it| ((it.topic.as_str(), it.epoch), it.offset))
            .collect();
        let row = |it: &TopicStats| {
            let earlier = before_by_topic.get(&(it.topic.as_str(), it.epoch));
            Row {
                topic: clean(&it.topic),
                rate: earlier.map_or(0.0, |earlier| rate(*earlier, it.offset, since)),
                offset: it.offset,
                subscribers: it.subscribers,
                lag: it.lag,
                idle_ms: it.idle_ms,
                value: clean(&it.value),
            }
        };
        self.rows = self.stats.latest_topics.iter().map(row).collect();
        let (then, done) = (before.done, self.stats.done);
        self.rates = (
            rate(then.publishes, done.publishes, since),
            rate(then.frames, done.frames, since),
        );
        self.problem = None;
    }

    /// Notes that there was no answer.
    pub(super) fn fail(&mut self, problem: String) {
        self.problem = Some(clean(&problem));
    }

    /// The topics that match the filter, in their order.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self
            .rows
            .iter()
            .filter(|row| row.topic.contains(&self.filter))
            .collect();
        rows.sort_by(|a, b| {
            let by_name = a.topic.cmp(&b.topic);
            let order = match self.sort {
                Sort::Rate => b.rate.total_cmp(&a.rate).then(a.idle_ms.cmp(&b.idle_ms)),
                Sort::Subscribers => Reverse(a.subscribers).cmp(&Reverse(b.subscribers)),
                Sort::Lag => Reverse(a.lag).cmp(&Reverse(b.lag)),
                Sort::Age => a.idle_ms.cmp(&b.idle_ms),
                Sort::Name => by_name,
            };
            order.then(by_name)
        });
        rows
    }
}

/// A rate per second. A count that has gone back is that of another server.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a second or two are far below 2^53"
)]
fn rate(before: u64, now: u64, since: Option<Duration>) -> f64 {
    let seconds = since.unwrap_or_default().as_secs_f64();
    match now.checked_sub(before) {
        Some(more) if seconds > 0.0 => more as f64 / seconds,
        Some(_) | None => 0.0,
    }
}
