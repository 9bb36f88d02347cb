//! The initial data folder of every server.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::programs::program;
use super::{PASSWORD, as_nobody, is_root, run};

/// A folder with an empty database cluster, made once for all tests in the folder of the first one, and copied by each.
pub(super) fn prepared(first: &Path) -> PathBuf {
    let version = run(Command::new(program("postgres")).arg("--version"));
    let version = version.split_whitespace().nth(2).expect("its number");
    let uid = fs::metadata("/proc/self").expect("a process").uid();
    let template = std::env::temp_dir().join(format!("tidegate-postgres-{version}-for-{uid}"));
    if template.join("PG_VERSION").exists() {
        return template;
    }
    let own = first.join("template");
    fs::create_dir(&own).expect("a new folder");
    let password = first.join("password");
    fs::write(&password, PASSWORD).expect("a new file");
    if is_root() {
        run(Command::new("chown").arg("nobody").arg(&own).arg(&password));
    }
    let mut initdb = as_nobody("initdb");
    initdb.args([
        "-U",
        "tidegate",
        "--auth-local=trust",
        "--auth-host=scram-sha-256",
    ]);
    initdb.args(["--encoding=UTF8", "--locale=C", "--no-sync"]);
    initdb.arg("--pwfile").arg(&password).arg("-D").arg(&own);
    run(&mut initdb);
    // Another process may have been faster; then its template is used.
    let _ = fs::rename(&own, &template);
    template
}
