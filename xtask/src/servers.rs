//! Finds the servers and programs that tests start, or installs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::apt;
use crate::workspace::{Workspace, find_program};

/// The programs that tests start, each with its Debian package.
const PROGRAMS: [(&str, &str); 13] = [
    ("curl", "curl"),
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
    ("nginx", "nginx-light"),
    ("initdb", "postgresql"),
    ("postgres", "postgresql"),
    ("psql", "postgresql-client"),
    ("pgbouncer", "pgbouncer"),
    ("openssl", "openssl"),
    ("pkill", "procps"),
    ("python3", "python3-minimal"),
    ("setpriv", "util-linux"),
    ("mount", "mount"),
];

/// Debian's folder of PostgreSQL's programs, by version. They are not on the PATH.
const POSTGRES_FOLDER: &str = "/usr/lib/postgresql";

/// Folders for programs that are often on root's PATH only.
const MORE_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// Makes sure that the servers and programs that tests start are installed.
///
/// # Errors
/// If one is missing and can't be installed, or this is not Linux; the error says what to do.
pub(crate) fn find_or_bring(workspace: &Workspace) -> Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "what starts servers here looks after them with setpriv and /proc, which only Linux has; run it \
         in a container or a virtual machine, or leave it out: cargo xtask test --quick"
    );
    let missing = missing_packages(is_installed);
    if missing.is_empty() {
        return Ok(());
    }
    let next = format!(
        "the tests start programs that were not found; install {} (or put the programs on the PATH)",
        missing.join(" and ")
    );
    apt::install(workspace, &missing).context(next)
}

/// Whether this process may mount a disk: one test does, and is skipped otherwise.
pub(crate) fn may_mount() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "true"]).stderr(Stdio::null());
    unshare.status().is_ok_and(|status| status.success())
}

fn missing_packages(is_installed: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut missing = Vec::new();
    for (program, package) in PROGRAMS {
        if !missing.contains(&package) && !is_installed(program) {
            missing.push(package);
        }
    }
    missing
}

fn is_installed(program: &str) -> bool {
    let versions = fs::read_dir(POSTGRES_FOLDER)
        .into_iter()
        .flatten()
        .flatten();
    let mut folders = versions
        .map(|version| version.path().join("bin"))
        .chain(MORE_FOLDERS.map(PathBuf::from));
    find_program(&[program]).is_some() || folders.any(|folder| Path::is_file(&folder.join(program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_package_is_named_once() {
        let missing =
            missing_packages(|program| !["initdb", "postgres", "pgbouncer"].contains(&program));
        assert_eq!(missing, ["postgresql", "pgbouncer"]);
        assert!(missing_packages(|_| true).is_empty());
    }
}
