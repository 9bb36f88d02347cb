//! The tests that start servers and programs: which are run, how often, and with which settings.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::counts::Counts;
use super::steps::{Failure, counted, has_nextest, nextest, step};
use crate::workspace::Workspace;
use crate::{outside, servers};

/// The tests of the backends, in the repository.
const SERVER_TESTS: &str = "tests/servers/tests";

/// How many of them run side by side in a process.
const TEST_THREADS: usize = 4;

/// Tests that must pass with any number of shards, and are run with several, too: whole test programs, and some modules
/// of others.
const OF_ANY_SHARDS: [&str; 2] = ["memory", "websocket_slow_readers"];
const OF_ANY_SHARDS_IN_PART: Part = Part {
    programs: &["http", "hub", "sockets"],
    modules: &[
        "connections::",
        "event_streams::",
        "event_streams_resume::",
        "in_process::",
        "presence::",
    ],
};

/// The number of shards for those runs.
const SHARDS: &str = "3";

/// Tests that must pass whichever loop serves the router, and are run with axum's own, too.
const OF_ANY_LOOP: Part = Part {
    programs: &["http", "sockets"],
    modules: &[
        "endpoints::",
        "event_streams::",
        "event_streams_resume::",
        "transport::",
    ],
};

/// Some modules of some test programs.
struct Part {
    programs: &'static [&'static str],
    modules: &'static [&'static str],
}

/// Rust tests that start programs and servers.
pub(super) fn run(workspace: &Workspace) -> Result<Counts, Failure> {
    servers::find_or_bring(workspace)?;
    outside::find_or_bring(workspace)?;
    let command = if has_nextest(workspace) {
        nextest(workspace, "package(tidegate) & kind(test)")
    } else {
        // The examples are programs that the tests start.
        let mut command = workspace.cargo(["test", "--no-fail-fast", "--package", "tidegate"]);
        command.args(["--lib", "--bins", "--tests", "--examples"]);
        command
    };
    let programs = counted(step(
        workspace,
        "the tests of the server and its program",
        command,
    ));
    // They are worth running even if the others have failed.
    let command = backend_tests(workspace)?;
    let backends = counted(step(workspace, "the tests of the backends", command));
    let [whole, part] = tests_with_shards(workspace);
    let shards = counted(step(workspace, "some of them with several shards", whole));
    let more_shards = counted(step(workspace, "more of them with several shards", part));
    let command = tests_by_axum(workspace);
    let by_axum = counted(step(workspace, "some of them served by axum", command));
    let others = [backends, shards, more_shards, by_axum];
    others.into_iter().fold(programs, both)
}

fn tests_by_axum(workspace: &Workspace) -> Command {
    let mut command = tests_of(workspace, OF_ANY_LOOP.programs);
    command.arg("--").args(OF_ANY_LOOP.modules);
    command.env("TIDEGATE_TEST_SERVER", "axum");
    command
}

fn tests_with_shards(workspace: &Workspace) -> [Command; 2] {
    let whole = tests_of(workspace, &OF_ANY_SHARDS);
    let mut part = tests_of(workspace, OF_ANY_SHARDS_IN_PART.programs);
    part.arg("--").args(OF_ANY_SHARDS_IN_PART.modules);
    [whole, part].map(|mut command| {
        command.env("TIDEGATE_TEST_SHARDS", SHARDS);
        command
    })
}

/// The tests of some programs, compiled with the same features as the others.
fn tests_of(workspace: &Workspace, programs: &[&str]) -> Command {
    let mut command = workspace.cargo(["test", "--workspace", "--no-fail-fast"]);
    for program in programs {
        command.args(["--test", program]);
    }
    command
}

/// Combines two runs. If both failed, the first error is reported, and the tests of both are counted.
fn both(
    first: Result<Counts, Failure>,
    second: Result<Counts, Failure>,
) -> Result<Counts, Failure> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok(first + second),
        (Err(failure), other) | (other @ Ok(_), Err(failure)) => {
            let others = other.unwrap_or_else(|other| other.counts);
            let counts = failure.counts + others;
            Err(Failure { counts, ..failure })
        }
    }
}

/// The tests of the backends: one process for each backend, so that its tests can share a server. Compiled with the
/// whole workspace, like the others, so that the libraries aren't compiled again with other features.
fn backend_tests(workspace: &Workspace) -> Result<Command> {
    let mut command = workspace.cargo(["test", "--workspace", "--no-fail-fast"]);
    for name in backends_tested(&workspace.root.join(SERVER_TESTS))? {
        command.args(["--test", &name]);
    }
    // Most of them spend most of their time waiting.
    let threads = format!("--test-threads={TEST_THREADS}");
    command.args(["--", &threads]);
    if servers::may_mount() {
        command.arg("--include-ignored");
    }
    Ok(command)
}

/// The names of the test programs of a folder.
fn backends_tested(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() || path.extension().is_some_and(|kind| kind == "rs") {
            let name = path.file_stem().unwrap_or_default();
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}
