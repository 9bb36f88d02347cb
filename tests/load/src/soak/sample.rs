//! Samples what a server holds, at regular intervals.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::clients::Seen;
use crate::process::Server;

/// How much more a server may hold at the end than after a quarter of the time, as a fraction.
const GROWTH_MAX: f64 = 0.05;

/// The figures: name, and whether it is in bytes.
pub(super) const FIGURES: [(&str, bool); 7] = [
    ("resident memory", true),
    ("open files", false),
    ("threads", false),
    ("tasks", false),
    ("connections", false),
    ("subscriptions", false),
    ("topics", false),
];

/// The server's metrics behind the figures that it reports itself.
const METRICS: [&str; 4] = [
    "tidegate_tasks",
    "tidegate_connections",
    "tidegate_subscriptions",
    "tidegate_topics",
];

/// What a server held at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) figures: [f64; FIGURES.len()],
    seen: Seen,
}

impl Sample {
    pub(super) fn take(started: Instant, server: &Server, seen: Seen) -> Result<Self> {
        let observed = server.observed();
        let metrics = get(server.address, "/metrics")?;
        let told = METRICS.map(|name| metric(&metrics, name));
        let [tasks, connections, subscriptions, topics] = told;
        Ok(Self {
            at: started.elapsed(),
            figures: [
                observed.resident_bytes()? as f64,
                observed.open_files()? as f64,
                observed.threads()? as f64,
                tasks?,
                connections?,
                subscriptions?,
                topics?,
            ],
            seen,
        })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.as_secs();
        write!(f, "{:>3}:{:02}", seconds / 60, seconds % 60)?;
        for ((name, is_bytes), figure) in FIGURES.iter().zip(self.figures) {
            write!(f, "  {name} {}", told(figure, *is_bytes))?;
        }
        write!(f, "  deliveries {}", self.seen.deliveries)
    }
}

pub(super) fn told(figure: f64, is_bytes: bool) -> String {
    if is_bytes {
        format!("{:.1} MB", figure / (1024.0 * 1024.0))
    } else {
        format!("{figure:.0}")
    }
}

/// All samples.
#[derive(Default)]
pub(super) struct Series {
    pub(super) samples: Vec<Sample>,
}

impl Series {
    pub(super) fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// A row for each figure: its medians in the second and the last quarter of the time.
    pub(super) fn table(&self) -> String {
        let mut text =
            "| | second quarter | last quarter | growth |\n|---|---|---|---|\n".to_owned();
        for (index, (name, is_bytes)) in FIGURES.iter().enumerate() {
            let [before, after] = self.quarters(index);
            text.push_str(&format!(
                "| {name} | {} | {} | {:+.1} % |\n",
                told(before, *is_bytes),
                told(after, *is_bytes),
                100.0 * (after / before - 1.0)
            ));
        }
        text
    }

    /// # Errors
    /// If a figure has grown by more than [`GROWTH_MAX`].
    pub(super) fn check(&self) -> Result<()> {
        for (index, (name, is_bytes)) in FIGURES.iter().enumerate() {
            let [before, after] = self.quarters(index);
            if after > before * (1.0 + GROWTH_MAX) {
                bail!(
                    "{name} grew from {} to {}",
                    told(before, *is_bytes),
                    told(after, *is_bytes)
                );
            }
        }
        Ok(())
    }

    /// The medians of the second quarter and of the last.
    fn quarters(&self, figure: usize) -> [f64; 2] {
        let quarter = self.samples.len() / 4;
        let median = |from: usize, to: usize| {
            let part = self.samples.get(from..to).unwrap_or_default();
            let mut values: Vec<f64> = part.iter().map(|sample| sample.figures[figure]).collect();
            values.sort_unstable_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        let end = self.samples.len();
        [median(quarter, 2 * quarter), median(end - quarter, end)]
    }
}

fn metric(text: &str, name: &str) -> Result<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let figure = line.with_context(|| format!("the server does not tell {name}"))?;
    Ok(figure.trim().parse()?)
}

fn get(server: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(server)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 200") {
        bail!(
            "{path} is answered by {}",
            answer.lines().next().unwrap_or("nothing")
        );
    }
    Ok(answer)
}
