//! Starts the command, connected as our own streams require.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use pty_process::{OwnedReadPty, Pts};
use rustix::process::Pid;
use rustix::termios::{self, OptionalActions, OutputModes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

use super::job::JobSpec;
use super::outcome::RunError;
use super::session::Session;
use super::terminal::{Terminal, copy_size, has_controlling_terminal, is_same_file, is_terminal};

/// A running command.
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) pid: Pid,
    pub(super) outputs: Vec<Output>,
    pub(super) link: Link,
}

/// How we and the command are connected, beyond its output.
pub(super) enum Link {
    /// The command has a terminal of its own, which we serve.
    Session(Session),
    /// The command is in our session.
    Beside {
        /// Whether it is in our process group, and so gets the same signals from the terminal as we do.
        shares_group: bool,
        /// The ptys that carry its output, each with the terminal that it represents.
        ptys: Vec<(OwnedFd, OwnedFd)>,
    },
}

/// One output of the command and where it goes.
pub(super) struct Output {
    pub(super) source: Source,
    pub(super) sink: Box<dyn AsyncWrite + Send + Unpin>,
}

/// Our end of an output.
pub(super) enum Source {
    Pipe(pipe::Receiver),
    Pty(OwnedReadPty),
}

impl AsyncRead for Source {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Pipe(pipe) => Pin::new(pipe).poll_read(context, buffer),
            Self::Pty(pty) => Pin::new(pty).poll_read(context, buffer),
        }
    }
}

/// Starts the job's command.
pub(super) fn start(job: &JobSpec) -> Result<Started, RunError> {
    let mut command = Command::new(job.program());
    command.args(job.args()).kill_on_drop(true);
    match Terminal::of_process() {
        Some(terminal) => start_in_session(job, command, terminal),
        None => start_beside(job, command),
    }
}

fn start_in_session(
    job: &JobSpec,
    command: Command,
    terminal: Terminal,
) -> Result<Started, RunError> {
    let (pty, pts) = open_pty()?;
    copy_size(&terminal.tty(), &pts);
    if let Some(modes) = terminal.modes() {
        set_modes(&pts, &modes)?;
    }
    let control = duplicate(&pty)?;
    let mut command = pty_process::Command::from(command);
    let mut outputs = Vec::new();
    if !is_same_file(&io::stdout(), &io::stderr()) {
        let tap = Tap::new(&io::stderr())?;
        command = command.stderr(tap.inner);
        outputs.push(tap.source.into_stderr());
    }
    let child = command
        .spawn(pts)
        .map_err(|error| spawn_error(job, into_io(error)))?;
    let pid = pid_of(&child)?;
    let (source, input) = pty.into_split();
    outputs.push(Source::Pty(source).into_stdout());
    let link = Link::Session(Session::new(terminal, control, input, pid));
    Ok(Started {
        child,
        pid,
        outputs,
        link,
    })
}

fn start_beside(job: &JobSpec, mut command: Command) -> Result<Started, RunError> {
    let mut ptys = Vec::new();
    let mut outputs = Vec::new();
    let out = Tap::new(&io::stdout())?;
    ptys.extend(out.pty);
    outputs.push(out.source.into_stdout());
    if is_same_file(&io::stdout(), &io::stderr()) {
        command.stderr(duplicate(&out.inner)?);
    } else {
        let err = Tap::new(&io::stderr())?;
        ptys.extend(err.pty);
        outputs.push(err.source.into_stderr());
        command.stderr(err.inner);
    }
    command.stdin(Stdio::inherit()).stdout(out.inner);
    // If there is a terminal, a group of its own would be in the background, where reading from the terminal stops a
    // process.
    let shares_group = has_controlling_terminal();
    if !shares_group {
        command.process_group(0);
    }
    let child = command.spawn().map_err(|error| spawn_error(job, error))?;
    let pid = pid_of(&child)?;
    Ok(Started {
        child,
        pid,
        outputs,
        link: Link::Beside { shares_group, ptys },
    })
}

/// Carries output from the command to one of our streams, through us.
struct Tap {
    source: Source,
    /// The command's end.
    inner: OwnedFd,
    /// If it is a pty: the pty, and the terminal that it represents.
    pty: Option<(OwnedFd, OwnedFd)>,
}

impl Tap {
    fn new(stream: &impl AsFd) -> Result<Self, RunError> {
        if !is_terminal(stream) {
            let (reader, writer) = io::pipe().map_err(host("make a pipe"))?;
            let source =
                pipe::Receiver::from_owned_fd(reader.into()).map_err(host("use a pipe"))?;
            return Ok(Self {
                source: Source::Pipe(source),
                inner: writer.into(),
                pty: None,
            });
        }
        let (pty, pts) = open_pty()?;
        copy_size(stream, &pts);
        let mut modes = termios::tcgetattr(&pts).map_err(|error| setup_error(error.into()))?;
        // The real terminal already converts line feeds; once is enough.
        modes.output_modes.remove(OutputModes::OPOST);
        set_modes(&pts, &modes)?;
        let resizable = (duplicate(&pty)?, duplicate(stream)?);
        Ok(Self {
            source: Source::Pty(pty.into_split().0),
            inner: duplicate(&pts)?,
            pty: Some(resizable),
        })
    }
}

impl Source {
    fn into_stdout(self) -> Output {
        Output {
            source: self,
            sink: Box::new(tokio::io::stdout()),
        }
    }

    fn into_stderr(self) -> Output {
        Output {
            source: self,
            sink: Box::new(tokio::io::stderr()),
        }
    }
}

fn open_pty() -> Result<(pty_process::Pty, Pts), RunError> {
    pty_process::open().map_err(|error| setup_error(into_io(error)))
}

fn set_modes(pts: &Pts, modes: &termios::Termios) -> Result<(), RunError> {
    termios::tcsetattr(pts, OptionalActions::Now, modes).map_err(|error| setup_error(error.into()))
}

fn duplicate(fd: &impl AsFd) -> Result<OwnedFd, RunError> {
    fd.as_fd()
        .try_clone_to_owned()
        .map_err(host("duplicate a stream"))
}

fn pid_of(child: &Child) -> Result<Pid, RunError> {
    child
        .id()
        .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
        .ok_or_else(|| host("find the new process")(io::ErrorKind::NotFound.into()))
}

fn into_io(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(error) => error.into(),
        other => io::Error::other(other.to_string()),
    }
}

fn host(action: &'static str) -> impl Fn(io::Error) -> RunError {
    move |source| RunError::Host { action, source }
}

fn setup_error(source: io::Error) -> RunError {
    host("set up a terminal for the command")(source)
}

fn spawn_error(job: &JobSpec, source: io::Error) -> RunError {
    let program = job.program().to_owned();
    match source.kind() {
        // If the path exists nevertheless, the interpreter that it names is missing.
        io::ErrorKind::NotFound if !Path::new(&program).exists() => RunError::NotFound { program },
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => host("start a process")(source),
        _ => RunError::NotExecutable { program, source },
    }
}
