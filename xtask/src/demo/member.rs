//! A program that the demo has started: watched while it runs, and ended gracefully.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// How long a program may take to end after it was asked to.
const END_TIME_MAX: Duration = Duration::from_secs(8);
/// How often it is polled meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A started program, whose output goes to a log.
pub(super) struct Member {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Member {
    /// Starts it in a process group of its own: Ctrl-C on the terminal reaches only this command, which decides in
    /// which order the programs end.
    pub(super) fn start(workspace: &Workspace, name: &str, mut command: Command) -> Result<Self> {
        fs::create_dir_all(workspace.logs())?;
        let log = workspace.logs().join(format!("demo-{name}.log"));
        let output = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let program = command.get_program().to_owned();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait();
        status.with_context(|| format!("looking after {}", self.name))
    }

    /// # Errors
    /// If it has ended by itself.
    pub(super) fn require_alive(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!(
                "the {} ended by itself ({status}); its output is in {}",
                self.name,
                self.log.display()
            );
        }
        Ok(())
    }

    /// Asks it to end, as Ctrl-C does.
    pub(super) fn interrupt(&mut self) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        if cfg!(unix) {
            let mut kill = Command::new("kill");
            kill.args(["-INT", &self.child.id().to_string()]);
            // It may end by itself at this very moment; the error of kill is of no interest then.
            kill.stderr(Stdio::null());
            kill.status().context("cannot start kill")?;
            return Ok(());
        }
        self.child
            .kill()
            .with_context(|| format!("ending {}", self.name))
    }

    /// Asks it to end, and kills it if it doesn't.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.interrupt()?;
        let (_never, clock) = mpsc::channel::<()>();
        let mut waited = Duration::ZERO;
        while self.ended()?.is_none() {
            if waited >= END_TIME_MAX {
                eprintln!("  {} did not end when asked to and was killed", self.name);
                self.child.kill()?;
                self.child.wait()?;
                break;
            }
            // Nothing is ever sent: this is just a pause.
            let _ = clock.recv_timeout(LOOK_EVERY);
            waited += LOOK_EVERY;
        }
        Ok(())
    }
}

impl Drop for Member {
    /// An early return with an error must not leave programs running.
    fn drop(&mut self) {
        if matches!(self.ended(), Ok(None)) {
            // An error can't be returned from here.
            let _ = self.stop();
        }
    }
}
