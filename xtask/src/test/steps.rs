//! The steps of a test run: what each does and what it builds on.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use super::counts::Counts;
use super::{no_std, package, rules, server_tests};
use crate::child::{self, ChildFailed, Log, Running};
use crate::workspace::Workspace;
use crate::{browser, instructions, npm, wasm};

/// One step. They run in this order: long ones late, and the server after the dashboard, which is a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Step {
    /// Rust's formatting
    Format,
    /// Forbidden dependencies between crates
    Rules,
    /// That the core needs no operating system
    NoStd,
    /// The browser's module and the npm package
    Wasm,
    /// TypeScript's formatting, lints and types
    Lint,
    /// The package's tests in Node
    Node,
    /// Rust's lints
    Clippy,
    /// The tests of all crates that need no servers or programs
    Rust,
    /// The cost of core paths, in instructions
    Instructions,
    /// The tests that start servers and programs
    Servers,
    /// The examples in the documentation, and its links
    Docs,
    /// The package as its users get it
    Package,
    /// The package in a real browser, with a real server
    Browser,
    /// The package in bundlers, in workers, under a policy and in Node
    Packaging,
}

/// A step that failed, with the tests that ran before it did.
pub(super) struct Failure {
    pub(super) error: anyhow::Error,
    pub(super) counts: Counts,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let output = error.downcast_ref::<ChildFailed>().map(ChildFailed::output);
        Self {
            counts: output.map(Counts::in_output).unwrap_or_default(),
            error,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl Step {
    pub(super) const ALL: [Self; 14] = [
        Self::Format,
        Self::Rules,
        Self::NoStd,
        Self::Wasm,
        Self::Lint,
        Self::Node,
        Self::Clippy,
        Self::Rust,
        Self::Instructions,
        Self::Servers,
        Self::Docs,
        Self::Package,
        Self::Browser,
        Self::Packaging,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Format => "Rust formatting",
            Self::Rules => "Dependency rules",
            Self::NoStd => "The core without a standard library",
            Self::Clippy => "Rust lints",
            Self::Wasm => "WASM module and npm package",
            Self::Lint => "TypeScript formatting, lints and types",
            Self::Node => "TypeScript tests in Node",
            Self::Rust => "Rust tests",
            Self::Instructions => "What core paths cost, in instructions",
            Self::Servers => "Rust tests with servers and programs",
            Self::Docs => "Rust documentation and its examples",
            Self::Package => "The package as its users get it",
            Self::Browser => "Tests in a browser",
            Self::Packaging => "The package in every place where it is used",
        }
    }

    /// The steps whose results this one uses.
    pub(super) fn needs(self) -> &'static [Self] {
        match self {
            Self::Lint | Self::Node | Self::Package | Self::Browser | Self::Packaging => {
                &[Self::Wasm]
            }
            Self::Format | Self::Rules | Self::NoStd | Self::Clippy => &[],
            Self::Wasm | Self::Rust | Self::Instructions | Self::Servers | Self::Docs => &[],
        }
    }

    /// Whether it belongs to the inner loop.
    pub(super) fn is_quick(self) -> bool {
        !matches!(
            self,
            Self::Instructions | Self::Servers | Self::Package | Self::Browser | Self::Packaging
        )
    }

    /// The step that may run beside this one: both need only one processor, and share no files.
    pub(super) fn beside(self) -> Option<Self> {
        (self == Self::Wasm).then_some(Self::Clippy)
    }

    /// Starts the step in the background, if it is one that may run [`beside`](Self::beside) another one.
    pub(super) fn begin(self, workspace: &Workspace) -> Result<Option<Running>> {
        match self {
            Self::Clippy => Ok(Some(clippy(workspace).begin()?)),
            _ => Ok(None),
        }
    }

    pub(super) fn run(self, workspace: &Workspace) -> Result<Counts, Failure> {
        match self {
            Self::Format => {
                let command = workspace.cargo(["fmt", "--all", "--check"]);
                step(workspace, "cargo fmt --check", command)?;
                Ok(Counts::default())
            }
            Self::Rules => Ok(rules::check(workspace).map(|()| Counts::default())?),
            Self::NoStd => Ok(no_std::check(workspace).map(|()| Counts::default())?),
            Self::Clippy => {
                clippy(workspace).run()?;
                Ok(Counts::default())
            }
            Self::Wasm => Ok(wasm::build(workspace, false).map(|()| Counts::default())?),
            Self::Lint => script(workspace, "lint", &[]),
            Self::Node => script(workspace, "test", &[]),
            Self::Rust => rust_tests(workspace),
            Self::Instructions => instructions(workspace),
            Self::Servers => server_tests::run(workspace),
            Self::Docs => docs(workspace),
            Self::Package => Ok(package::check(workspace)?),
            Self::Browser => browser_tests(workspace, "test:browser"),
            Self::Packaging => {
                script(workspace, "lint:package", &[])?;
                browser_tests(workspace, "test:packaging")
            }
        }
    }
}

