//! The server and the program that puts it under load, in release builds.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::child::Step;
use crate::workspace::Workspace;

/// Builds both, and returns a command of the load program, with the path of the server.
pub(super) fn command(workspace: &Workspace, name: &str) -> Result<Command> {
    ensure!(
        cfg!(target_os = "linux"),
        "servers are put under load on Linux only: it tells what they use and keeps them on one core"
    );
    let packages = [
        "build",
        "--release",
        "-p",
        "tidegate",
        "-p",
        "tidegate-load",
    ];
    Step::new(
        workspace,
        "cargo build --release (the server and its load)",
        workspace.cargo(packages),
    )
    .run()?;
    let mut command = Command::new(workspace.product("release", "tidegate-load"));
    command.arg(name).arg("--tidegate");
    command.arg(workspace.product("release", "tidegate"));
    Ok(command)
}
