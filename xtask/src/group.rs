//! Programs that are killed together with everything that they have started: cargo with its tests, npm with its
//! scripts.
//!
//! Each has a process group of its own, which a terminal's Ctrl-C doesn't reach. So it is passed on: when this command
//! is interrupted, so is everything that it has started.

use std::collections::BTreeSet;
use std::io;
use std::process::{self, Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

/// The exit status after Ctrl-C.
const INTERRUPTED: i32 = 130;

/// The programs to end.
struct Started {
    leaders: BTreeSet<u32>,
    /// The listener that ends everything in an order of its own, if there is one.
    told: Option<Sender<()>>,
}

static STARTED: Mutex<Started> = Mutex::new(Started {
    leaders: BTreeSet::new(),
    told: None,
});

fn started() -> MutexGuard<'static, Started> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on, Ctrl-C and termination signals kill all programs together with this command.
///
/// # Errors
/// If the signal handler can't be installed.
pub(crate) fn end_when_asked_to() -> Result<()> {
    ctrlc::set_handler(|| {
        // The lock is held until exit, so that nothing more is started.
        let started = started();
        if let Some(told) = &started.told
            && told.send(()).is_ok()
        {
            return;
        }
        started.leaders.iter().for_each(|leader| kill(*leader));
        process::exit(INTERRUPTED);
    })
    .context("cannot listen for Ctrl-C")
}

/// From now on, Ctrl-C is sent to `told` instead, as long as it has a receiver.
pub(crate) fn tell_when_asked_to_end(told: Sender<()>) {
    started().told = Some(told);
}

/// A running program with everything that it starts.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) leader: Child,
}

impl Group {
    /// # Errors
    /// If the program can't be started.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut started = started();
        let leader = command.spawn()?;
        started.leaders.insert(leader.id());
        Ok(Self { leader })
    }

    /// Kills the whole group, unless the program has ended by itself.
    ///
    /// # Errors
    /// If the program's status can't be read.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if self.leader.try_wait()?.is_none() {
            kill(self.leader.id());
            self.leader.kill()?;
            self.leader.wait()?;
        }
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // An error can't be returned from here.
        let _ = self.end();
        started().leaders.remove(&self.leader.id());
    }
}

/// Kills the group; without process groups, only the program itself is killed, by its caller.
fn kill(leader: u32) {
    if cfg!(unix) {
        let mut kill = Command::new("kill");
        kill.args(["-KILL", "--", &format!("-{leader}")]);
        // The processes may have ended at this very moment, so errors are ignored.
        let _ = kill.stderr(Stdio::null()).status();
    }
}
