//! Hashes the parts of a tree as jobs and publishes their progress.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use futures_util::{TryStreamExt as _, stream};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tidegate::EndReason;
use tidegate::{Client, Publish};
use tokio::sync::watch;

use super::pace::{Pace, hash_file, hex};
use super::tree::{Entry, Part, parts};

/// The most jobs that a tree becomes: as many as a person can watch.
const PARTS_MAX: usize = 12;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The server to publish to
    #[arg(long, default_value = "http://127.0.0.1:8420")]
    server: String,
    /// What the jobs' ids begin with
    #[arg(long, default_value = "hash")]
    prefix: String,
    /// How many jobs run at a time
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    parallel: u32,
    /// Takes about this long in all, to leave the machine to others; as fast as it can, if absent
    #[arg(long)]
    seconds: Option<u64>,
    /// The folder tree
    path: PathBuf,
}

/// What a job publishes. Each update is complete, so the latest one tells everything.
#[derive(Clone, Serialize)]
struct Update {
    name: String,
    status: &'static str,
    /// Bytes hashed, and bytes in total.
    done: u64,
    total: u64,
    unit: &'static str,
    /// Bytes per second, since the start.
    rate: f64,
    files_done: usize,
    files: usize,
    /// Milliseconds since 1970.
    started_at: u128,
    elapsed_ms: u64,
    /// The current file, or the result.
    message: String,
}

/// What all jobs of a run share.
struct Run {
    client: Client,
    prefix: String,
    /// How many bytes per second one job may read; `None`: as many as it can.
    bytes_per_second: Option<u64>,
    stopping: AtomicBool,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let parts = parts(&arguments.path, PARTS_MAX)?;
    let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
    let share = |seconds: u64| bytes / seconds.max(1) / u64::from(arguments.parallel);
    let run = Arc::new(Run {
        client: Client::connect(&arguments.server).await?,
        prefix: arguments.prefix.clone(),
        bytes_per_second: arguments.seconds.map(|seconds| share(seconds).max(1)),
        stopping: AtomicBool::new(false),
    });
    tokio::spawn(stop_when_asked(Arc::clone(&run)));
    stream::iter(parts.into_iter().enumerate().map(Ok))
        .try_for_each_concurrent(arguments.parallel as usize, |(index, part)| {
            job(Arc::clone(&run), index + 1, part)
        })
        .await?;
    if run.stopping.load(Ordering::Relaxed) {
        bail!("ended before all was hashed");
    }
    Ok(())
}

async fn stop_when_asked(run: Arc<Run>) {
    // If the signal can't be caught, the run just continues to its end.
    if tokio::signal::ctrl_c().await.is_ok() {
        run.stopping.store(true, Ordering::Relaxed);
    }
}

/// One job, from its first publication to its last.
async fn job(run: Arc<Run>, number: usize, part: Part) -> Result<()> {
    if run.stopping.load(Ordering::Relaxed) {
        return Ok(());
    }
    let topic = format!("job:{}-{number}", run.prefix);
    let (sender, mut updates) = watch::channel(Update::first(&part));
    run.client.publish(&topic, &Update::first(&part)).await?;
    let shared = Arc::clone(&run);
    let work = tokio::task::spawn_blocking(move || hash_part(&shared, number, &part, &sender));
    // Publishing waits for the server's answer; of the updates meanwhile, only the newest is kept.
    while updates.changed().await.is_ok() {
        let update = updates.borrow_and_update().clone();
        run.client.publish(&topic, &update).await?;
    }
    let end = work.await.context("the work panicked")?;
    let last = updates.borrow().ended(&end);
    run.client
        .publish_with(&topic, &last, Publish::end(end.reason()))
        .await?;
    Ok(())
}

/// How a job ended.
enum End {
    /// The digest of all digests.
    Complete(String),
    /// Why.
    Failed(String),
    Cancelled,
}

impl End {
    fn reason(&self) -> EndReason {
        match self {
            Self::Complete(_) => EndReason::Complete,
            Self::Failed(_) => EndReason::Failed,
            Self::Cancelled => EndReason::Cancelled,
        }
    }
}

/// Hashes the files of a part, one after the other, and reports after each block.
fn hash_part(run: &Run, number: usize, part: &Part, updates: &watch::Sender<Update>) -> End {
    let started = Instant::now();
    let mut pace = Pace::new(run.bytes_per_second.map(|mean| staggered(mean, number)));
    let mut whole = Sha256::new();
    for entry in &part.entries {
        let hashed = hash_file(&entry.path, &mut pace, |bytes| {
            updates.send_modify(|update| update.advance(bytes, entry, started));
            !run.stopping.load(Ordering::Relaxed)
        });
        match hashed {
            Ok(Some(digest)) => whole.update(digest),
            Ok(None) => return End::Cancelled,
            Err(error) => return End::Failed(format!("{}: {error}", entry.path.display())),
        }
        updates.send_modify(|update| update.files_done += 1);
    }
    End::Complete(hex(&whole.finalize()))
}

/// Neighbours get different shares, three quarters to five quarters of the mean: parts have about the same size, and
/// would otherwise all end at the same moment.
fn staggered(mean: u64, number: usize) -> u64 {
    (mean * (3 + number as u64 % 3) / 4).max(1)
}

impl Update {
    fn first(part: &Part) -> Self {
        Self {
            name: part.name.clone(),
            status: "RUNNING",
            done: 0,
            total: part.bytes,
            unit: "bytes",
            rate: 0.0,
            files_done: 0,
            files: part.entries.len(),
            started_at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis()),
            elapsed_ms: 0,
            message: String::new(),
        }
    }

    fn advance(&mut self, bytes: u64, entry: &Entry, started: Instant) {
        let elapsed = started.elapsed();
        self.done += bytes;
        self.rate = (self.done as f64 / elapsed.as_secs_f64().max(0.001)).round();
        self.elapsed_ms = elapsed.as_millis().try_into().unwrap_or(u64::MAX);
        let name = entry.path.file_name().unwrap_or_default();
        self.message = name.to_string_lossy().into_owned();
    }

    fn ended(&self, end: &End) -> Self {
        let (status, message) = match end {
            End::Complete(digest) => ("COMPLETE", format!("sha256 {digest}")),
            End::Failed(reason) => ("FAILED", reason.clone()),
            End::Cancelled => ("CANCELLED", String::new()),
        };
        Self {
            status,
            message,
            ..self.clone()
        }
    }
}
