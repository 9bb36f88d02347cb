//! Serves a command that has a terminal of its own: passes keys on, and does what the keyboard's special keys mean to
//! our own shell.

use std::os::fd::OwnedFd;
use std::time::Duration;

use pty_process::OwnedWritePty;
use rustix::process::{Pid, Signal, kill_current_process_group, kill_process_group};
use rustix::termios::{self, LocalModes, SpecialCodeIndex};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::terminal::{Terminal, copy_size};

/// How long a stop signal takes to stop us. If it hasn't by then, it was ignored, because there is no shell that could
/// continue us.
const STOP_TAKES_MAX: Duration = Duration::from_millis(200);

/// The most that is read from the keyboard at a time, in bytes.
const TYPED_BYTES_MAX: usize = 4096;

/// What a special key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    Interrupt,
    Suspend,
}

/// The terminal of the command, and our own, which it represents.
pub(super) struct Session {
    terminal: Terminal,
    /// The command's terminal, to ask for its modes and set its size.
    control: OwnedFd,
    input: OwnedWritePty,
    leader: Pid,
    /// What was typed and not yet accepted by the command's terminal.
    unsent: Vec<u8>,
    /// Set once we told all processes to stop; if it passes, we were not stopped.
    stopping_until: Option<Instant>,
    /// Whether no more keys can arrive, or none can be passed on.
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

    /// Notes that our terminal has another size.
    pub(super) fn resized(&self) {
        copy_size(&self.terminal.tty(), &self.control);
    }

    /// Continues after a stop, perhaps in the foreground again, and so does the command.
    pub(super) fn go_on(&mut self) {
        self.stopping_until = None;
        self.terminal.take();
        self.resized();
        // This fails if the command has just ended.
        let _ = kill_process_group(self.leader, Signal::CONT);
    }

    fn typed(&mut self, typed: &[u8]) -> bool {
        let mut interrupted = false;
        for &key in typed {
            match self.special(key) {
                // The command's session isn't part of any shell's jobs, so its terminal can't suspend it: we have to.
                Some(Special::Suspend) => self.suspend(),
                special => {
                    interrupted |= special == Some(Special::Interrupt);
                    self.unsent.push(key);
                }
            }
        }
        interrupted
    }

    /// The special meaning of `key`, if the command itself (and not a program that it runs as a job of its own) lets
    /// its terminal handle such keys.
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
            // Means that a special key is disabled.
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

    /// Stops the command, and us with our shell's whole job, until the shell continues us.
    fn suspend(&mut self) {
        self.terminal.give_back();
        // This fails if the command has ended meanwhile.
        let _ = kill_process_group(self.leader, Signal::STOP);
        let _ = kill_current_process_group(Signal::TSTP);
        self.stopping_until = Some(Instant::now() + STOP_TAKES_MAX);
    }
}
