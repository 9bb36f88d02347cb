//! `cargo xtask bench`: builds and runs the benchmarks.

mod side_by_side;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Subcommand, ValueEnum};

use crate::instructions;
use crate::servers;
use crate::workspace::Workspace;

/// The benchmarks that start servers.
const WITH_SERVERS: [&str; 3] = ["backends/publish", "backends/deliver", "backends/idle"];

/// What is counted, and not measured in time.
const INSTRUCTIONS: &str = "instructions";

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    load: Option<Load>,
    /// Measures each for a moment only: to see that they run, or to look at a large difference
    #[arg(long)]
    quick: bool,
    /// The crate whose benchmarks run; both, if absent
    #[arg(long = "in", value_name = "ROOM")]
    room: Option<Room>,
    /// Writes the counted instructions down as the accepted ones
    #[arg(long, requires = "filter")]
    accept: bool,
    /// Runs only the benchmarks whose names contain this; `instructions` counts those of core paths, and nothing else
    filter: Option<String>,
}

#[derive(Subcommand)]
enum Load {
    /// Puts servers under the same load, Tidegate among them, and prints a table
    Servers(side_by_side::Arguments),
}

#[derive(Clone, Copy, ValueEnum)]
enum Room {
    /// Router, gates, encoding
    Core,
    /// Fan-out in a process, the server, the backends
    Native,
}

impl Room {
    fn package(self) -> &'static str {
        match self {
            Self::Core => "tidegate-core",
            Self::Native => "tidegate",
        }
    }

    /// Whether one of the benchmarks that a filter chooses starts servers.
    fn starts_servers(self, filter: Option<&str>) -> bool {
        let is_chosen = |name: &&str| filter.is_none_or(|filter| name.contains(filter));
        matches!(self, Self::Native) && WITH_SERVERS.iter().any(is_chosen)
    }
}

/// Benchmarks print tables for people, so their output goes to the screen as it comes.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    if let Some(Load::Servers(arguments)) = &arguments.load {
        return side_by_side::run(workspace, arguments);
    }
    if arguments.filter.as_deref() == Some(INSTRUCTIONS) {
        return count_instructions(workspace, arguments.accept);
    }
    let rooms = arguments
        .room
        .map_or_else(|| vec![Room::Core, Room::Native], |room| vec![room]);
    for room in rooms {
        if room.starts_servers(arguments.filter.as_deref()) {
            servers::find_or_bring(workspace)?;
        }
        let mut command = bench_command(workspace, room);
        if arguments.quick {
            command.arg("--quick");
        }
        command.args(&arguments.filter);
        let status = command.status().context("cannot start cargo")?;
        if !status.success() {
            eprintln!("\nthe benchmarks of {} failed: {status}", room.package());
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

fn bench_command(workspace: &Workspace, room: Room) -> Command {
    let mut command = workspace.cargo(["bench", "--benches", "--package", room.package(), "--"]);
    hide_cargo_progress(&mut command);
    command
}

/// Lets cargo decide by itself, as it is used to: a person watches.
fn hide_cargo_progress(command: &mut Command) {
    for variable in [
        "CARGO_TERM_COLOR",
        "CARGO_TERM_PROGRESS_WHEN",
        "CARGO_TERM_PROGRESS_WIDTH",
    ] {
        command.env_remove(variable);
    }
}
