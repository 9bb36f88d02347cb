//! The npm packages that Tidegate is compared with.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::child::Step;
use crate::npm;
use crate::workspace::Workspace;

/// Copies a folder with a `package.json` to the target directory, and installs its dependencies there.
///
/// # Errors
/// If there is no Node, or npm fails.
pub(super) fn install(workspace: &Workspace, name: &str, sources: &str) -> Result<PathBuf> {
    npm::require_node()?;
    let folder = workspace.target.join(name);
    let sources = workspace.root.join(sources);
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    for file in fs::read_dir(&sources).with_context(|| format!("reading {}", sources.display()))? {
        let file = file?;
        fs::copy(file.path(), folder.join(file.file_name()))?;
    }
    let mut install = npm::command(&folder);
    install.args(["install", "--no-audit", "--no-fund", "--no-package-lock"]);
    Step::new(workspace, "npm install of the peers", install).run()?;
    Ok(folder)
}
