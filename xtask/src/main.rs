//! Every command that a person needs in this repository, run as `cargo xtask …`.
//!
//! Each command installs what it needs (a compiler target, npm packages, a browser), shows its progress, and says what
//! to do next if it fails.

mod apt;
mod bench;
mod browser;
mod child;
mod demo;
mod fuzz;
mod group;
mod instructions;
mod miri;
mod mutants;
mod npm;
mod order;
mod outside;
mod progress;
mod servers;
mod sim;
mod stamp;
mod test;
mod toolchain;
mod wasm;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Builds, shows, tests and measures Tidegate.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the browser's WASM module and the npm package around it
    Wasm(wasm::Arguments),
    /// Builds everything, starts a server and real jobs, and shows the dashboard's address
    Demo(demo::Arguments),
    /// Checks formatting, lints and rules, and runs every test
    Test(test::Arguments),
    /// Builds and runs the benchmarks
    Bench(bench::Arguments),
    /// Runs the simulation of the whole system over many seeds
    Sim(sim::Arguments),
    /// Puts deliberate faults into the core, one at a time, and reports which tests notice
    Mutants(mutants::Arguments),
    /// Lets libFuzzer search for inputs that break something
    Fuzz(fuzz::Arguments),
    /// Runs the core's tests in Miri
    Miri(miri::Arguments),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    group::end_when_asked_to()?;
    let workspace = Workspace::locate()?;
    match cli.command {
        Command::Wasm(arguments) => wasm::run(&workspace, &arguments),
        Command::Demo(arguments) => demo::run(&workspace, &arguments),
        Command::Test(arguments) => test::run(&workspace, &arguments),
        Command::Bench(arguments) => bench::run(&workspace, &arguments),
        Command::Sim(arguments) => sim::run(&workspace, &arguments),
        Command::Mutants(arguments) => mutants::run(&workspace, &arguments),
        Command::Fuzz(arguments) => fuzz::run(&workspace, &arguments),
        Command::Miri(arguments) => miri::run(&workspace, &arguments),
    }
}
