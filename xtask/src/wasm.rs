//! `cargo xtask wasm`: from the Rust crate to the built npm package.
//!
//! compiler → `tidegate_wasm.wasm` → bindings (JavaScript, types) → wasm-opt → check → `npm run build`.
//! The compiler decides by itself what is stale; the later steps are skipped while what they were
//! made from is unchanged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::child::Step;
use crate::npm;
use crate::progress::note;
use crate::stamp::{Fingerprint, Stamp};
use crate::toolchain::{TARGET, Toolchain};
use crate::workspace::Workspace;

/// The name that the module and its bindings have in the package.
const NAME: &str = "tidegate";
/// What every browser since 2023 and Node 20 can run. Naming them keeps the optimizer from using
/// more: with all features on it writes modules that Node 20 rejects.
const OPTIMIZER_OPTIONS: [&str; 9] = [
    "-Oz",
    "--converge",
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
    "--strip-producers",
];
const CHECK_PROGRAM: &str = include_str!("check_module.mjs");

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Makes the bindings and the package anew even if nothing seems to have changed
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    build(workspace, arguments.force)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the module and the package, or finds them up to date.
pub(crate) fn build(workspace: &Workspace, force: bool) -> Result<()> {
    npm::install(workspace)?;
    let toolchain = Toolchain::find_or_bring(workspace)?;
    let module = compile(workspace, &toolchain)?;
    let generator = build_generator(workspace)?;
    make_bindings(workspace, &module, &generator, force)?;
    build_package(workspace, force)
}

/// Where the bindings and the module go, for the package to import.
fn bindings_folder(workspace: &Workspace) -> PathBuf {
    workspace.package().join("dist/wasm")
}

fn compile(workspace: &Workspace, toolchain: &Toolchain) -> Result<PathBuf> {
    let target = workspace.wasm_target();
    let mut command = toolchain.cargo(workspace);
    command
        .args(["build", "--package", "tidegate-wasm", "--profile", "wasm"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&target);
    let title = format!("compiling tidegate-wasm with {}", toolchain.describe());
    Step::new(workspace, &title, command).run()?;
    let module = target.join(TARGET).join("wasm/tidegate_wasm.wasm");
    ensure!(
        module.is_file(),
        "the build left no {}: is tidegate-wasm still a cdylib of that name?",
        module.display()
    );
    Ok(module)
}

fn build_generator(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = workspace.cargo(["build", "--package", "xtask", "--features", "bindings"]);
    command.args(["--bin", "xtask-bindings"]);
    Step::new(workspace, "compiling the generator of bindings", command).run()?;
    Ok(workspace.product("debug", "xtask-bindings"))
}

fn make_bindings(
    workspace: &Workspace,
    module: &Path,
    generator: &Path,
    force: bool,
) -> Result<()> {
    let folder = bindings_folder(workspace);
    let stamp = Stamp::of(workspace, "bindings");
    let inputs = Fingerprint::default()
        .value(CHECK_PROGRAM)
        .value(&OPTIMIZER_OPTIONS.join(" "))
        .tree(module, &[])?
        .tree(generator, &[])?
        .tree(&workspace.package().join("package-lock.json"), &[])?;
    if !force && stamp.holds(&inputs, &Fingerprint::default().tree(&folder, &[])?) {
        note("bindings are up to date");
        return Ok(());
    }
    let raw = workspace.target.join("wasm-bindings");
    empty_folder(&raw)?;
    let mut command = Command::new(generator);
    command.arg(module).arg(&raw).arg(NAME);
    Step::new(workspace, "writing the bindings", command).run()?;

    optimize(workspace, &raw)?;
    check(workspace, &raw)?;
    empty_folder(&folder)?;
    for entry in fs::read_dir(&raw)? {
        let entry = entry?;
        fs::copy(entry.path(), folder.join(entry.file_name()))
            .with_context(|| format!("copying {} to pkg/dist/wasm", entry.path().display()))?;
    }
    stamp.set(&inputs, &Fingerprint::default().tree(&folder, &[])?)
}

fn optimize(workspace: &Workspace, folder: &Path) -> Result<()> {
    let module = folder.join(format!("{NAME}_bg.wasm"));
    let mut command = npm::tool(workspace, "wasm-opt")?;
    command
        .args(OPTIMIZER_OPTIONS)
        .arg(&module)
        .arg("-o")
        .arg(&module);
    Step::new(workspace, "optimizing the module for size", command).run()?;
    Ok(())
}

/// Lets Node validate the module, look at its imports and weigh it.
fn check(workspace: &Workspace, folder: &Path) -> Result<()> {
    let mut command = Command::new("node");
    command.args(["--input-type=module", "--eval", CHECK_PROGRAM, "--"]);
    command.arg(folder.join(format!("{NAME}_bg.wasm")));
    command.arg(folder.join(format!("{NAME}.js")));
    let log = Step::new(workspace, "checking the module", command).run()?;
    for line in log.text.lines() {
        note(line);
    }
    Ok(())
}

fn build_package(workspace: &Workspace, force: bool) -> Result<()> {
    let package = workspace.package();
    let stamp = Stamp::of(workspace, "package");
    let inputs = Fingerprint::default()
        .tree(&package, &["node_modules", "dist"])?
        .tree(&bindings_folder(workspace), &[])?;
    let outputs = || Fingerprint::default().tree(&package.join("dist"), &[]);
    if !force && stamp.holds(&inputs, &outputs()?) {
        note("the npm package is up to date");
        return Ok(());
    }
    npm::run_script(workspace, "build", &[])?;
    let module = bindings_folder(workspace).join(format!("{NAME}_bg.wasm"));
    ensure!(
        module.is_file(),
        "`npm run build` removed {}: it must leave dist/wasm as it finds it",
        module.display()
    );
    stamp.set(&inputs, &outputs()?)
}

fn empty_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("emptying {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))
}
