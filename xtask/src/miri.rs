//! `cargo xtask miri`: runs the core's tests in Miri, which finds undefined behaviour.
//!
//! The core itself has no unsafe code, but the maps, slabs and buffers that it uses have. Tests that loop over
//! thousands of numbers are ignored under Miri, or loop over fewer.

use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};

use crate::child::Step;
use crate::workspace::{Workspace, show_cargo_progress};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the tests whose names contain one of these
    filters: Vec<String>,
    /// The number of cases of each property that doesn't set it itself
    #[arg(long, default_value_t = 2)]
    cases: u32,
    /// The toolchain that has Miri
    #[arg(long, default_value = "nightly")]
    toolchain: String,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    let toolchain = &arguments.toolchain;
    let version = Command::new("rustup")
        .args(["run", toolchain, "cargo", "miri", "--version"])
        .output();
    ensure!(
        version.is_ok_and(|output| output.status.success()),
        "{toolchain} has no Miri; bring it by: rustup toolchain install {toolchain} --component miri,rust-src"
    );
    let mut command = Command::new("rustup");
    command
        .args(["run", toolchain, "cargo", "miri", "test"])
        .args(["--package", "tidegate-core", "--lib", "--target-dir"])
        .arg(workspace.target.join("miri"))
        // The time of each test shows which ones do too much.
        .args(["--", "-Zunstable-options", "--report-time"])
        .args(&arguments.filters)
        .current_dir(&workspace.root)
        // Property tests look for the folder of earlier failures.
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .env("PROPTEST_CASES", arguments.cases.to_string());
    show_cargo_progress(&mut command);
    let log = Step::new(workspace, "the core's tests in Miri", command).run()?;
    let results = log
        .text
        .lines()
        .filter(|line| line.starts_with("test result:"));
    results.for_each(|line| eprintln!("  {line}"));
    Ok(ExitCode::SUCCESS)
}
