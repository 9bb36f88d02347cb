//! `cargo xtask bench drops`: counts what arrives over connections that are cut again and again.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use super::peers;
use crate::child::Step;
use crate::workspace::Workspace;
use crate::{browser, servers, wasm};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Arguments for the counting program, after `--`, such as `--seconds 20 --clients 10 --only WebSocket`
    #[arg(last = true)]
    more: Vec<String>,
}

pub(super) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    servers::find_or_bring(workspace)?;
    let chromium = browser::find_or_bring(workspace)?;
    wasm::build(workspace, false)?;
    let server = workspace.cargo(["build", "--release", "-p", "tidegate"]);
    Step::new(workspace, "cargo build --release (the server)", server).run()?;
    let folder = peers::install(workspace, "drops", "tests/load/drops")?;
    let status = Command::new("node")
        .arg(folder.join("main.mjs"))
        .args(&arguments.more)
        .env("CHROMIUM", chromium)
        .env("TIDEGATE_BIN", workspace.product("release", "tidegate"))
        .env("TIDEGATE_PACKAGE", workspace.package())
        .status()
        .context("cannot start node")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
