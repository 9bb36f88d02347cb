//! `cargo xtask bench`: builds and runs the benchmarks.

mod drops;
mod load;
mod peers;
mod side_by_side;
mod soak;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Subcommand, ValueEnum};

use crate::browser;
use crate::instructions;
use crate::npm;
use crate::servers;
use crate::wasm;
use crate::workspace::Workspace;

/// The benchmarks that start servers.
const WITH_SERVERS: [&str; 3] = ["backends/publish", "backends/deliver", "backends/idle"];

/// The name of the benchmark that counts instructions rather than time.
const INSTRUCTIONS: &str = "instructions";

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    load: Option<Load>,
    /// Measures each only briefly, to see that they run or to find large differences. Those of the package still take
    /// their time
    #[arg(long)]
    quick: bool,
    /// The part of the project whose benchmarks run; all, if absent
    #[arg(long = "in", value_name = "ROOM")]
    room: Option<Room>,
    /// Records the counted instructions as the accepted ones
    #[arg(long, requires = "filter")]
    accept: bool,
    /// Runs only the benchmarks whose names contain this; `instructions` counts those of core paths, and nothing else
    filter: Option<String>,
}

#[derive(Subcommand)]
enum Load {
    /// Puts several servers, including Tidegate, under the same load, and prints a table
    Servers(side_by_side::Arguments),
    /// Cuts connections again and again, kills the server and its Redis, and counts what arrives: Tidegate and socket.io
    Drops(drops::Arguments),
    /// Puts a server under a mixed load for an hour, and reports what it holds over time
    Soak(soak::Arguments),
}

#[derive(Clone, Copy, ValueEnum)]
enum Room {
    /// Router, gates, encoding
    Core,
    /// Fan-out in a process, the server, the backends
    Native,
    /// The npm package and its alternatives, in Node and in Chromium: publish, throttles, receive
    Browser,
}

impl Room {
    /// The name shown to people.
    fn name(self) -> &'static str {
        match self {
            Self::Core => "tidegate-core",
            Self::Native => "tidegate",
            Self::Browser => "the npm package",
        }
    }

    fn command(self, workspace: &Workspace, arguments: &Arguments) -> Result<Command> {
        let mut command = match self {
            Self::Core | Self::Native => {
                let name = self.name();
                let mut command = workspace.cargo(["bench", "--benches", "--package", name, "--"]);
                hide_cargo_progress(&mut command);
                if arguments.quick {
                    command.arg("--quick");
                }
                command
            }
            Self::Browser => {
                let mut command = npm::command(&workspace.package());
                command.args(["run", "--silent", "bench", "--"]);
                command.env("CHROMIUM", browser::find_or_bring(workspace)?);
                command
            }
        };
        command.args(&arguments.filter);
        Ok(command)
    }

    /// Provides what the benchmarks chosen by a filter need.
    fn prepare(self, workspace: &Workspace, filter: Option<&str>) -> Result<()> {
        if self.starts_servers(filter) {
            servers::find_or_bring(workspace)?;
        }
        if matches!(self, Self::Browser) {
            wasm::build(workspace, false)?;
        }
        Ok(())
    }

    /// Whether a benchmark chosen by a filter starts servers.
    fn starts_servers(self, filter: Option<&str>) -> bool {
        let is_chosen = |name: &&str| filter.is_none_or(|filter| name.contains(filter));
        matches!(self, Self::Native) && WITH_SERVERS.iter().any(is_chosen)
    }
}

/// Runs benchmarks. They print tables for people, so their output goes straight to the screen.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.load {
        Some(Load::Servers(arguments)) => return side_by_side::run(workspace, arguments),
        Some(Load::Drops(arguments)) => return drops::run(workspace, arguments),
        Some(Load::Soak(arguments)) => return soak::run(workspace, arguments),
        None => {}
    }
    if arguments.filter.as_deref() == Some(INSTRUCTIONS) {
        return count_instructions(workspace, arguments.accept);
    }
    let rooms = match arguments.room {
        Some(room) => vec![room],
        None => vec![Room::Core, Room::Native, Room::Browser],
    };
    for room in rooms {
        room.prepare(workspace, arguments.filter.as_deref())?;
        let mut command = room.command(workspace, arguments)?;
        let program = command.get_program().to_owned();
        let status = command
            .status()
            .with_context(|| format!("cannot start {}", program.display()))?;
        if !status.success() {
            eprintln!("\nthe benchmarks of {} failed: {status}", room.name());
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn count_instructions(workspace: &Workspace, is_accepting: bool) -> Result<ExitCode> {
    let Some(mut command) = instructions::command(workspace, is_accepting)? else {
        bail!("instructions are counted on Linux only: valgrind does not run here");
    };
    hide_cargo_progress(&mut command);
    let status = command.status().context("cannot start cargo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Restores cargo's own display of progress: a person is watching.
fn hide_cargo_progress(command: &mut Command) {
    for variable in [
        "CARGO_TERM_COLOR",
        "CARGO_TERM_PROGRESS_WHEN",
        "CARGO_TERM_PROGRESS_WIDTH",
    ] {
        command.env_remove(variable);
    }
}
