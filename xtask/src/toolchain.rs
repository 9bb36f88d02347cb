//! The compiler for the browser: finds one that can build `wasm32-unknown-unknown`, or installs it.
//!
//! There are three ways, the cheapest first: a toolchain that has the target; `rustup target add`; and, if rustup's
//! server can't be reached, the compiler that Debian packages for browsers. Debian ships that compiler's standard
//! library only as source, so it is built once.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::apt::{self, Privilege};
use crate::child::Step;
use crate::progress::note;
use crate::workspace::{Workspace, find_program, output_of, show_cargo_progress};

/// The target of the browser's build.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// If rustup's server can't be reached, its client waits forever.
const RUSTUP_TIME_MAX: Duration = Duration::from_secs(30);
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_TARGET_FOLDER: &str = "/usr/lib/rustlib/wasm32-unknown-unknown/lib";

/// A compiler that builds the target.
pub(crate) enum Toolchain {
    /// The one that builds everything else, too.
    Own,
    /// Debian's, with the linker to use.
    Debian {
        /// The path of `rust-lld` or `wasm-ld`.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// The installed compiler that builds the target, or else one that this installs.
    ///
    /// # Errors
    /// If none of the ways works; the error names two things to install.
    pub(crate) fn find_or_bring(workspace: &Workspace) -> Result<Self> {
        if Self::Own.builds() {
            return Ok(Self::Own);
        }
        if let Some(debian) = Self::debian().filter(Self::builds) {
            return Ok(debian);
        }
        if add_target(workspace) {
            return Ok(Self::Own);
        }
        Self::bring_debian(workspace).with_context(|| {
            format!(
                "no compiler for {TARGET} could be brought. Install one of the two: the target, by \
                 `rustup target add {TARGET}`; or, on Debian, the packages {}",
                DEBIAN_PACKAGES.join(" ")
            )
        })
    }

    fn bring_debian(workspace: &Workspace) -> Result<Self> {
        apt::install(workspace, &DEBIAN_PACKAGES)?;
        build_debian_std(workspace)?;
        let debian = Self::debian().context("no linker for WASM found; install the package lld")?;
        ensure!(
            debian.builds(),
            "{DEBIAN_RUSTC} can't use the standard library that was built for it"
        );
        Ok(debian)
    }

    fn debian() -> Option<Self> {
        let linker = own_linker()
            .or_else(|| find_program(&["rust-lld", "wasm-ld", "wasm-ld-19", "wasm-ld-16"]))?;
        Some(Self::Debian { linker })
    }

    /// This toolchain's cargo. The caller must give it a separate target directory: compilers of different versions
    /// would take turns rebuilding everything.
    pub(crate) fn cargo(&self, workspace: &Workspace) -> Command {
        match self {
            Self::Own => workspace.cargo([]),
            Self::Debian { linker } => {
                let mut command = debian_cargo();
                command.current_dir(&workspace.root);
                show_cargo_progress(&mut command);
                command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                command
            }
        }
    }

    /// Its name and version for people: `rustc 1.95.0`.
    pub(crate) fn describe(&self) -> String {
        let version = output_of(self.rustc(), &["--version"]).unwrap_or_default();
        let words: Vec<&str> = version.split(' ').take(2).collect();
        words.join(" ")
    }

    fn rustc(&self) -> &'static str {
        match self {
            Self::Own => "rustc",
            Self::Debian { .. } => DEBIAN_RUSTC,
        }
    }

    /// Whether the compiler has a standard library for the target that matches its version and allows link-time
    /// optimization. The only way to know is to build a small program that way.
    fn builds(&self) -> bool {
        let probe = env::temp_dir().join(format!("xtask-probe-{}.rs", std::process::id()));
        let module = probe.with_extension("wasm");
        if fs::write(&probe, "pub fn probe() -> Vec<u8> { Vec::new() }\n").is_err() {
            return false;
        }
        let mut command = Command::new(self.rustc());
        command
            .args(["--target", TARGET, "--crate-type=cdylib", "-Clto"])
            .arg("-o")
            .args([&module, &probe])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Self::Debian { linker } = self {
            command
                .arg("-C")
                .arg(format!("linker={}", linker.display()));
            command.env_remove("LD_LIBRARY_PATH");
        }
        let built = command.status().is_ok_and(|status| status.success());
        for file in [&probe, &module] {
            // A leftover in the temporary folder does no harm.
            let _ = fs::remove_file(file);
        }
        built
    }
}

