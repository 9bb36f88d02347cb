//! A terminal in which the program runs.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};

use pty_process::Size;
use pty_process::blocking::{Command, Pty};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};

use super::{PROGRAM, wait_for};

/// A terminal on which the program runs; both end when this is dropped.
pub(crate) struct Desk {
    pty: Arc<Pty>,
    /// Kept open, so that the terminal outlives the programs on it.
    tty: OwnedFd,
    process: Child,
    seen: Arc<Mutex<String>>,
}

impl Desk {
    /// Starts the program on a terminal of this size.
    pub(crate) fn start(size: Size, arguments: &[&str]) -> Self {
        Self::start_in(&[], size, arguments)
    }

    /// The same, with variables of the environment.
    pub(crate) fn start_in(variables: &[(&str, &str)], size: Size, arguments: &[&str]) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(size).unwrap();
        let tty = pts.as_fd().try_clone_to_owned().unwrap();
        let command = Command::new(PROGRAM)
            .args(arguments)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .envs(variables.iter().copied());
        let process = command.spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let seen = Arc::new(Mutex::new(String::new()));
        let (reading, written) = (Arc::clone(&pty), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal that no process has open any more ends with an error.
            while let Ok(length @ 1..) = (&*reading).read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                written.lock().unwrap().push_str(&text);
            }
        });
        Self {
            pty,
            tty,
            process,
            seen,
        }
    }

    /// All that was written to the terminal.
    pub(crate) fn text(&self) -> String {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until this was written.
    pub(crate) fn see(&self, text: &str) {
        wait_for(text, || self.text().contains(text));
    }

    /// Presses keys.
    pub(crate) fn type_in(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&self, size: Size) {
        self.pty.resize(size).unwrap();
    }

    /// Sends the program a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Whether keys arrive as they are pressed, and not as edited lines.
    pub(crate) fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.tty).unwrap().local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Waits until the program has ended by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }
}
