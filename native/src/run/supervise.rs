//! Supervises a command from its start to its end: its output, its signals, its terminal.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::forward::forward;
use super::job::JobSpec;
use super::outcome::{Ending, RunError, StopRequest};
use super::report::Reporter;
use super::signals::{Caught, Signals};
use super::start::{Link, Started, start};
use super::terminal::copy_size;

/// Runs the job's command to its end, and passes on its output to its end.
pub(super) async fn supervise(job: &JobSpec, reporter: &Arc<Reporter>) -> Ending {
    let Started {
        mut child,
        pid,
        outputs,
        link,
    } = match start(job) {
        Ok(started) => started,
        Err(error) => return Ending::NotStarted(error),
    };
    let mut signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(source) => {
            return Ending::NotStarted(RunError::Host {
                action: "catch signals",
                source,
            });
        }
    };
    reporter.started();
    let (ended, has_ended) = watch::channel(false);
    let mut forwards = JoinSet::new();
    for output in outputs {
        forwards.spawn(forward(output, Arc::clone(reporter), has_ended.clone()));
    }
    let mut command = Command {
        pid,
        link,
        asked_to_end: false,
        interrupted: None,
        by_key: false,
    };
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            caught = signals.next() => command.handle_signal(caught),
            interrupted = command.link.step() => if interrupted {
                command.interrupted = Some(Instant::now());
                command.by_key = true;
            },
        }
    };
    ended.send_replace(true);
    let all_forwarded = async { while forwards.join_next().await.is_some() {} };
    tokio::select! {
        () = all_forwarded => {}
        // The reader of our output is slow, and we are asked to end.
        () = asked_to_end(&mut signals) => {}
    }
    match status {
        Ok(status) => command.ending(status),
        Err(source) => Ending::NotStarted(RunError::Host {
            action: "wait for the command",
            source,
        }),
    }
}

/// The running command, and what it was asked to do.
struct Command {
    pid: Pid,
    link: Link,
    asked_to_end: bool,
    interrupted: Option<Instant>,
    /// Whether the last request was a key that we passed on.
    by_key: bool,
}

impl Command {
    fn handle_signal(&mut self, caught: Caught) {
        match caught.signal {
            SIGWINCH => self.link.resized(self.pid),
            SIGCONT => self.link.go_on(),
            _ => {
                self.note(caught);
                if !(caught.by_terminal && self.link.shares_group()) {
                    self.link.send(self.pid, caught.signal);
                }
            }
        }
    }

    fn note(&mut self, caught: Caught) {
        let may_live_on = caught.by_terminal || caught.signal == SIGHUP;
        if may_live_on && is_ending(caught.signal) {
            self.interrupted = Some(Instant::now());
        } else if is_ending(caught.signal) {
            self.asked_to_end = true;
        }
        self.by_key &= !is_ending(caught.signal);
    }

    fn ending(&self, status: ExitStatus) -> Ending {
        let asked = StopRequest {
            to_end: self.asked_to_end,
            interrupted: self.interrupted.map(|at| at.elapsed()),
            by_key: self.by_key,
        };
        match (status.code(), status.signal()) {
            (Some(code), _) => Ending::Exited { code, asked },
            (None, Some(signal)) => Ending::Killed { signal, asked },
            // Processes don't end like this; whatever happened, it was not a success.
            (None, None) => Ending::Exited { code: 1, asked },
        }
    }
}

impl Link {
    /// Waits for the next event of the command's terminal and handles it. Returns true if it interrupted the command.
    async fn step(&mut self) -> bool {
        match self {
            Self::Session(session) => session.step().await,
            Self::Beside { .. } => std::future::pending().await,
        }
    }

    fn shares_group(&self) -> bool {
        match self {
            Self::Session(_) => false,
            Self::Beside { shares_group, .. } => *shares_group,
        }
    }

    fn send(&self, pid: Pid, signal: i32) {
        let Some(signal) = Signal::from_named_raw(signal) else {
            return;
        };
        // This fails if the command has just ended, or runs as another user.
        let _ = if self.shares_group() {
            kill_process(pid, signal)
        } else {
            kill_process_group(pid, signal)
        };
    }

    fn resized(&self, pid: Pid) {
        match self {
            Self::Session(session) => session.resized(),
            Self::Beside { ptys, .. } if !ptys.is_empty() => {
                for (pty, terminal) in ptys {
                    copy_size(terminal, pty);
                }
                // These ptys are no process's controlling terminal, so nobody gets the signal from them.
                self.send(pid, SIGWINCH);
            }
            Self::Beside { .. } => {}
        }
    }

    fn go_on(&mut self) {
        if let Self::Session(session) = self {
            session.go_on();
        }
    }
}

fn is_ending(signal: i32) -> bool {
    [SIGHUP, SIGINT, SIGQUIT, SIGTERM].contains(&signal)
}

async fn asked_to_end(signals: &mut Signals) {
    while !is_ending(signals.next().await.signal) {}
}