fn add_target(workspace: &Workspace) -> bool {
    if find_program(&["rustup"]).is_none() {
        return false;
    }
    let mut command = Command::new("rustup");
    command.args(["target", "add", TARGET]);
    let title = format!("rustup target add {TARGET}");
    let added = Step::new(workspace, &title, command)
        .time_max(RUSTUP_TIME_MAX)
        .may_fail()
        .run();
    if added.is_err() {
        note("rustup could not bring the target; trying Debian's packages");
    }
    added.is_ok() && Toolchain::Own.builds()
}

/// The linker that comes with the toolchain that runs us.
fn own_linker() -> Option<PathBuf> {
    let sysroot = output_of("rustc", &["--print", "sysroot"])?;
    let host = output_of("rustc", &["--print", "host-tuple"])?;
    let folder = Path::new(&sysroot)
        .join("lib/rustlib")
        .join(host)
        .join("bin");
    let linker = folder.join("rust-lld");
    linker.is_file().then_some(linker)
}

/// Debian's cargo with Debian's compiler, without the environment that the cargo running this program has set for its
/// own.
fn debian_cargo() -> Command {
    let mut command = Command::new(DEBIAN_CARGO);
    command.env("RUSTC", DEBIAN_RUSTC);
    for variable in [
        "LD_LIBRARY_PATH",
        "RUSTUP_TOOLCHAIN",
        "RUSTC_WORKSPACE_WRAPPER",
    ] {
        command.env_remove(variable);
    }
    command
}

/// Builds the standard library from its packaged source and puts it where Debian's compiler looks.
fn build_debian_std(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target.join("wasm-std");
    fs::create_dir_all(&folder)?;
    let manifest = "[package]\nname = \"stub\"\nedition = \"2021\"\n\n[lib]\npath = \"lib.rs\"\n\n[workspace]\n";
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::write(folder.join("lib.rs"), "")?;
    let mut command = debian_cargo();
    command
        .current_dir(&folder)
        .args(["build", "--release", "--target", TARGET])
        .arg("-Zbuild-std=std,panic_abort,panic_unwind")
        .args(["--target-dir", "target"])
        // A stable compiler needs this to build its own standard library, which is what the switch is meant for.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_DEFAULT_LIB_METADATA", "wasmstd")
        // By default, cargo omits the bitcode that link-time optimization needs.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes");
    show_cargo_progress(&mut command);
    let title = "building the WASM standard library, once";
    Step::new(workspace, title, command).run()?;

    let built = folder.join("target").join(TARGET).join("release/deps");
    let libraries = std_libraries(&built)?;
    let privilege = Privilege::of_this_process()
        .with_context(|| format!("no permission to write to {DEBIAN_TARGET_FOLDER}"))?;
    // Libraries of an older compiler beside the new ones would be ambiguous.
    let mut clear = privilege.command("rm");
    clear.args(["-rf", DEBIAN_TARGET_FOLDER]);
    Step::new(workspace, "removing older WASM libraries", clear).run()?;
    let mut install = privilege.command("install");
    install.args(["-D", "-m", "644", "-t", DEBIAN_TARGET_FOLDER]);
    install.args(libraries);
    Step::new(workspace, "installing the WASM libraries", install).run()?;
    fs::remove_dir_all(&folder)?;
    // Cargo identifies compilers by their version, and would not notice that the libraries have changed.
    let stale = workspace.wasm_target();
    if stale.exists() {
        fs::remove_dir_all(&stale).with_context(|| format!("emptying {}", stale.display()))?;
    }
    Ok(())
}

/// The libraries of a build, except the stub that caused it.
fn std_libraries(built: &Path) -> Result<Vec<PathBuf>> {
    let mut libraries = Vec::new();
    for entry in fs::read_dir(built).with_context(|| format!("reading {}", built.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".rlib") && !name.starts_with("libstub-") {
            libraries.push(path);
        }
    }
    ensure!(
        !libraries.is_empty(),
        "the build of the standard library left no libraries in {}",
        built.display()
    );
    Ok(libraries)
}
