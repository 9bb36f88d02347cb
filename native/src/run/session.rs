//! Serving a command that has a terminal of its own: keys go in, and what the keyboard's special keys
//! mean to our own shell happens.

use std::os::fd::OwnedFd;
use std::time::Duration;

use pty_process::OwnedWritePty;
use rustix::process::{Pid, Signal, kill_current_process_group, kill_process_group};
use rustix::termios::{self, LocalModes, SpecialCodeIndex};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::terminal::{Terminal, copy_size};

/// By then a stop signal has stopped us, unless nobody is there to let us go on and so it was ignored.
const STOP_TAKES_MAX: Duration = Duration::from_millis(200);

/// The most that is read from the keyboard at a time, in bytes.
const TYPED_BYTES_MAX: usize = 4096;

/// What a special key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    Interrupt,
    Suspend,
}

/// The terminal of the command, and ours that it stands for.
pub(super) struct Session {
    terminal: Terminal,
    /// The command's terminal, to ask for its modes and set its size.
    control: OwnedFd,
    input: OwnedWritePty,
    leader: Pid,
    /// Typed and not yet taken by the command's terminal.
    unsent: Vec<u8>,
    /// We told everyone to stop; if this passes, we were not stopped.
    stopping_until: Option<Instant>,
    /// No more keys can come, or none can be passed on.
    is_over: bool,
}

impl Session {
    pub(super) fn new(
        terminal: Terminal,
        control: OwnedFd,
        input: OwnedWritePty,
        leader: Pid,
    ) -> Self {
        let mut session = Self {
            terminal,
            control,
            input,
            leader,
            unsent: Vec::new(),
            stopping_until: None,
            is_over: false,
        };
        session.terminal.take();
        session
    }

    /// Waits for the next thing to do and does it. Returns true if the command's foreground was
    /// interrupted from the keyboard. May be cancelled without loss.
    pub(super) async fn step(&mut self) -> bool {
        if self.is_over {
            return std::future::pending().await;
        }
        if !self.unsent.is_empty() {
            match self.input.write(&self.unsent).await {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(_) => self.is_over = true,
            }
            return false;
        }
        if let Some(until) = self.stopping_until {
            tokio::time::sleep_until(until).await;
            self.go_on();
            return false;
        }
        if !self.terminal.is_taken() {
            return std::future::pending().await;
        }
        let mut typed = [0; TYPED_BYTES_MAX];
        let length = self.terminal.read(&mut typed).await;
        self.is_over = length == 0;
        self.typed(&typed[..length])
    }

    /// Our terminal has another size.
    pub(super) fn resized(&self) {
        copy_size(&self.terminal.tty(), &self.control);
    }

    /// We go on after a stop, perhaps in the foreground again, and so does the command.
    pub(super) fn go_on(&mut self) {
        self.stopping_until = None;
        self.terminal.take();
        self.resized();
        // The command may just have ended; then there is nobody to tell.
        let _ = kill_process_group(self.leader, Signal::CONT);
    }

    fn typed(&mut self, typed: &[u8]) -> bool {
        let mut interrupted = false;
        for &key in typed {
            match self.special(key) {
                // A session of its own is of no shell's jobs, so its terminal can't suspend it: we must.
                Some(Special::Suspend) => self.suspend(),
                special => {
                    interrupted |= special == Some(Special::Interrupt);
                    self.unsent.push(key);
                }
            }
        }
        interrupted
    }

    /// What `key` asks for, if the command itself (and not a program that it runs as a job of its own)
    /// lets its terminal look for such keys.
    fn special(&self, key: u8) -> Option<Special> {
        if !key.is_ascii_control() {
            return None;
        }
        let modes = termios::tcgetattr(&self.control).ok()?;
        if !modes.local_modes.contains(LocalModes::ISIG)
            || termios::tcgetpgrp(&self.control).ok()? != self.leader
        {
            return None;
        }
        let codes = &modes.special_codes;
        if key == 0 {
            // Stands for a special key that was switched off.
            None
        } else if [
            codes[SpecialCodeIndex::VINTR],
            codes[SpecialCodeIndex::VQUIT],
        ]
        .contains(&key)
        {
            Some(Special::Interrupt)
        } else if codes[SpecialCodeIndex::VSUSP] == key {
            Some(Special::Suspend)
        } else {
            None
        }
    }

    /// Stops the command, and us with all of our shell's job, until the shell lets us go on.
    fn suspend(&mut self) {
        self.terminal.give_back();
        // Who has ended meanwhile needs no stopping.
        let _ = kill_process_group(self.leader, Signal::STOP);
        let _ = kill_current_process_group(Signal::TSTP);
        self.stopping_until = Some(Instant::now() + STOP_TAKES_MAX);
    }
}
