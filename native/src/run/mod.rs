//! Runs a command and reports its progress: what `tidegate run` does.
//!
//! [`run`] starts a command, passes everything through between it and our own terminal or pipes, and
//! meanwhile keeps a [`JobUpdate`] up to date in a watch channel:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tidegate::run::{self, JobSpec};
//! use tokio::sync::watch;
//!
//! let job = JobSpec::new(None, vec!["make".into(), "-j8".into()])?;
//! let (updates, mut latest) = watch::channel(None);
//! let publisher = tokio::spawn(async move {
//!     while latest.changed().await.is_ok() {
//!         let update = latest.borrow_and_update().clone();
//!         // Publish it. A slow publisher skips values but always gets to the last one.
//!     }
//! });
//! let outcome = run::run(&job, updates).await;
//! publisher.await?;
//! outcome.end_by_signal();
//! std::process::exit(outcome.exit_code.into());
//! # }
//! ```
//!
//! # What the command notices
//!
//! As little as possible. How it is connected depends on what our own streams are:
//!
//! - Standard input and output are a **terminal**: the command gets a terminal of its own (a pty, in
//!   a session of its own), made like ours. Ours is switched to raw, so that every key goes to the
//!   command, and switched back at the end, on suspension (Ctrl-Z) and on panic. The window's size is
//!   passed on whenever it changes.
//! - **Otherwise** the command stays in our session, has our standard input itself, and writes to pipes, or, if one of
//!   our two outputs is a terminal, to a pty that only carries output. Bytes are passed on unchanged as they come. If
//!   our two outputs are the same file, the command's are one, too, so that their order is kept.
//!
//! Signals that reach us are passed on to the command (in a session or without any terminal: to its
//! whole process group), except those that the terminal has given to both of us already.
//!
//! Our parent can see how the command ended, too: [`Outcome::end_by_signal`].
//!
//! # Limits
//!
//! After the command has ended, output of processes that it left behind is passed on until they are
//! silent for [`DRAIN_QUIET`], or [`DRAIN_MAX`] has passed. Until its end, whatever the command itself
//! has written is passed on in any case.

#![cfg_attr(
    not(unix),
    allow(
        dead_code,
        reason = "what supervision alone uses, which only Unix systems have"
    )
)]

mod job;
mod outcome;
pub mod progress;
mod report;

#[cfg(unix)]
mod forward;
#[cfg(unix)]
mod leave;
#[cfg(unix)]
mod session;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod start;
#[cfg(unix)]
mod supervise;
#[cfg(unix)]
mod terminal;

use std::time::Duration;

use tokio::sync::watch;

pub use job::{JobId, JobSpec, JobSpecError, NAME_CHARS_MAX};
pub use outcome::{Outcome, RunError};
pub use report::{JobStatus, JobUpdate};

use outcome::Ending;
use report::Reporter;

/// How long processes that the command left behind may be silent before their output is given up.
pub const DRAIN_QUIET: Duration = Duration::from_millis(200);

/// How long the output of such processes is passed on at most, once the command's own is.
pub const DRAIN_MAX: Duration = Duration::from_secs(2);

/// Runs the command of `job` to its end and keeps `updates` up to date meanwhile.
///
/// The first value is set when the command runs; the last one has a status that
/// [is terminal](JobStatus::is_terminal). A slow reader of the values delays nothing: it skips to the latest one. The
/// sender is dropped on return.
///
/// A command that can't be started has an outcome, too: FAILED with exit code 127 (not found), 126
/// (not executable) or 125 (an error of our own), as in shells and `env`. Nothing is printed about it;
/// [`Outcome::error`] says what was wrong.
///
/// Must be called within a Tokio runtime with IO and time enabled. Dropping the future kills the
/// command. Signals are caught until the return; afterwards they have no effect, so the caller should
/// bound the time that it takes to exit.
pub async fn run(job: &JobSpec, updates: watch::Sender<Option<JobUpdate>>) -> Outcome {
    let reporter = Reporter::new(job, updates);
    let ending = supervised(job, &reporter).await;
    let outcome = Outcome::of(ending);
    reporter.ended(&outcome);
    outcome
}

#[cfg(unix)]
async fn supervised(job: &JobSpec, reporter: &std::sync::Arc<Reporter>) -> Ending {
    supervise::supervise(job, reporter).await
}

#[cfg(not(unix))]
async fn supervised(_job: &JobSpec, _reporter: &std::sync::Arc<Reporter>) -> Ending {
    Ending::NotStarted(RunError::UnsupportedSystem)
}
