//! `cargo xtask mutants`: puts deliberate faults into a copy of the core, one at a time, and reports which tests notice
//! them.
//!
//! Each fault is tried with the simulation's first seeds; if they pass, with the core's own tests and the others that
//! need no servers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::child::{ChildFailed, Step};
use crate::workspace::Workspace;

#[path = "../../tests/mutations/list.rs"]
mod list;

use list::{MUTATIONS, Mutation};

/// The folders that the tests of the core need, and the files beside them.
const FOLDERS: [&str; 3] = ["core", "native", "tests"];
const FILES: [&str; 3] = ["Cargo.lock", "clippy.toml", "rustfmt.toml"];

/// The members of the copied workspace, and the packages in its folders that are not members.
const MEMBERS: &str = "members = [\"core\", \"tests\"]\n\
    exclude = [\"native\", \"tests/fuzz\", \"tests/load\", \"tests/servers\"]";

/// How long the tests of one fault may take: some faults make them wait forever.
const TIME_MAX: Duration = Duration::from_secs(900);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the faults whose names contain one of these
    filters: Vec<String>,
    /// Keeps the results of an earlier run, and tries only the other faults
    #[arg(long)]
    resume: bool,
    /// Runs only this test suite, instead of the simulation and everything else
    #[arg(long, conflicts_with = "sim_only")]
    suite: Option<String>,
    /// Runs only the simulation, and no other tests if it doesn't notice
    #[arg(long)]
    sim_only: bool,
    /// The number of seeds for each fault
    #[arg(long, default_value_t = 40)]
    seeds: u64,
}

/// The entry of a fault with which the core does not compile. Such a fault must be rewritten, so `--resume` tries it
/// again.
const THE_COMPILER: &str = "**the compiler**";