pub(super) fn step(workspace: &Workspace, title: &str, command: Command) -> Result<Log> {
    child::Step::new(workspace, title, command).run()
}

fn script(
    workspace: &Workspace,
    name: &str,
    variables: &[(&str, &Path)],
) -> Result<Counts, Failure> {
    let log = npm::run_script(workspace, name, variables)?;
    Ok(Counts::in_output(&log.text))
}

fn clippy(workspace: &Workspace) -> child::Step<'_> {
    let mut command = workspace.cargo(["clippy", "--workspace", "--all-targets"]);
    command.args(["--", "-D", "warnings"]);
    child::Step::new(workspace, "cargo clippy", command)
}

/// The Rust tests that need no servers or programs.
fn rust_tests(workspace: &Workspace) -> Result<Counts, Failure> {
    let command = if has_nextest(workspace) {
        let others = "package(tidegate) | package(tidegate-server-tests)";
        nextest(workspace, &format!("not (({others}) & kind(test))"))
    } else {
        let mut command = workspace.cargo(["test", "--workspace", "--no-fail-fast"]);
        command.args([
            "--exclude",
            "tidegate",
            "--exclude",
            "tidegate-server-tests",
        ]);
        command.args(["--lib", "--bins", "--tests"]);
        command
    };
    counted(step(workspace, "the tests that need nothing", command))
}

/// Compares the instructions of core paths with the accepted figures; passes if they can't be counted.
fn instructions(workspace: &Workspace) -> Result<Counts, Failure> {
    match instructions::command(workspace, false)? {
        None => eprintln!("  not counted: valgrind does not run on this system"),
        Some(command) => {
            let log = step(workspace, "counting instructions", command)?;
            if let Some(reason) = log
                .text
                .lines()
                .find(|line| line.starts_with("not compared"))
            {
                eprintln!("  {reason}");
            }
        }
    }
    Ok(Counts::default())
}

pub(super) fn counted(log: Result<Log>) -> Result<Counts, Failure> {
    Ok(Counts::in_output(&log?.text))
}

pub(super) fn has_nextest(workspace: &Workspace) -> bool {
    let nextest = workspace.cargo(["nextest", "--version"]).output();
    nextest.is_ok_and(|output| output.status.success())
}

/// Runs the tests of a filter with nextest, in parallel.
pub(super) fn nextest(workspace: &Workspace, filter: &str) -> Command {
    let mut command = workspace.cargo(["nextest", "run", "--workspace", "--no-fail-fast"]);
    command.args([
        "--failure-output",
        "final",
        "--hide-progress-bar",
        "-E",
        filter,
    ]);
    command
}

fn docs(workspace: &Workspace) -> Result<Counts, Failure> {
    let command = workspace.cargo(["test", "--workspace", "--doc", "--no-fail-fast"]);
    let log = step(workspace, "cargo test --doc", command)?;
    // All crates, because their shared dependencies are already compiled for the lints. Links to private items are
    // allowed, for those who read the sources.
    let mut command = workspace.cargo(["doc", "--workspace", "--no-deps", "--lib"]);
    command.env(
        "RUSTDOCFLAGS",
        "-D warnings -A rustdoc::private_intra_doc_links",
    );
    step(workspace, "cargo doc", command)?;
    Ok(Counts::in_output(&log.text))
}

/// A script of the package that needs a browser and a server.
fn browser_tests(workspace: &Workspace, name: &str) -> Result<Counts, Failure> {
    let chromium = browser::find_or_bring(workspace)?;
    // Built like the tests: on its own, it would use its libraries with other features, and compile them again.
    let command = workspace.cargo(["test", "--workspace", "--no-run"]);
    step(workspace, "building the server", command)?;
    let server = workspace.product("debug", "tidegate");
    let variables = [
        ("CHROMIUM", chromium.as_path()),
        ("TIDEGATE_BIN", server.as_path()),
    ];
    script(workspace, name, &variables)
}
