//! `cargo xtask demo`: a server and real work, to watch in a browser.
//!
//! In each round, every file of a folder tree is hashed, one job per folder; a copy of some files is checked against
//! recorded checksums, one of which no longer matches, so that this job fails; and another check is interrupted
//! half-way. No number on the screen is made up.

mod copy;
mod health;
mod member;
mod round;

use std::env;
use std::ffi::OsString;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use self::member::Member;
use crate::child::Step;
use crate::group;
use crate::wasm;
use crate::workspace::Workspace;

/// How long the server may take to start.
const START_TIME_MAX: Duration = Duration::from_secs(10);
/// How often a running round is polled.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a finished round stays on the screen before the next one starts.
const PAUSE: Duration = Duration::from_secs(15);
/// How long to wait for another listener at the address, which may already be running.
const CONNECT_TIME_MAX: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The address on which the server listens
    #[arg(long, default_value = "127.0.0.1:8420")]
    listen: SocketAddr,
    /// The number of rounds; endless, if absent
    #[arg(long)]
    rounds: Option<u32>,
    /// The folder tree to hash; if absent, the sources that cargo has downloaded, or this repository
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
}

/// The programs that the demo starts.
struct Programs {
    tidegate: PathBuf,
    hash_tree: PathBuf,
}

impl Programs {
    /// A search path that finds the example by its bare name.
    fn search_path(&self) -> Result<OsString> {
        let examples = self.hash_tree.parent().map(PathBuf::from);
        let usual = env::var_os("PATH").unwrap_or_default();
        let folders = examples.into_iter().chain(env::split_paths(&usual));
        env::join_paths(folders).context("the target directory's name can't be in a search path")
    }
}

/// Notices Ctrl-C.
struct Stop(Receiver<()>);

impl Stop {
    fn on_ctrl_c() -> Self {
        let (sender, receiver) = mpsc::channel();
        group::tell_when_asked_to_end(sender);
        Self(receiver)
    }

    /// Waits, and returns whether it is time to end.
    fn wait(&self, time: Duration) -> bool {
        match self.0.recv_timeout(time) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
            Err(RecvTimeoutError::Timeout) => false,
        }
    }
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    let tree = choose_tree(workspace, arguments)?;
    ensure_free(arguments.listen)?;
    wasm::build(workspace, false)?;
    let programs = build_programs(workspace)?;
    let sample = copy::prepare(workspace, &programs.hash_tree, &tree)?;

    let stop = Stop::on_ctrl_c();
    let mut server = start_server(workspace, &programs, arguments.listen)?;
    if !await_server(&mut server, arguments.listen, &stop)? {
        return server.stop().map(|()| ExitCode::SUCCESS);
    }
    eprintln!("\n  Watch it at  http://{}/", arguments.listen);
    eprintln!("  Hashing      {}", tree.display());
    eprintln!("  Ctrl-C ends it.\n");

    let plan = round::Plan {
        workspace,
        programs: &programs,
        server: format!("http://{}", arguments.listen),
        tree,
        sample,
    };
    let outcome = work(&plan, &mut server, &stop, arguments.rounds);
    eprintln!("\nending the server");
    server.stop()?;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Works round after round, until Ctrl-C or for the requested number.
fn work(
    plan: &round::Plan<'_>,
    server: &mut Member,
    stop: &Stop,
    rounds: Option<u32>,
) -> Result<()> {
    for number in 1.. {
        if round::run(plan, number, server, stop)? || rounds == Some(number) {
            break;
        }
        eprintln!(
            "  round {number} is done; the next one starts in {} s",
            PAUSE.as_secs()
        );
        if stop.wait(PAUSE) {
            break;
        }
    }
    Ok(())
}

fn choose_tree(workspace: &Workspace, arguments: &Arguments) -> Result<PathBuf> {
    if let Some(path) = &arguments.path {
        ensure!(
            path.is_dir(),
            "{} is no folder; name one to hash",
            path.display()
        );
        return path
            .canonicalize()
            .with_context(|| format!("reading {}", path.display()));
    }
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")));
    let sources = home.map(|home| home.join("registry/src"));
    Ok(sources
        .filter(|folder| folder.is_dir())
        .unwrap_or_else(|| workspace.root.clone()))
}

fn ensure_free(address: SocketAddr) -> Result<()> {
    if TcpStream::connect_timeout(&address, CONNECT_TIME_MAX).is_ok() {
        bail!(
            "a program listens at {address} already; end it, or choose another address with \
             --listen 127.0.0.1:PORT"
        );
    }
    Ok(())
}

fn build_programs(workspace: &Workspace) -> Result<Programs> {
    // Unoptimized: that takes a third of the time to build, which a first look waits for, and is fast enough for it.
    let mut command = workspace.cargo(["build", "--package", "tidegate"]);
    command.args(["--bin", "tidegate", "--example", "hash_tree"]);
    Step::new(workspace, "building the server and the jobs", command).run()?;
    Ok(Programs {
        tidegate: workspace.product("debug", "tidegate"),
        hash_tree: workspace.product("debug/examples", "hash_tree"),
    })
}

fn start_server(workspace: &Workspace, programs: &Programs, listen: SocketAddr) -> Result<Member> {
    let mut command = std::process::Command::new(&programs.tidegate);
    command.args([
        "serve",
        "--backend",
        "memory",
        "--listen",
        &listen.to_string(),
    ]);
    Member::start(workspace, "server", command)
}

/// Waits until the server answers. Returns false if Ctrl-C came first.
fn await_server(server: &mut Member, address: SocketAddr, stop: &Stop) -> Result<bool> {
    let mut waited = Duration::ZERO;
    while !health::answers(address) {
        server.require_alive()?;
        if waited >= START_TIME_MAX {
            server.stop()?;
            bail!(
                "the server did not answer within {} s; its output is in {}",
                START_TIME_MAX.as_secs(),
                server.log().display()
            );
        }
        if stop.wait(LOOK_EVERY) {
            return Ok(false);
        }
        waited += LOOK_EVERY;
    }
    Ok(true)
}
