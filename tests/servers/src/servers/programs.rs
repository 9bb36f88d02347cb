//! Finds the servers' programs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Debian's folder of PostgreSQL's programs, by version.
const POSTGRES_FOLDER: &str = "/usr/lib/postgresql";

/// Folders for programs that are often on root's PATH only.
const MORE_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// The path of a program: on the PATH, or in the folders that Debian keeps off it.
///
/// # Panics
/// If it is not installed.
pub fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path)
        .chain(postgres_folders())
        .chain(MORE_FOLDERS.map(PathBuf::from));
    let mut candidates = folders.map(|folder| folder.join(name));
    candidates
        .find(|candidate| is_program(candidate))
        .unwrap_or_else(|| {
            panic!("{name} is not installed; `cargo xtask test --only servers` brings it")
        })
}

/// The folders of all versions, the newest first.
fn postgres_folders() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(POSTGRES_FOLDER)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .collect();
    versions.sort_unstable();
    versions.into_iter().rev().map(|(_, path)| path).collect()
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file())
}
