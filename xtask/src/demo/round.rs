//! One round of the demo's work.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::copy::Sample;
use super::member::Member;
use super::{LOOK_EVERY, Programs, Stop};
use crate::workspace::Workspace;

/// How long the failing and the interrupted job would take to complete.
const CHECK_SECONDS: u64 = 30;
const INTERRUPTED_SECONDS: u64 = 45;
/// When they start, after the round's start.
const CHECK_AT: Duration = Duration::from_secs(4);
const INTERRUPTED_AT: Duration = Duration::from_secs(9);
/// When the interruption comes, after the round's start.
const INTERRUPT_AT: Duration = Duration::from_secs(28);
/// How long hashing the whole tree takes, roughly. It could be faster, but then nobody could watch it, and it would
/// slow the machine down.
const ROUND_SECONDS: u64 = 75;

/// Everything that a round needs.
pub(super) struct Plan<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) programs: &'a Programs,
    /// The server's address: `http://127.0.0.1:8420`.
    pub(super) server: String,
    pub(super) tree: PathBuf,
    pub(super) sample: Sample,
}

/// The jobs of one round that are running or have yet to start.
struct Jobs<'a> {
    plan: &'a Plan<'a>,
    number: u32,
    hashing: Option<Member>,
    check: Option<Member>,
    interrupted: Option<Member>,
}

/// An action at a set time of a round.
enum Act {
    StartCheck,
    StartInterrupted,
    Interrupt,
}

/// Starts a round's jobs and waits for them. Returns whether Ctrl-C ended it.
///
/// # Errors
/// If the server fails or ends, or hashing fails; the other jobs are expected to fail.
pub(super) fn run(plan: &Plan<'_>, number: u32, server: &mut Member, stop: &Stop) -> Result<bool> {
    let started = Instant::now();
    let mut jobs = Jobs {
        plan,
        number,
        hashing: None,
        check: None,
        interrupted: None,
    };
    jobs.hashing = Some(jobs.start_hashing()?);
    // The latest action comes first: they are popped from the end.
    let mut due = vec![
        (INTERRUPT_AT, Act::Interrupt),
        (INTERRUPTED_AT, Act::StartInterrupted),
        (CHECK_AT, Act::StartCheck),
    ];
    loop {
        if stop.wait(LOOK_EVERY) {
            eprintln!("\nending the jobs");
            jobs.stop()?;
            return Ok(true);
        }
        server.require_alive()?;
        if let Some((_, act)) = due.pop_if(|(at, _)| started.elapsed() >= *at) {
            jobs.act(act)?;
        }
        if !jobs.any_running()? && due.is_empty() {
            return Ok(false);
        }
    }
}

impl Jobs<'_> {
    fn start_hashing(&self) -> Result<Member> {
        let Plan {
            programs,
            server,
            tree,
            ..
        } = self.plan;
        let mut command = Command::new(&programs.hash_tree);
        command.args(["publish", "--server", server]);
        command.args(["--prefix", &format!("hash-{}", self.number)]);
        command.args(["--seconds", &ROUND_SECONDS.to_string()]);
        command.arg(tree);
        self.start("hashing", command)
    }

    fn act(&mut self, act: Act) -> Result<()> {
        match act {
            Act::StartCheck => {
                self.check = Some(self.start_checking("verify", CHECK_SECONDS)?);
                Ok(())
            }
            Act::StartInterrupted => {
                self.interrupted = Some(self.start_checking("interrupted", INTERRUPTED_SECONDS)?);
                Ok(())
            }
            Act::Interrupt => self.interrupted.as_mut().map_or(Ok(()), Member::interrupt),
        }
    }

    /// Starts a check with `tidegate run`: the program knows nothing of Tidegate.
    fn start_checking(&self, name: &str, seconds: u64) -> Result<Member> {
        let Plan {
            programs,
            server,
            sample,
            ..
        } = self.plan;
        let mut command = Command::new(&programs.tidegate);
        command.args(["run", "--server", server]);
        command.args(["--job", &format!("{name}-{}", self.number), "--"]);
        // The page shows the command line, so it is kept short: names rather than paths.
        command.args(["hash_tree", "check", super::copy::TREE, super::copy::LIST]);
        let pace = (sample.bytes / seconds).max(1);
        command.args(["--bytes-per-second", &pace.to_string()]);
        command.current_dir(&sample.folder);
        command.env("PATH", programs.search_path()?);
        self.start(name, command)
    }

    fn start(&self, name: &str, command: Command) -> Result<Member> {
        eprintln!("  round {}: {name} starts", self.number);
        Member::start(self.plan.workspace, name, command)
    }

    fn members(&mut self) -> [&mut Option<Member>; 3] {
        [&mut self.hashing, &mut self.check, &mut self.interrupted]
    }

    /// Polls the jobs, and reports those that have ended. Returns whether any is still running.
    fn any_running(&mut self) -> Result<bool> {
        let number = self.number;
        if let Some(hashing) = &mut self.hashing
            && let Some(status) = hashing.ended()?
            && !status.success()
        {
            hashing.require_alive()?;
        }
        let mut running = false;
        for member in self.members() {
            let Some(job) = member else { continue };
            match job.ended()? {
                None => running = true,
                Some(status) => {
                    eprintln!("  round {number}: {} ended, {status}", job.name());
                    *member = None;
                }
            }
        }
        Ok(running)
    }

    /// All jobs are interrupted before the first one is waited for.
    fn stop(&mut self) -> Result<()> {
        for job in self.members().into_iter().flatten() {
            job.interrupt()?;
        }
        for job in self.members().into_iter().flatten() {
            job.stop()?;
        }
        Ok(())
    }
}
