//! Programs that are ended with all that they have started: cargo with its tests, npm with its scripts.
//!
//! Each has a process group of its own. A terminal's Ctrl-C does not reach them there, so it is handed on: who wants this command to end
//! wants everything to end that it has started.

use std::collections::BTreeSet;
use std::io;
use std::process::{self, Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

/// What a program exits with that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// What there is to end.
struct Started {
    leaders: BTreeSet<u32>,
    /// Who ends everything in an order of its own.
    told: Option<Sender<()>>,
}

static STARTED: Mutex<Started> = Mutex::new(Started {
    leaders: BTreeSet::new(),
    told: None,
});

fn started() -> MutexGuard<'static, Started> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on Ctrl-C, and whatever else asks this command to end, ends all programs with it.
///
/// # Errors
/// When that can't be listened for.
pub(crate) fn end_when_asked_to() -> Result<()> {
    ctrlc::set_handler(|| {
        // Held until the end: nothing is started any more.
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

/// From now on whoever listens is told instead, for as long as it does.
pub(crate) fn tell_when_asked_to_end(told: Sender<()>) {
    started().told = Some(told);
}

/// A program that runs, with all that it starts.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) leader: Child,
}

impl Group {
    /// # Errors
    /// When the program can't be started.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut started = started();
        let leader = command.spawn()?;
        started.leaders.insert(leader.id());
        Ok(Self { leader })
    }

    /// Ends all of it, unless the program has ended by itself.
    ///
    /// # Errors
    /// When nothing can be learnt of it.
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
        // There is nobody left to tell.
        let _ = self.end();
        started().leaders.remove(&self.leader.id());
    }
}

/// Where there are no groups, only the program itself can be ended.
fn kill(leader: u32) {
    if cfg!(unix) {
        let mut kill = Command::new("kill");
        kill.args(["-KILL", "--", &format!("-{leader}")]);
        // They may have ended at this very moment.
        let _ = kill.stderr(Stdio::null()).status();
    }
}
