//! How a command ended, and what that means for the job.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use super::report::JobStatus;

/// How long after an interrupt that needn't end the command its failure still counts as caused by it.
const INTERRUPT_EFFECT_MAX: Duration = Duration::from_secs(10);

/// The numbers of SIGHUP, SIGINT, SIGQUIT and SIGTERM, the same on every Unix.
const HANGUP: i32 = 1;
const INTERRUPT: i32 = 2;
const QUIT: i32 = 3;
const TERMINATE: i32 = 15;

/// The exit status for a signal is its number plus this, as in shells.
const SIGNAL_EXIT_BASE: i32 = 128;

/// Why a command could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// There is no such program.
    #[error("{}: command not found; check its spelling and PATH", program.display())]
    NotFound {
        /// The program as given.
        program: OsString,
    },
    /// The program is there but can't be executed.
    #[error("{}: cannot be executed: {source}", program.display())]
    NotExecutable {
        /// The program as given.
        program: OsString,
        /// What the system said.
        source: io::Error,
    },
    /// Pipes, a terminal or signal handling could not be set up, or the command could not be waited for.
    #[error("cannot {action}: {source}")]
    Host {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Only Unix-like systems are supported.
    #[error("running a command is supported on Linux, macOS and other Unix systems only")]
    UnsupportedSystem,
}

impl RunError {
    /// The exit code that shells and `env` use for this.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } => 126,
            Self::Host { .. } | Self::UnsupportedSystem => 125,
        }
    }
}

/// The result of supervising a command.
#[derive(Debug)]
pub(super) enum Ending {
    /// It never ran, or could not be waited for.
    NotStarted(RunError),
    /// It exited with this code.
    Exited { code: i32, asked: StopRequest },
    /// This signal ended it.
    Killed { signal: i32, asked: StopRequest },
}

/// Whether the command had been asked to stop.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StopRequest {
    /// Whether by a signal whose purpose is to end it.
    pub(super) to_end: bool,
    /// How long ago something interrupted it that it may survive (a key, a hangup), if anything did.
    pub(super) interrupted: Option<Duration>,
    /// Whether the last request was a key, which no other process got.
    pub(super) by_key: bool,
}

impl StopRequest {
    fn explains_failure(self) -> bool {
        self.to_end
            || self
                .interrupted
                .is_some_and(|ago| ago <= INTERRUPT_EFFECT_MAX)
    }
}

/// How a job ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// COMPLETE, FAILED or CANCELLED.
    pub status: JobStatus,
    /// The status that a shell would show as `$?`: the command's own exit code, or 128 plus the number of the signal that ended it.
    pub exit_code: u8,
    /// The number of the signal that ended the command.
    pub signal: Option<i32>,
    /// Why the command could not be run.
    pub error: Option<RunError>,
    /// Whether a key sent that signal, which no other process got.
    by_key: bool,
}

impl Outcome {
    pub(super) fn of(ending: Ending) -> Self {
        match ending {
            Ending::NotStarted(error) => Self {
                status: JobStatus::Failed,
                exit_code: error.exit_code(),
                signal: None,
                error: Some(error),
                by_key: false,
            },
            Ending::Exited { code, asked } => Self {
                status: exit_status(code, asked),
                exit_code: code.to_le_bytes()[0],
                signal: None,
                error: None,
                by_key: false,
            },
            Ending::Killed { signal, asked } => {
                let cancelled = asked.explains_failure() || matches!(signal, INTERRUPT | TERMINATE);
                let asked_by_hangup = asked.interrupted.is_some() && signal == HANGUP;
                Self {
                    status: if cancelled || asked_by_hangup {
                        JobStatus::Cancelled
                    } else {
                        JobStatus::Failed
                    },
                    exit_code: (SIGNAL_EXIT_BASE + signal).to_le_bytes()[0],
                    signal: Some(signal),
                    error: None,
                    by_key: asked.by_key && matches!(signal, INTERRUPT | QUIT),
                }
            }
        }
    }

