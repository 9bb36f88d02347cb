//! Our own terminal: its keyboard, its modes, its size.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::{self, OptionalActions, Termios};
use tokio::net::unix::pipe;

/// The terminal that we were started on. It is opened again, so that making it non-blocking affects nobody else.
/// Restored when dropped.
#[derive(Debug)]
pub(super) struct Terminal {
    /// Not a pipe, but read like one.
    tty: pipe::Receiver,
    /// The modes to restore, while the keyboard is [taken](Self::take).
    before: Option<Termios>,
}

impl Terminal {
    /// Our terminal, if standard input and standard output are both this terminal.
    pub(super) fn of_process() -> Option<Self> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        if !is_terminal(&stdin) || !is_same_file(&stdin, &stdout) {
            return None;
        }
        let name = termios::ttyname(&stdin, Vec::new()).ok();
        let named = name
            .as_ref()
            .map(|name| Path::new(OsStr::from_bytes(name.as_bytes())));
        // The name may belong to another namespace, as in a container; then `/dev/tty` helps.
        let tty = [named, Some(Path::new("/dev/tty"))]
            .into_iter()
            .flatten()
            .find_map(|path| open(path).ok().filter(is_terminal))?;
        Self::new(tty).ok()
    }

    fn new(tty: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            tty: pipe::Receiver::from_owned_fd_unchecked(tty)?,
            before: None,
        })
    }

    /// The terminal itself, to ask for its size.
    pub(super) fn tty(&self) -> BorrowedFd<'_> {
        self.tty.as_fd()
    }

    /// Its modes as the shell has set them for us. `None` while we are in the background, because then another process
    /// has set them.
    pub(super) fn modes(&self) -> Option<Termios> {
        self.is_ours()
            .then(|| termios::tcgetattr(self.tty()).ok())
            .flatten()
    }

    /// From now on, we get every key, unless we run in the background.
    pub(super) fn take(&mut self) {
        if self.before.is_some() {
            return;
        }
        if let Some(before) = self.modes() {
            let mut raw = before.clone();
            raw.make_raw();
            if termios::tcsetattr(self.tty(), OptionalActions::Now, &raw).is_ok() {
                self.before = Some(before);
            }
        }
    }

    /// Restores the modes from before [`take`](Self::take).
    pub(super) fn give_back(&mut self) {
        if let Some(before) = self.before.take() {
            // In the background, this would stop us, and the modes are the shell's business.
            if self.is_ours() {
                // Nothing can be done about a failure: the terminal is gone.
                let _ = termios::tcsetattr(self.tty(), OptionalActions::Now, &before);
            }
        }
    }

    /// Whether the keyboard is taken.
    pub(super) fn is_taken(&self) -> bool {
        self.before.is_some()
    }

    /// Reads what was typed; 0 if the terminal is gone. Cancel-safe.
    pub(super) async fn read(&self, buffer: &mut [u8]) -> usize {
        loop {
            if self.tty.readable().await.is_err() {
                return 0;
            }
            match self.tty.try_read(buffer) {
                Ok(length) => return length,
                Err(error) if is_passing(&error) => {}
                Err(_) => return 0,
            }
        }
    }

    /// Whether we are in the terminal's foreground, or the terminal has no foreground.
    fn is_ours(&self) -> bool {
        match termios::tcgetpgrp(self.tty()) {
            Ok(group) => group == getpgrp(),
            Err(error) => error == Errno::NOTTY,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.give_back();
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn open(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

/// Whether we have a controlling terminal, which sends signals to whole process groups, ours among them.
pub(super) fn has_controlling_terminal() -> bool {
    open(Path::new("/dev/tty")).is_ok()
}

pub(super) fn is_terminal(fd: &impl AsFd) -> bool {
    termios::isatty(fd)
}

/// Whether both are the same file.
pub(super) fn is_same_file(one: &impl AsFd, other: &impl AsFd) -> bool {
    match (rustix::fs::fstat(one), rustix::fs::fstat(other)) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}

/// Gives `to` the window size of `from`. Without a size, as on a serial line, nothing changes.
pub(super) fn copy_size(from: &impl AsFd, to: &impl AsFd) {
    if let Ok(size) = termios::tcgetwinsize(from) {
        // A pty that was hung up needs no size.
        let _ = termios::tcsetwinsize(to, size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::termios::LocalModes;

    fn is_raw(tty: &impl AsFd) -> bool {
        !termios::tcgetattr(tty)
            .unwrap()
            .local_modes
            .contains(LocalModes::ICANON)
    }

    /// A terminal that is nobody's controlling terminal, and a second handle on it.
    fn terminal() -> (pty_process::blocking::Pty, Terminal, OwnedFd) {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        let tty = pts.as_fd().try_clone_to_owned().unwrap();
        let look = tty.try_clone().unwrap();
        rustix::fs::fcntl_setfl(&tty, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
        (pty, Terminal::new(tty).unwrap(), look)
    }

    #[tokio::test]
    async fn a_terminal_is_given_back_as_it_was() {
        let (_pty, mut terminal, look) = terminal();
        assert!(!is_raw(&look));
        terminal.take();
        assert!(is_raw(&look) && terminal.is_taken());
        terminal.give_back();
        assert!(!is_raw(&look) && !terminal.is_taken());
        terminal.take();
        drop(terminal);
        assert!(!is_raw(&look));
    }

    #[tokio::test]
    async fn a_terminal_is_given_back_on_panic() {
        let (_pty, mut terminal, look) = terminal();
        let panicked = tokio::spawn(async move {
            terminal.take();
            panic!("while the terminal is taken");
        })
        .await;
        assert!(panicked.is_err());
        assert!(!is_raw(&look));
    }
}
