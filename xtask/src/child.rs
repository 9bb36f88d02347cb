//! Runs one program as a step: its output goes to a log and its progress to the screen. If it fails, the end of the log
//! is part of the error.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use console::strip_ansi_codes;

use crate::group::Group;
use crate::progress::{Mark, Progress, cargo_status};
use crate::workspace::Workspace;

/// How many lines of a failed child's output are shown to a person.
const TAIL_LINES: usize = 60;
/// The same on a CI service, where nobody can open the log files afterwards.
const TAIL_LINES_CI: usize = 400;
/// How often a silent child is polled.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long to read output after the child has exited: a grandchild may hold the pipe open.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// A program that is about to run.
pub(crate) struct Step<'a> {
    workspace: &'a Workspace,
    title: String,
    command: Command,
    time_max: Option<Duration>,
    may_fail: bool,
}

/// The output of a finished program: stdout and stderr.
#[derive(Debug)]
pub(crate) struct Log {
    /// The file that keeps it.
    path: PathBuf,
    /// Its text, without colours and progress bars.
    pub(crate) text: String,
}

/// A child that failed, with the end of its output.
#[derive(Debug)]
pub(crate) struct ChildFailed {
    title: String,
    end: End,
    log: Log,
}

/// How a failed child ended.
#[derive(Debug)]
enum End {
    Exited(ExitStatus),
    /// It was killed because it ran for longer than this.
    TooLong(Duration),
}

impl ChildFailed {
    /// Everything that it printed before it failed.
    pub(crate) fn output(&self) -> &str {
        &self.log.text
    }

    /// Whether a signal ended it, so that its result is unknown.
    pub(crate) fn was_killed(&self) -> bool {
        matches!(self.end, End::Exited(status) if status.code().is_none())
    }
}

impl std::error::Error for ChildFailed {}

impl fmt::Display for ChildFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, end, log } = self;
        let reason = match end {
            End::Exited(status) => status.to_string(),
            End::TooLong(limit) => format!("ended after {} s without a result", limit.as_secs()),
        };
        let lines_max = if env::var_os("CI").is_some() {
            TAIL_LINES_CI
        } else {
            TAIL_LINES
        };
        writeln!(f, "{title}: {reason}. The end of its output:\n")?;
        writeln!(f, "{}", tail(&log.text, lines_max))?;
        write!(f, "The whole output is in {}", log.path.display())
    }
}

impl<'a> Step<'a> {
    /// A step that runs until the program ends.
    pub(crate) fn new(workspace: &'a Workspace, title: &str, command: Command) -> Self {
        Self {
            workspace,
            title: title.to_owned(),
            command,
            time_max: None,
            may_fail: false,
        }
    }

    /// Kills the program and everything that it has started if it runs for longer, which counts as a failure.
    pub(crate) fn time_max(mut self, limit: Duration) -> Self {
        self.time_max = Some(limit);
        self
    }

    /// Shows a failure as skipped: the caller has an alternative.
    pub(crate) fn may_fail(mut self) -> Self {
        self.may_fail = true;
        self
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// If it can't be started, exits with a status other than 0, or exceeds its time.
    pub(crate) fn run(self) -> Result<Log> {
        self.begin()?.finish()
    }

    /// Starts the program in the background. Nothing is shown of it before [`Running::finish`].
    ///
    /// # Errors
    /// If it can't be started.
    pub(crate) fn begin(mut self) -> Result<Running> {
        let folder = self.workspace.logs();
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let program = self.command.get_program().to_owned();
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut group = Group::start(&mut self.command)
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Running {
            path: folder.join(format!("{}.log", file_stem(&self.title))),
            called: format!("{:?}", self.command),
            lines: read_lines(&mut group.leader),
            started: Instant::now(),
            group,
            title: self.title,
            time_max: self.time_max,
            may_fail: self.may_fail,
        })
    }
}

/// A running program. Dropping it kills it and everything that it has started.
pub(crate) struct Running {
    title: String,
    called: String,
    group: Group,
    lines: Receiver<String>,
    path: PathBuf,
    started: Instant,
    time_max: Option<Duration>,
    may_fail: bool,
}

impl Running {
    /// Shows the program's progress until it ends.
    ///
    /// # Errors
    /// If it exits with a status other than 0, or exceeds its time.
    pub(crate) fn finish(mut self) -> Result<Log> {
        let mut progress = Progress::start(&self.title);
        let outcome = self.follow(&mut progress);
        let failed_mark = if self.may_fail {
            Mark::Skipped
        } else {
            Mark::Failed
        };
        progress.finish(if outcome.is_ok() {
            Mark::Done
        } else {
            failed_mark
        });
        outcome
    }

