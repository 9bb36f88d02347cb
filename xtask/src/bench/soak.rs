//! `cargo xtask bench soak`: tests whether a server uses more memory after an hour than after minutes.

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::load;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The duration in minutes
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Draws a plot into docs/
    #[arg(long)]
    plots: bool,
    /// Arguments for `tidegate-load soak`, after `--`; `-- --help` lists them
    #[arg(last = true)]
    more: Vec<String>,
}

pub(super) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    let mut command = load::command(workspace, "soak")?;
    command.args(["--minutes", &arguments.minutes.to_string()]);
    if arguments.plots {
        let plot = workspace.root.join("docs/soak.svg");
        command.arg("--plot").arg(plot);
    }
    command.args(&arguments.more);
    let status = command.status().context("cannot start the load")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
