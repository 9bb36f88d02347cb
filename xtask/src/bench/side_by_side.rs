//! `cargo xtask bench servers`: compares Tidegate with a server that only writes, and with other servers.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use super::{load, peers};
use crate::apt;
use crate::child::Step;
use crate::workspace::{Workspace, find_program};

/// The peers that Debian packages: program and package.
const PEERS: [(&str, &str); 5] = [
    ("go", "golang-go"),
    ("mosquitto", "mosquitto"),
    ("nats-server", "nats-server"),
    ("nginx", "libnginx-mod-nchan"),
    ("redis-server", "redis-server"),
];

/// Where Debian's packages of Go libraries are.
const GO_LIBRARIES: &str = "/usr/share/gocode";

/// Those of centrifuge, with what it needs and does not depend on.
const CENTRIFUGE: [(&str, &str); 5] = [
    (
        "centrifugal/centrifuge",
        "golang-github-centrifugal-centrifuge-dev",
    ),
    (
        "centrifugal/protocol",
        "golang-github-centrifugal-protocol-dev",
    ),
    ("FZambia/eagle", "golang-github-fzambia-eagle-dev"),
    ("igm/sockjs-go", "golang-github-igm-sockjs-go-dev"),
    ("mna/redisc", "golang-github-mna-redisc-dev"),
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
    let mut missing: Vec<&str> = PEERS
        .into_iter()
        .filter(|(program, _)| {
            let elsewhere = PathBuf::from("/usr/sbin").join(program);
            find_program(&[*program]).is_none() && !elsewhere.is_file()
        })
        .map(|(_, package)| package)
        .collect();
    let libraries = Path::new(GO_LIBRARIES).join("src/github.com");
    let of_centrifuge = CENTRIFUGE.into_iter();
    missing.extend(
        of_centrifuge
            .filter(|(path, _)| !libraries.join(path).is_dir())
            .map(|(_, package)| package),
    );
    if !missing.is_empty() {
        apt::install(workspace, &missing)?;
    }
    let folder = peers::install(workspace, "peers", "tests/load/peers")?;
    let mut build = Command::new("go");
    build.current_dir(&folder);
    build.args(["build", "-o", "centrifuge-server", "centrifuge.go"]);
    build.envs([("GO111MODULE", "off"), ("GOPATH", GO_LIBRARIES)]);
    Step::new(workspace, "go build (a server on centrifuge)", build).run()?;
    Ok(folder)
}
