//! The program under test, as its users run it.

use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::within;

/// Variables besides the program's own that name a backend or a server, and must not be inherited from whoever runs the
/// tests.
const NAMES: [&str; 9] = [
    "DATABASE_URL",
    "LOCALAPPDATA",
    "PUBSUB_BACKEND",
    "REDIS_HOST",
    "REDIS_PASSWORD",
    "REDIS_PORT",
    "REDIS_URL",
    "RUST_LOG",
    "XDG_STATE_HOME",
];

/// The program under test; it does not outlive its test.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(arguments);
    alone(command)
}

/// An example, which cargo builds beside the tests unless it is told to build one target only.
pub(crate) fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let path = profile
        .join("examples")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "first build the examples: cargo build --examples"
    );
    alone(Command::new(path))
}

/// A program without the environment of its test, whose output is read.
fn alone(mut command: Command) -> Command {
    for name in NAMES {
        command.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"TIDEGATE_") {
            command.env_remove(name);
        }
    }
    command
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The outcome of a program.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program to its end.
pub(crate) async fn run(arguments: &[&str]) -> Outcome {
    finish(program(arguments).spawn().unwrap()).await
}

/// Waits for a program's end.
pub(crate) async fn finish(child: Child) -> Outcome {
    let output = within("the program to end", child.wait_with_output())
        .await
        .unwrap();
    Outcome {
        code: output.status.code().expect("it exits by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// `tidegate serve`, in a process of its own.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: String,
    pub(crate) url: String,
}

impl Server {
    /// Starts a server on a free port.
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    /// Starts a server, and waits until it listens.
    pub(crate) async fn start_at(listen: &str) -> Self {
        Self::start_with(program(&[
            "serve",
            "--backend",
            "memory",
            "--listen",
            listen,
        ]))
        .await
    }

    /// Starts a program that serves, and waits until it says where.
    pub(crate) async fn start_with(mut program: Command) -> Self {
        let mut process = program.stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = within("the server's address", lines.next_line())
            .await
            .unwrap()
            .unwrap_or_else(|| panic!("{program:?} did not start"));
        let (told, address) = line.split_once("://").expect("an address");
        let scheme = told.split_whitespace().last().expect("a scheme");
        Self {
            process,
            address: address.to_owned(),
            url: format!("{scheme}://{address}"),
        }
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.process.id().expect("it runs")
    }

    /// Asks the server to stop.
    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    }

    /// Kills the server, as a crash would, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Waits until the server has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        within("the server to end", self.process.wait())
            .await
            .unwrap()
    }
}
