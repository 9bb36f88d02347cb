//! The locations of the repository and its build products, and how to call its cargo.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The folders that the commands work in.
pub(crate) struct Workspace {
    /// The repository: the folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Finds the repository by this crate's manifest, whatever the current directory is.
    pub(crate) fn locate() -> Result<Self> {
        // Cargo sets the variable when it runs a program; the constant is for a program that is started by hand.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .context("the xtask crate has no parent folder; run it from inside the repository")?
            .to_path_buf();
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |folder| root.join(folder));
        Ok(Self { root, target })
    }

    /// The npm package's folder.
    pub(crate) fn package(&self) -> PathBuf {
        self.root.join("pkg")
    }

    /// The folder of the logs of all children.
    pub(crate) fn logs(&self) -> PathBuf {
        self.target.join("xtask-logs")
    }

    /// The cargo that runs this program, started in the repository and told to report progress.
    pub(crate) fn cargo<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(&self.root);
        show_cargo_progress(&mut command);
        command
    }

    /// The target directory of the browser's build. Separate, because its compiler may be another one.
    pub(crate) fn wasm_target(&self) -> PathBuf {
        self.target.join("wasm-build")
    }

    /// The target directory of builds for libFuzzer. Separate, because all their crates are instrumented.
    pub(crate) fn fuzz_target(&self) -> PathBuf {
        self.target.join("fuzz-build")
    }

    /// A build product of the given profile folder (`debug`, `release`), such as `tidegate` or
    /// `examples/hash_tree`.
    pub(crate) fn product(&self, profile: &str, name: &str) -> PathBuf {
        let file = format!("{name}{}", env::consts::EXE_SUFFIX);
        self.target.join(profile).join(file)
    }
}

/// Makes a cargo of any toolchain print its progress in the form that [`crate::progress`] reads.
pub(crate) fn show_cargo_progress(command: &mut Command) {
    command
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", "100");
}

/// The first program of these names on the PATH.
pub(crate) fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path: OsString = env::var_os("PATH")?;
    names.iter().find_map(|name| {
        let file = format!("{name}{}", env::consts::EXE_SUFFIX);
        env::split_paths(&path)
            .map(|folder| folder.join(&file))
            .find(|candidate| candidate.is_file())
    })
}

/// The output of a short command, trimmed; `None` if it can't be started or fails.
pub(crate) fn output_of(program: impl AsRef<Path>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program.as_ref())
        .args(arguments)
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
