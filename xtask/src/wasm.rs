//! `cargo xtask wasm`: from the Rust crate to the built npm package.
//!
//! compiler → `tidegate_wasm.wasm` → wasm-opt → order → check, once for each module of the package → `npm run build`.
//! The compiler decides itself what is stale; the later steps are skipped while their inputs are unchanged.

use std::fs;
use std::mem;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::child::{Running, Step};
use crate::npm;
use crate::order;
use crate::progress::note;
use crate::stamp::{Fingerprint, Stamp};
use crate::toolchain::{TARGET, Toolchain};
use crate::workspace::Workspace;

/// The modules of the package, with the crate features that each is built with: the smaller a module, the sooner a page
/// has it. The last one has everything, for applications that choose the core's file themselves.
const MODULES: [(&str, &str); 6] = [
    ("client", "client"),
    ("tabs", "tabs"),
    ("follower", "follower"),
    ("worker", "worker"),
    ("hub", "hub"),
    ("tidegate_bg", "tabs,hub"),
];
/// The WASM features that Node 20 and every browser since 2023 have. Listing them keeps the optimizer from using more:
/// with all features enabled, it writes modules that Node 20 rejects.
const FEATURE_OPTIONS: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];
/// The first kilobyte of the memory is unused, because it is the far end of the stack, and the memory is not imported,
/// so it starts out zeroed. A function with a single caller isn't inlined unless it is small: inlined, its locals get
/// other numbers, which compress worse.
const OPTIMIZER_OPTIONS: [&str; 9] = [
    "--low-memory-unused",
    "--zero-filled-memory",
    "-O1",
    "--flatten",
    "--rereloop",
    "-Oz",
    "-Oz",
    "--one-caller-inline-max-function-size",
    "0",
];
/// The optimizations that are applied when the sorted text is turned into a module again.
const WRITER_OPTIONS: [&str; 2] = ["--generate-stack-ir", "--optimize-stack-ir"];
const STRIP_OPTIONS: [&str; 3] = [
    "--strip-debug",
    "--strip-producers",
    "--strip-target-features",
];
const CHECK_PROGRAM: &str = include_str!("check_module.mjs");

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rebuilds the modules and the package even if nothing seems to have changed
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    build(workspace, arguments.force)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the modules and the package, unless they are up to date.
pub(crate) fn build(workspace: &Workspace, force: bool) -> Result<()> {
    npm::install(workspace)?;
    let toolchain = Toolchain::find_or_bring(workspace)?;
    // The compiler and the optimizer use one processor each, so the next module is compiled while one is optimized.
    let mut before = None;
    for (name, features) in MODULES {
        let compiled = compile(workspace, &toolchain, name, features)?;
        let next = Making::begin(workspace, &compiled, name, force)?;
        if let Some(making) = mem::replace(&mut before, next) {
            making.finish(workspace)?;
        }
    }
    if let Some(last) = before {
        last.finish(workspace)?;
    }
    remove_others(&modules_folder(workspace))?;
    build_package(workspace, force)
}