    fn follow(&mut self, progress: &mut Progress) -> Result<Log> {
        let path = self.path.clone();
        let mut file = BufWriter::new(
            File::create(&path).with_context(|| format!("creating {}", path.display()))?,
        );
        writeln!(file, "$ {}", self.called)?;
        let mut text = String::new();
        let status = self.wait(progress, |line| {
            text.push_str(line);
            text.push('\n');
        })?;
        file.write_all(text.as_bytes())?;
        file.flush()?;
        let log = Log { path, text };
        let end = match status {
            Some(status) if status.success() => return Ok(log),
            Some(status) => End::Exited(status),
            None => End::TooLong(self.time_max.unwrap_or_default()),
        };
        bail!(ChildFailed {
            title: self.title.clone(),
            end,
            log,
        })
    }

    /// Passes the child's lines on until it has ended. `None` if it exceeded its time and was killed.
    fn wait(
        &mut self,
        progress: &mut Progress,
        mut keep: impl FnMut(&str),
    ) -> Result<Option<ExitStatus>> {
        let mut ended: Option<(ExitStatus, Instant)> = None;
        loop {
            match self.lines.recv_timeout(LOOK_EVERY) {
                Ok(line) => match cargo_status(&line) {
                    Some(status) => progress.status(&status),
                    None => {
                        if !line.trim().is_empty() {
                            progress.status(&line);
                        }
                        keep(&line);
                    }
                },
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(status) = self.group.leader.try_wait()? {
                        ended.get_or_insert((status, Instant::now()));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(Some(self.group.leader.wait()?)),
            }
            progress.tick();
            if let Some((status, at)) = ended
                && at.elapsed() > DRAIN_MAX
            {
                return Ok(Some(status));
            }
            if self
                .time_max
                .is_some_and(|limit| self.started.elapsed() > limit)
            {
                self.group.end()?;
                return Ok(None);
            }
        }
    }
}

/// The lines of both outputs in order of arrival, without colours. A carriage return ends a line, too, because progress
/// bars use it.
fn read_lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        let sender = sender.clone();
        thread::spawn(move || split_lines(output, &sender));
    }
    if let Some(output) = child.stderr.take() {
        thread::spawn(move || split_lines(output, &sender));
    }
    receiver
}

fn split_lines(mut output: impl Read, sender: &Sender<String>) {
    let mut pending = Vec::new();
    let mut previous = b'\n';
    let mut buffer = [0; 8192];
    loop {
        let read = match output.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // The pipe is broken. The exit status tells how the child ended.
            Err(_) => break,
        };
        for &byte in &buffer[..read] {
            let ends_line = matches!(byte, b'\n' | b'\r');
            let ended_before = byte == b'\n' && previous == b'\r';
            previous = byte;
            if !ends_line {
                pending.push(byte);
            } else if !ended_before && send_line(&mut pending, sender).is_err() {
                return;
            }
        }
    }
    if !pending.is_empty() {
        // It fails only if nobody listens any more.
        let _ = send_line(&mut pending, sender);
    }
}

fn send_line(
    pending: &mut Vec<u8>,
    sender: &Sender<String>,
) -> Result<(), mpsc::SendError<String>> {
    let text = String::from_utf8_lossy(pending).into_owned();
    pending.clear();
    sender.send(strip_ansi_codes(&text).trim_end().to_owned())
}

/// Makes a file name of a step's title.
fn file_stem(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("-").to_lowercase()
}

fn tail(text: &str, lines_max: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(lines_max);
    lines[from..]
        .iter()
        .map(|line| format!("    {line}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(output: &[u8]) -> Vec<String> {
        let (sender, receiver) = mpsc::channel();
        split_lines(output, &sender);
        drop(sender);
        receiver.iter().collect()
    }

    #[test]
    #[cfg(unix)]
    fn a_program_that_takes_too_long_is_ended_with_what_it_has_started() {
        let workspace = Workspace::locate().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 3600 & echo begun; wait"]);
        let step = Step::new(&workspace, "a program that starts another", command);
        let mut running = step.time_max(Duration::ZERO).begin().unwrap();
        assert_eq!(running.lines.recv().as_deref(), Ok("begun"));
        let ended = running.wait(&mut Progress::start("too long"), |_| {});
        assert_eq!(ended.unwrap(), None);
        // The grandchild holds the pipe, too, as long as it lives.
        let more = running.lines.recv_timeout(Duration::from_secs(60));
        assert_eq!(more, Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn carriage_returns_and_newlines_both_end_a_line() {
        assert_eq!(lines_of(b"a\rb\nc"), ["a", "b", "c"]);
    }

    #[test]
    fn a_carriage_return_with_a_newline_ends_one_line() {
        assert_eq!(lines_of(b"a\r\nb\r\n"), ["a", "b"]);
    }

    #[test]
    fn colours_and_clearing_codes_are_removed() {
        assert_eq!(lines_of(b"\x1b[K\x1b[32mok\x1b[0m\n"), ["ok"]);
    }

    #[test]
    fn a_tail_is_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "    b\n    c\n");
        assert_eq!(tail("a\n", 2), "    a\n");
    }

    #[test]
    fn a_title_makes_a_plain_file_name() {
        assert_eq!(file_stem("npm ci (pkg/)"), "npm-ci-pkg");
    }
}
