//! `cargo xtask bench servers`: compares Tidegate with a server that only writes, and with other servers.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::{load, peers};
use crate::apt;
use crate::workspace::{Workspace, find_program};

/// The peers that Debian packages: program and package.
const PEERS: [(&str, &str); 4] = [
    ("mosquitto", "mosquitto"),
    ("nats-server", "nats-server"),
    ("nginx", "libnginx-mod-nchan"),
    ("redis-server", "redis-server"),
];

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Measures other servers, too, and installs the missing ones
    #[arg(long)]
    peers: bool,
    /// One short round with few subscribers, to see that it runs or to find large differences
    #[arg(long)]
    quick: bool,
    /// Draws plots into docs/
    #[arg(long)]
    plots: bool,
    /// Arguments for `tidegate-load compare`, after `--`; `-- --help` lists them
    #[arg(last = true)]
    more: Vec<String>,
}

pub(super) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    let mut command = load::command(workspace, "compare")?;
    // It makes a certificate with openssl.
    if find_program(&["openssl"]).is_none() {
        apt::install(workspace, &["openssl"])?;
    }
    if arguments.peers {
        command.arg("--peers").arg(bring_peers(workspace)?);
    }
    if arguments.plots {
        command.arg("--plots").arg(workspace.root.join("docs"));
    }
    if arguments.quick {
        command.args([
            "--rounds",
            "1",
            "--fan-out-ms",
            "300",
            "--subscribers",
            "100,1000",
        ]);
    }
    command.args(&arguments.more);
    let status = command.status().context("cannot start the load")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Installs the other servers: those on npm in the target directory, the rest on the system.
fn bring_peers(workspace: &Workspace) -> Result<PathBuf> {
    let missing: Vec<&str> = PEERS
        .into_iter()
        .filter(|(program, _)| {
            let elsewhere = PathBuf::from("/usr/sbin").join(program);
            find_program(&[*program]).is_none() && !elsewhere.is_file()
        })
        .map(|(_, package)| package)
        .collect();
    if !missing.is_empty() {
        apt::install(workspace, &missing)?;
    }
    peers::install(workspace, "peers", "tests/load/peers")
}
