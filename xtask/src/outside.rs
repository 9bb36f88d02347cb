//! Third-party clients that the server is tested with: installs them in a Python environment of their own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::apt;
use crate::child::Step;
use crate::workspace::{Workspace, output_of};

/// The clients and their versions.
const REQUIREMENTS: &str = "native/tests/outside/requirements.txt";

/// Their folder in the target directory, where the tests look for them.
const FOLDER: &str = "outside-clients";

/// Installs the clients if they are missing or have other versions.
///
/// # Errors
/// If there is no Python that can make environments and none can be installed, or if the package index can't be
/// reached.
pub(crate) fn find_or_bring(workspace: &Workspace) -> Result<()> {
    let wanted = workspace.root.join(REQUIREMENTS);
    let wanted = fs::read(&wanted).with_context(|| format!("reading {}", wanted.display()))?;
    let folder = workspace.target.join(FOLDER);
    // Written when everything is installed.
    let installed = folder.join("installed.txt");
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("emptying {}", folder.display()))?;
    }
    let mut make = Command::new(python(workspace)?);
    make.args(["-m", "venv"]).arg(&folder);
    Step::new(workspace, "an environment for outside clients", make).run()?;
    let mut install = Command::new(folder.join("bin/python"));
    install.current_dir(&workspace.root);
    install.args(["-m", "pip", "install", "--disable-pip-version-check"]);
    install.args(["--only-binary", ":all:", "--requirement", REQUIREMENTS]);
    Step::new(workspace, "installing outside clients", install).run()?;
    fs::write(&installed, wanted).with_context(|| format!("writing {}", installed.display()))
}

/// A Python that can make environments. Debian has that part in a separate package.
fn python(workspace: &Workspace) -> Result<PathBuf> {
    let candidates = || {
        let chosen = env::var_os("PYTHON").map(PathBuf::from);
        let usual = ["python3", "/usr/bin/python3"].map(PathBuf::from);
        chosen.into_iter().chain(usual)
    };
    if let Some(python) = candidates().find(|python| makes_environments(python)) {
        return Ok(python);
    }
    let next = "the tests hold the server against clients of Python's, which need Python 3.10 or newer with venv \
                and pip; install python3-venv, or set PYTHON to the path of one that has them";
    if apt::available() {
        apt::install(workspace, &["python3-venv"]).context(next)?;
    }
    candidates()
        .find(|python| makes_environments(python))
        .context(next)
}

fn makes_environments(python: &Path) -> bool {
    let check = "import sys, venv, ensurepip; assert sys.version_info >= (3, 10)";
    output_of(python, &["-c", check]).is_some()
}
