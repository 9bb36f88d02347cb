//! Tests the npm package as its users get it: packs it, installs it in an empty project, type-checks and runs it in
//! Node, and bundles it for a browser.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::counts::Counts;
use crate::child::Step;
use crate::npm;
use crate::workspace::Workspace;

const CONSUMER: &str = include_str!("consumer.test.mts");
const MANIFEST: &str = "{ \"name\": \"consumer\", \"private\": true, \"type\": \"module\" }\n";

/// Packs and uses the package that `npm run build` has made.
pub(super) fn check(workspace: &Workspace) -> Result<Counts> {
    let folder = workspace.target.join("package-test");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("emptying {}", folder.display()))?;
    }
    let consumer = folder.join("consumer");
    fs::create_dir_all(&consumer)?;
    let archive = pack(workspace, &folder)?;
    fs::write(consumer.join("package.json"), MANIFEST)?;
    fs::write(consumer.join("consumer.test.mts"), CONSUMER)?;

    let mut install = npm::command(&consumer);
    install.args(["install", "--offline", "--no-audit", "--no-fund"]);
    install.arg(&archive);
    Step::new(workspace, "installing the packed package", install).run()?;
    compile(workspace, &consumer)?;
    bundle(workspace, &consumer)?;

    let mut test = Command::new("node");
    test.args(["--test", "consumer.test.mjs"])
        .current_dir(&consumer);
    let log = Step::new(workspace, "using the package in Node", test).run()?;
    Ok(Counts::in_output(&log.text))
}

fn pack(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let mut command = npm::command(&workspace.package());
    command
        .args(["pack", "--ignore-scripts", "--pack-destination"])
        .arg(folder);
    Step::new(workspace, "npm pack", command).run()?;
    let archives: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    let archive = archives
        .into_iter()
        .find(|path| path.extension().is_some_and(|kind| kind == "tgz"));
    archive.context("npm pack left no archive")
}

/// Checks the package's types with a strict compiler that doesn't see its sources.
fn compile(workspace: &Workspace, consumer: &Path) -> Result<()> {
    let mut command = npm::tool(workspace, "tsc")?;
    command.current_dir(consumer);
    command.args(["--strict", "--module", "nodenext", "--target", "es2022"]);
    command.args([
        "--lib",
        "es2023,dom,dom.iterable,esnext.disposable",
        "--types",
        "node",
    ]);
    command.arg("--typeRoots");
    command.arg(workspace.package().join("node_modules/@types"));
    command.arg("consumer.test.mts");
    Step::new(workspace, "compiling against the package's types", command).run()?;
    Ok(())
}

/// Bundles the package for a browser, which must not need anything of Node.
fn bundle(workspace: &Workspace, consumer: &Path) -> Result<()> {
    let entry =
        "import { connect, createHub } from 'tidegate';\nconsole.log(connect, createHub);\n";
    fs::write(consumer.join("page.js"), entry)?;
    let mut command = npm::tool(workspace, "esbuild")?;
    command.current_dir(consumer);
    command.args([
        "page.js",
        "--bundle",
        "--minify",
        "--format=esm",
        "--platform=browser",
    ]);
    command.arg("--outfile=page.bundle.js");
    Step::new(workspace, "bundling the package for browsers", command).run()?;
    let bundle = fs::read_to_string(consumer.join("page.bundle.js"))?;
    ensure!(
        !bundle.contains("from\"node:") && !bundle.contains("require(\"node:"),
        "the bundle for browsers imports a module of Node's"
    );
    Ok(())
}