/// Removes leftovers of earlier versions beside the modules, which would be packed, too.
fn remove_others(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default();
        let is_module = MODULES.iter().any(|(name, _)| stem == *name);
        if !is_module || path.extension().is_none_or(|extension| extension != "wasm") {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// The folder from which the package loads the modules.
fn modules_folder(workspace: &Workspace) -> PathBuf {
    workspace.package().join("dist/wasm")
}

/// Compiles a module, which still contains function names.
fn compile(
    workspace: &Workspace,
    toolchain: &Toolchain,
    name: &str,
    features: &str,
) -> Result<PathBuf> {
    let target = workspace.wasm_target();
    let mut command = toolchain.cargo(workspace);
    command
        .args(["build", "--package", "tidegate-wasm", "--profile", "wasm"])
        .args(["--no-default-features", "--features", features])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&target);
    let title = format!("compiling {name}.wasm with {}", toolchain.describe());
    Step::new(workspace, &title, command).run()?;
    let module = target.join(TARGET).join("wasm/tidegate_wasm.wasm");
    let kept = target.join(format!("{name}.wasm"));
    fs::copy(&module, &kept).with_context(|| {
        format!(
            "the build left no {}: is tidegate-wasm still a cdylib of that name?",
            module.display()
        )
    })?;
    Ok(kept)
}

/// A module that is being optimized.
struct Making {
    name: &'static str,
    module: PathBuf,
    text: PathBuf,
    stamp: Stamp,
    inputs: Fingerprint,
    optimizing: Running,
}

impl Making {
    /// Starts optimizing a module; `None` if the result is up to date.
    fn begin(
        workspace: &Workspace,
        compiled: &Path,
        name: &'static str,
        force: bool,
    ) -> Result<Option<Self>> {
        let folder = modules_folder(workspace);
        let module = folder.join(format!("{name}.wasm"));
        let stamp = Stamp::of(workspace, name);
        let inputs = Fingerprint::default()
            .value(CHECK_PROGRAM)
            .value(include_str!("order.rs"))
            .value(&FEATURE_OPTIONS.join(" "))
            .value(&OPTIMIZER_OPTIONS.join(" "))
            .value(&WRITER_OPTIONS.join(" "))
            .value(&STRIP_OPTIONS.join(" "))
            .tree(compiled, &[])?
            .tree(&workspace.package().join("package-lock.json"), &[])?;
        if !force && module.is_file() && stamp.holds(&inputs, &fingerprint(&module)?) {
            note(&format!("{name}.wasm is up to date"));
            return Ok(None);
        }
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let text = compiled.with_extension("wat");
        let mut command = npm::tool(workspace, "wasm-opt")?;
        command
            .args(FEATURE_OPTIONS)
            .args(OPTIMIZER_OPTIONS)
            .args(STRIP_OPTIONS)
            .arg(compiled)
            .args(["--emit-text", "-o"])
            .arg(&text);
        let title = format!("optimizing {name}.wasm for size");
        Ok(Some(Self {
            name,
            module,
            text,
            stamp,
            inputs,
            optimizing: Step::new(workspace, &title, command).begin()?,
        }))
    }

    /// Sorts the module's functions so that they compress best: in its text form, which is easy to sort.
    fn finish(self, workspace: &Workspace) -> Result<()> {
        let Self {
            name,
            module,
            text,
            stamp,
            inputs,
            optimizing,
        } = self;
        optimizing.finish()?;
        let unordered =
            fs::read_to_string(&text).with_context(|| format!("reading {}", text.display()))?;
        fs::write(&text, order::functions(&unordered))?;
        let mut command = npm::tool(workspace, "wasm-opt")?;
        command
            .args(FEATURE_OPTIONS)
            .args(WRITER_OPTIONS)
            .arg(&text)
            .arg("-o")
            .arg(&module);
        let title = format!("writing {name}.wasm with like beside like");
        Step::new(workspace, &title, command).run()?;
        check(workspace, &module)?;
        stamp.set(&inputs, &fingerprint(&module)?)
    }
}

fn fingerprint(module: &Path) -> Result<Fingerprint> {
    Fingerprint::default().tree(module, &[])
}

/// Lets Node validate the module, check its imports and report its size.
fn check(workspace: &Workspace, module: &Path) -> Result<()> {
    let mut command = Command::new("node");
    command.args(["--input-type=module", "--eval", CHECK_PROGRAM, "--"]);
    command.arg(module);
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
        .tree(&modules_folder(workspace), &[])?;
    let outputs = || Fingerprint::default().tree(&package.join("dist"), &[]);
    if !force && stamp.holds(&inputs, &outputs()?) {
        note("the npm package is up to date");
        return Ok(());
    }
    npm::run_script(workspace, "build", &[])?;
    for (name, _) in MODULES {
        let module = modules_folder(workspace).join(format!("{name}.wasm"));
        ensure!(
            module.is_file(),
            "`npm run build` removed {}: it must leave dist/wasm as it finds it",
            module.display()
        );
    }
    stamp.set(&inputs, &outputs()?)
}