    /// Ends this process by the signal that ended the command, so that a shell, `make` or `timeout` sees what it would see of the command
    /// itself. It dumps no core. This returns if no signal ended the command, or if this process can't be ended by it, as the first process
    /// of a container: then exit with [`exit_code`](Self::exit_code).
    /// If a key such as Ctrl-C sent the signal, only the command has got it, because its terminal is its own. So the other processes of our
    /// process group get it first, and a script around us ends as well.
    pub fn end_by_signal(&self) {
        #[cfg(unix)]
        if let Some(signal) = self.signal {
            super::leave::end_by(signal, self.by_key);
        }
    }
}

/// Exiting with 0 means success, whatever the command was asked to do. A shell whose last command was ended by a signal exits with 128 plus
/// that signal.
fn exit_status(code: i32, asked: StopRequest) -> JobStatus {
    let by_signal = [SIGNAL_EXIT_BASE + INTERRUPT, SIGNAL_EXIT_BASE + TERMINATE].contains(&code);
    if code == 0 {
        JobStatus::Complete
    } else if by_signal || asked.explains_failure() {
        JobStatus::Cancelled
    } else {
        JobStatus::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNASKED: StopRequest = StopRequest {
        to_end: false,
        interrupted: None,
        by_key: false,
    };
    const ENDED: StopRequest = StopRequest {
        to_end: true,
        ..UNASKED
    };

    fn interrupted(seconds_ago: u64) -> StopRequest {
        StopRequest {
            interrupted: Some(Duration::from_secs(seconds_ago)),
            ..UNASKED
        }
    }

    #[test]
    fn exits_and_signals_become_statuses() {
        use JobStatus::{Cancelled, Complete, Failed};
        for (code, asked, status) in [
            (0, UNASKED, Complete),
            (0, ENDED, Complete),
            (3, UNASKED, Failed),
            (3, ENDED, Cancelled),
            (3, interrupted(1), Cancelled),
            (3, interrupted(60), Failed),
            (130, UNASKED, Cancelled),
            (143, UNASKED, Cancelled),
            (137, UNASKED, Failed),
        ] {
            let outcome = Outcome::of(Ending::Exited { code, asked });
            assert_eq!(outcome.status, status, "exit {code}, {asked:?}");
            assert_eq!(i32::from(outcome.exit_code), code);
        }
        for (signal, asked, status) in [
            (INTERRUPT, UNASKED, Cancelled),
            (TERMINATE, UNASKED, Cancelled),
            (9, UNASKED, Failed),
            (9, ENDED, Cancelled),
            (11, interrupted(60), Failed),
            (HANGUP, UNASKED, Failed),
            (HANGUP, interrupted(60), Cancelled),
        ] {
            let outcome = Outcome::of(Ending::Killed { signal, asked });
            assert_eq!(outcome.status, status, "signal {signal}, {asked:?}");
            assert_eq!(i32::from(outcome.exit_code), 128 + signal);
            assert_eq!(outcome.signal, Some(signal));
        }
    }

    #[test]
    fn signals_of_keys_are_told_from_others() {
        let by_key = StopRequest {
            by_key: true,
            ..interrupted(1)
        };
        for (signal, asked, expected) in [
            (INTERRUPT, by_key, true),
            (QUIT, by_key, true),
            (TERMINATE, by_key, false),
            (INTERRUPT, interrupted(1), false),
        ] {
            let outcome = Outcome::of(Ending::Killed { signal, asked });
            assert_eq!(outcome.by_key, expected, "signal {signal}, {asked:?}");
        }
    }

    #[test]
    fn what_can_not_be_started_fails_with_the_code_of_shells() {
        let error = RunError::NotFound {
            program: "mkae".into(),
        };
        assert!(error.to_string().starts_with("mkae: command not found"));
        let outcome = Outcome::of(Ending::NotStarted(error));
        assert_eq!(outcome.status, JobStatus::Failed);
        assert_eq!(outcome.exit_code, 127);
    }
}