/// What has noticed a fault.
enum Caught {
    Simulation(String),
    Other(String),
    Nobody,
    /// The core does not compile with it, so it can't occur.
    Compiler,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    let mut found = Found::open(workspace, arguments.resume)?;
    let copy = copy_workspace(workspace)?;
    let is_chosen = |name: &str| {
        let filters = &arguments.filters;
        filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
    };
    let chosen = MUTATIONS.iter().filter(|known| is_chosen(known.name));
    let mut table = Vec::new();
    let mut survivors = 0;
    for mutation in chosen {
        let by = match found.by_name.get(mutation.name) {
            Some(by) => by.clone(),
            None => {
                let caught = meet(workspace, &copy, arguments, mutation)?;
                found.note(mutation.name, &caught)?
            }
        };
        survivors += u32::from(by.starts_with("**"));
        eprintln!("  {}: {by}", mutation.name);
        table.push(format!(
            "| `{}` | {} | {by} |",
            mutation.name, mutation.breaks
        ));
    }
    println!("| fault | what breaks | who noticed |\n|---|---|---|");
    println!("{}", table.join("\n"));
    if survivors > 0 {
        eprintln!("\n{survivors} faults were not noticed");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The results by fault, saved to a file as they come, so that an interrupted run can be resumed.
struct Found {
    path: PathBuf,
    by_name: BTreeMap<String, String>,
}

impl Found {
    fn open(workspace: &Workspace, takes_over: bool) -> Result<Self> {
        let path = workspace.target.join("mutants.txt");
        let mut by_name = BTreeMap::new();
        if takes_over && path.exists() {
            let text = fs::read_to_string(&path)?;
            let lines = text.lines().filter_map(|line| line.split_once('\t'));
            let stays = lines.filter(|(_, by)| *by != THE_COMPILER);
            by_name.extend(stays.map(|(name, by)| (name.to_owned(), by.to_owned())));
        } else {
            fs::create_dir_all(&workspace.target)?;
            fs::write(&path, "")?;
        }
        Ok(Self { path, by_name })
    }

    /// Saves what has noticed a fault, and returns it as text.
    fn note(&mut self, name: &str, caught: &Caught) -> Result<String> {
        let by = match caught {
            Caught::Simulation(how) => format!("the simulation: {how}"),
            Caught::Other(test) => test.clone(),
            Caught::Nobody => "**nobody**".to_owned(),
            Caught::Compiler => THE_COMPILER.to_owned(),
        };
        self.by_name.insert(name.to_owned(), by.clone());
        let lines = self.by_name.iter();
        let lines: Vec<String> = lines.map(|(name, by)| format!("{name}\t{by}")).collect();
        fs::write(&self.path, lines.join("\n"))
            .with_context(|| format!("writing {}", self.path.display()))?;
        Ok(by)
    }
}

/// A workspace with only the core and its tests, so that nothing else is recompiled for each fault.
fn copy_workspace(workspace: &Workspace) -> Result<PathBuf> {
    let copy = workspace.target.join("mutants");
    if copy.exists() {
        fs::remove_dir_all(&copy).with_context(|| format!("emptying {}", copy.display()))?;
    }
    fs::create_dir_all(&copy)?;
    for folder in FOLDERS {
        copy_folder(&workspace.root.join(folder), &copy.join(folder))?;
    }
    for file in FILES {
        fs::copy(workspace.root.join(file), copy.join(file))?;
    }
    let manifest = fs::read_to_string(workspace.root.join("Cargo.toml"))?;
    let lines = manifest.lines().filter(|line| {
        let is_other = line.starts_with("tidegate = ") || line.starts_with("exclude =");
        !is_other
    });
    let members = lines.map(|line| {
        if line.starts_with("members =") {
            MEMBERS
        } else {
            line
        }
    });
    let manifest: Vec<&str> = members.collect();
    fs::write(copy.join("Cargo.toml"), manifest.join("\n"))?;
    Ok(copy)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            if entry.file_name() != "target" && entry.file_name() != "node_modules" {
                copy_folder(&path, &target)?;
            }
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// Puts a fault in, runs the tests, and takes it out again.
fn meet(
    workspace: &Workspace,
    copy: &Path,
    arguments: &Arguments,
    mutation: &Mutation,
) -> Result<Caught> {
    let file = copy.join(mutation.file);
    let text = fs::read_to_string(&file)?;
    ensure!(
        text.matches(mutation.old).count() == 1,
        "{} does not apply to {}; change tests/mutations/list.rs",
        mutation.name,
        mutation.file
    );
    fs::write(&file, text.replace(mutation.old, mutation.new))?;
    let caught = try_all(workspace, copy, arguments, mutation);
    fs::write(&file, text)?;
    caught
}

fn try_all(
    workspace: &Workspace,
    copy: &Path,
    arguments: &Arguments,
    mutation: &Mutation,
) -> Result<Caught> {
    let title = |what: &str| format!("{}: {what}", mutation.name);
    let compiles = |what: &[&str]| {
        let build = cargo(workspace, copy, what);
        compiles(Step::new(workspace, &title("build"), build))
    };
    if let Some(suite) = &arguments.suite {
        let arguments = ["test", "--package", "tidegate-tests", "--test", suite];
        if !compiles(&[&arguments[..], &["--no-run"]].concat())? {
            return Ok(Caught::Compiler);
        }
        let test = cargo(workspace, copy, &arguments);
        let output = failed(Step::new(workspace, &title(suite), test))?;
        return Ok(output.map_or(Caught::Nobody, |output| {
            Caught::Other(format!("`{suite}`: {}", first_failed(&output)))
        }));
    }
    if !compiles(&["build", "--package", "tidegate-tests", "--bin", "sim"])? {
        return Ok(Caught::Compiler);
    }
    let seeds = arguments.seeds.to_string();
    let mut simulation = cargo(
        workspace,
        copy,
        &["run", "--package", "tidegate-tests", "--bin", "sim", "--"],
    );
    simulation.args(["--seeds", &seeds, "--minutes", "14", "--stop"]);
    if let Some(output) = failed(Step::new(workspace, &title("simulation"), simulation))? {
        return Ok(Caught::Simulation(how(&output)));
    }
    if arguments.sim_only {
        return Ok(Caught::Nobody);
    }
    let others: [&[&str]; 2] = [
        &["test", "--package", "tidegate-core", "--lib"],
        &[
            "test",
            "--package",
            "tidegate-tests",
            "--tests",
            "--no-fail-fast",
        ],
    ];
    for other in others {
        if !compiles(&[other, &["--no-run"]].concat())? {
            return Ok(Caught::Compiler);
        }
        let test = cargo(workspace, copy, other);
        if let Some(output) = failed(Step::new(workspace, &title(other[2]), test))? {
            return Ok(Caught::Other(first_failed(&output)));
        }
    }
    Ok(Caught::Nobody)
}

fn cargo(workspace: &Workspace, copy: &Path, arguments: &[&str]) -> Command {
    let mut command = workspace.cargo(["--quiet"]);
    command
        .args(arguments)
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", built(workspace))
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    command
}

/// The target directory of the copy. Cargo can't tell the copy from the workspace: in the same directory, each would
/// get the other's products.
fn built(workspace: &Workspace) -> PathBuf {
    workspace.target.join("mutants-build")
}

/// Whether the build succeeds. If it was killed, or ran out of memory or disk space, that says nothing about the fault,
/// and is an error: the fault will be tried again.
fn compiles(build: Step<'_>) -> Result<bool> {
    let Err(error) = build.may_fail().run() else {
        return Ok(true);
    };
    match error.downcast_ref::<ChildFailed>() {
        Some(failed) if is_refused(failed.output()) => Ok(false),
        Some(_) | None => Err(error),
    }
}

/// Whether the compiler's output points at an error in the code. If the build was killed or the disk is full, there is
/// no such place.
fn is_refused(output: &str) -> bool {
    let lines: Vec<&str> = output.lines().collect();
    let mut two = lines.windows(2);
    two.any(|two| two[0].starts_with("error") && two[1].trim_start().starts_with("--> "))
}

/// The output of a step, if it failed; `None` if it passed. A step that was killed is an error.
fn failed(step: Step<'_>) -> Result<Option<String>> {
    let Err(error) = step.time_max(TIME_MAX).may_fail().run() else {
        return Ok(None);
    };
    match error.downcast_ref::<ChildFailed>() {
        Some(failed) if !failed.was_killed() => Ok(Some(failed.output().to_owned())),
        Some(_) | None => Err(error),
    }
}

/// How the simulation noticed a fault: the seed, and the place in the judge.
fn how(output: &str) -> String {
    let line = output.lines().find(|line| line.contains(" fails at "));
    let Some((seed, place)) = line.and_then(|line| line.split_once(" fails at ")) else {
        return "it did not come to an end".to_owned();
    };
    let place = place.split_once(": ").map_or(place, |(place, _)| place);
    let place = place.rsplit_once(':').map_or(place, |(place, _)| place);
    format!("{seed}, {}", place.trim_start_matches("tests/src/"))
}

/// The first failed test. Quiet runs name only failed tests, each above its output.
fn first_failed(output: &str) -> String {
    let mut lines = output.lines();
    let name = lines.find_map(|line| line.strip_prefix("---- ")?.strip_suffix(" stdout ----"));
    name.map_or_else(|| "a suite".to_owned(), |name| format!("`{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_by_its_seed_and_place() {
        let output = "\nseed 12 fails at tests/src/record.rs:202:9: job:1 at 5:2: more";
        assert_eq!(how(output), "seed 12, record.rs:202");
    }

    #[test]
    fn only_what_the_compiler_refuses_does_not_compile() {
        let refused = "error[E0308]: mismatched types\n  --> core/src/a.rs:1:1\n\n\
            error: could not compile `tidegate-core` (lib) due to 1 previous error; 2 warnings emitted\n";
        assert!(is_refused(refused));
        let killed = "error: could not compile `tidegate-core` (lib)\n\nCaused by:\n  process didn't exit successfully: \
            `rustc --crate-name tidegate_core` (signal: 9, SIGKILL: kill)\n";
        assert!(!is_refused(killed));
        let without_room = "error: linking with `cc` failed: exit status: 1\n  |\n  = note: No space left on device\n\n\
            error: could not compile `tidegate-tests` (bin \"sim\") due to 1 previous error\n";
        assert!(!is_refused(without_room));
        assert!(!is_refused(""));
    }

    #[test]
    fn the_first_failed_test_is_named() {
        let output = "running 3 tests\n.FF\n---- b::c stdout ----\nwhy\n---- d stdout ----\n";
        assert_eq!(first_failed(output), "`b::c`");
    }
}
