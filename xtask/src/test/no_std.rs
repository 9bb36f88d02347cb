//! Proves that the core and its dependencies need no operating system, by building them with a compiler that finds
//! `core` and `alloc` but no `std`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::child::Step;
use crate::workspace::{Workspace, output_of};

/// The parts of the standard library that the core may use.
const LIBRARIES: [&str; 3] = ["core", "alloc", "compiler_builtins"];

/// Checks the core against a copy of the toolchain's library folder from which `std` is missing.
pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let sysroot = output_of("rustc", &["--print", "sysroot"]).context("rustc does not answer")?;
    let host = output_of("rustc", &["--print", "host-tuple"]).context("rustc does not answer")?;
    let library_folder = Path::new("lib/rustlib").join(&host).join("lib");
    let bare = workspace.target.join("no-std-sysroot");
    copy_libraries(
        &Path::new(&sysroot).join(&library_folder),
        &bare.join(&library_folder),
    )?;
    // Naming the target keeps the flag away from build scripts and macros, which run on this machine.
    let flag = format!("--sysroot={}", bare.display());
    let mut command = workspace.cargo(["check", "--package", "tidegate-core", "--target", &host]);
    command
        .env("CARGO_ENCODED_RUSTFLAGS", flag)
        .arg("--target-dir")
        .arg(workspace.target.join("no-std"));
    Step::new(
        workspace,
        "cargo check of tidegate-core without std",
        command,
    )
    .run()?;
    Ok(())
}

fn copy_libraries(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("emptying {}", to.display()))?;
    }
    fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
    let mut copied = 0;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_wanted(&name) {
            fs::copy(entry.path(), to.join(&name))?;
            copied += 1;
        }
    }
    ensure!(
        copied >= LIBRARIES.len(),
        "{} has no libraries of {}",
        from.display(),
        LIBRARIES.join(", ")
    );
    Ok(())
}

/// Whether a file such as `liballoc-0123456789abcdef.rlib` is one of the libraries.
fn is_wanted(file: &str) -> bool {
    let stem = file
        .strip_suffix(".rlib")
        .or_else(|| file.strip_suffix(".rmeta"));
    let name = stem.and_then(|stem| stem.strip_prefix("lib")?.rsplit_once('-'));
    name.is_some_and(|(name, _hash)| LIBRARIES.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_libraries_below_std_are_wanted() {
        assert!(is_wanted("libcore-0f1e.rlib"));
        assert!(is_wanted("libcompiler_builtins-0f1e.rlib"));
        for other in [
            "libstd-0f1e.rlib",
            "libstd-0f1e.so",
            "librustc_std_workspace_core-1.rlib",
            "core",
        ] {
            assert!(!is_wanted(other), "{other}");
        }
    }
}
