//! Node and the npm package: checks the version, installs the locked dependencies, runs scripts.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};

use crate::child::{Log, Step};
use crate::progress::note;
use crate::workspace::{Workspace, output_of};

/// The oldest Node that the package promises to work with.
const NODE_MAJOR_MIN: u32 = 20;

/// Checks that Node and npm are there and new enough.
pub(crate) fn require_node() -> Result<()> {
    let Some(version) = output_of("node", &["--version"]) else {
        bail!("node was not found; install Node {NODE_MAJOR_MIN} or newer, with npm");
    };
    let major = major_version(&version)
        .with_context(|| format!("node --version answered {version:?}, which is no version"))?;
    ensure!(
        major >= NODE_MAJOR_MIN,
        "node is {version}; install Node {NODE_MAJOR_MIN} or newer"
    );
    ensure!(
        output_of(npm_program(), &["--version"]).is_some(),
        "npm was not found; install it, it usually comes with Node"
    );
    Ok(())
}

/// Installs the package's dependencies if they are missing or older than the lock file.
pub(crate) fn install(workspace: &Workspace) -> Result<()> {
    require_node()?;
    let package = workspace.package();
    let lock = package.join("package-lock.json");
    ensure!(
        lock.is_file(),
        "{} is missing: it is part of the repository, bring it back with `git checkout pkg`",
        lock.display()
    );
    if !is_older(&package.join("node_modules/.package-lock.json"), &lock) {
        return Ok(());
    }
    let mut strict = command(&package);
    strict.args(["ci", "--no-audit", "--no-fund"]);
    if Step::new(workspace, "npm ci in pkg/", strict)
        .may_fail()
        .run()
        .is_ok()
    {
        return Ok(());
    }
    // A lock file may lack some platforms' builds of a tool, if the registry lacked them when it was written. `npm ci`
    // refuses such a file; `npm install` uses what it has.
    note("the lock file does not name all that package.json asks for; installing by its rest");
    let mut lenient = command(&package);
    lenient.args(["install", "--no-save", "--no-audit", "--no-fund"]);
    Step::new(workspace, "npm install in pkg/", lenient).run()?;
    Ok(())
}

/// Runs a script of the package, with more variables in its environment.
pub(crate) fn run_script(
    workspace: &Workspace,
    script: &str,
    variables: &[(&str, &Path)],
) -> Result<Log> {
    let mut command = command(&workspace.package());
    command.args(["run", script]);
    command.envs(variables.iter().copied());
    Step::new(workspace, &format!("npm run {script} in pkg/"), command).run()
}

/// A program from one of the package's dependencies.
pub(crate) fn tool(workspace: &Workspace, name: &str) -> Result<Command> {
    let suffix = if cfg!(windows) { ".cmd" } else { "" };
    let path = workspace
        .package()
        .join(format!("node_modules/.bin/{name}{suffix}"));
    ensure!(
        path.exists(),
        "{} is missing: the package that brings {name} must be among pkg's devDependencies",
        path.display()
    );
    Ok(Command::new(path))
}

/// npm, started in a folder.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(npm_program());
    command.current_dir(folder);
    command.env("npm_config_update_notifier", "false");
    command
}

fn npm_program() -> &'static str {
    if cfg!(windows) { "npm.cmd" } else { "npm" }
}

/// The first number of `v20.20.2`.
fn major_version(version: &str) -> Option<u32> {
    version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// Whether a product is missing or was made before its source.
fn is_older(product: &Path, source: &Path) -> bool {
    let modified = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    match (modified(product), modified(source)) {
        (Some(product), Some(source)) => product < source,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_the_first_number() {
        assert_eq!(major_version("v20.20.2"), Some(20));
        assert_eq!(major_version("24.0.0\n"), Some(24));
        assert_eq!(major_version("node"), None);
    }

    #[test]
    fn a_missing_product_counts_as_older() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(is_older(Path::new("/nowhere/at/all"), &source));
        assert!(!is_older(&source, &source));
    }
}
