//! `cargo xtask bench`: builds and runs the benchmarks.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::servers;
use crate::workspace::Workspace;

/// The benchmarks that start servers.
const WITH_SERVERS: [&str; 3] = ["backends/publish", "backends/deliver", "backends/idle"];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Measures each for a moment only: to see that they run, or to look at a large difference
    #[arg(long)]
    quick: bool,
    /// The crate whose benchmarks run; both, if absent
    #[arg(long = "in", value_name = "ROOM")]
    room: Option<Room>,
    /// Runs only the benchmarks whose names contain this
    filter: Option<String>,
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

fn bench_command(workspace: &Workspace, room: Room) -> Command {
    let mut command = workspace.cargo(["bench", "--benches", "--package", room.package(), "--"]);
    for variable in [
        "CARGO_TERM_COLOR",
        "CARGO_TERM_PROGRESS_WHEN",
        "CARGO_TERM_PROGRESS_WIDTH",
    ] {
        command.env_remove(variable);
    }
    command
}
