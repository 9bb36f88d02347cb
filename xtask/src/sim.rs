//! `cargo xtask sim`: runs the simulation of the whole system over many seeds.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The number of seeds; as many as there is time for, if absent
    #[arg(long)]
    seeds: Option<u64>,
    /// The longest duration, in minutes
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// The number of parallel runs; one per core, if absent
    #[arg(long)]
    threads: Option<u64>,
    /// Instead of simulating, measures the costs that grow with a cluster, and redraws the plots of docs/SCALE.md
    #[arg(long)]
    scale: bool,
}

/// Runs the simulation. It reports its progress and failures itself, so its output goes straight to the screen.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    let mut command = workspace.cargo(["run", "--release", "--package", "tidegate-tests"]);
    if arguments.scale {
        command.args(["--bin", "scale", "--", "docs"]);
        command.current_dir(&workspace.root);
    } else {
        command
            .args(["--bin", "sim", "--", "--first"])
            .arg(arguments.first.to_string())
            .arg("--minutes")
            .arg(arguments.minutes.to_string());
        add_options(&mut command, arguments);
    }
    let status = command.status().context("cannot start cargo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn add_options(command: &mut Command, arguments: &Arguments) {
    if let Some(seeds) = arguments.seeds {
        command.arg("--seeds").arg(seeds.to_string());
    }
    if let Some(threads) = arguments.threads {
        command.arg("--threads").arg(threads.to_string());
    }
}
