//! Finds the servers that tests start, or installs them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::apt;
use crate::workspace::{Workspace, find_program};

/// Where Debian keeps PostgreSQL's programs, by version: they are not on the PATH.
const POSTGRES_FOLDER: &str = "/usr/lib/postgresql";

/// Makes sure that the servers are there which the tests start: Redis and PostgreSQL.
///
/// # Errors
/// When one is missing and can't be installed: says what to do.
pub(crate) fn find_or_bring(workspace: &Workspace) -> Result<()> {
    let missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    let next = format!(
        "the tests start servers that were not found; install {} (or put their programs on the PATH)",
        missing.join(" and ")
    );
    apt::install(workspace, &missing).context(next)
}

fn missing_packages() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if find_program(&["redis-server"]).is_none() || find_program(&["redis-cli"]).is_none() {
        missing.push("redis-server");
    }
    if find_program(&["initdb"]).is_none() && !is_packaged("initdb") {
        missing.push("postgresql");
    }
    if find_program(&["psql"]).is_none() && !is_packaged("psql") {
        missing.push("postgresql-client");
    }
    missing
}

/// Whether a program of PostgreSQL lies where Debian keeps it.
fn is_packaged(program: &str) -> bool {
    let versions = fs::read_dir(POSTGRES_FOLDER)
        .into_iter()
        .flatten()
        .flatten();
    versions
        .map(|version| version.path().join("bin").join(program))
        .any(|path: PathBuf| path.is_file())
}
