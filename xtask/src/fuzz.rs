//! `cargo xtask fuzz`: lets libFuzzer search for inputs that break something, and keeps them.
//!
//! Every stable compiler can insert the coverage counters that libFuzzer reads, so only a C++ compiler has to be
//! installed.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::child::Step;
use crate::progress::note;
use crate::workspace::Workspace;

/// Flags that make the compiler instrument edges and comparisons.
const COUNTERS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                        -Cllvm-args=-sanitizer-coverage-pc-table \
                        -Cllvm-args=-sanitizer-coverage-trace-compares \
                        -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";

/// The longest input that is tried, in bytes.
const BYTES_MAX: u32 = 1_000;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The target; each in turn, if absent
    target: Option<String>,
    /// The time for each target, in minutes
    #[arg(long, default_value_t = 1)]
    minutes: u64,
}

/// New inputs are added to the corpus. One that breaks something is an error that names its file, which is then to be
/// added, too.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    let home = workspace.root.join("tests/fuzz");
    let known = targets(&home.join("corpus"))?;
    let chosen = match &arguments.target {
        Some(target) if known.contains(target) => vec![target.clone()],
        Some(target) => bail!(
            "there is no target {target:?}; there are {}",
            known.join(", ")
        ),
        None => known,
    };
    let program = build(workspace)?;
    let mut all_well = true;
    for target in chosen {
        let corpus = home.join("corpus").join(&target);
        let found = workspace.logs().join(format!("fuzz-{target}-"));
        note(&format!(
            "{target}: {} min; new inputs go to {}",
            arguments.minutes,
            corpus.display()
        ));
        let status = std::process::Command::new(&program)
            .env("TIDEGATE_FUZZ_TARGET", &target)
            .arg(&corpus)
            .arg(format!("-max_total_time={}", arguments.minutes * 60))
            .arg(format!("-max_len={BYTES_MAX}"))
            .arg(format!("-artifact_prefix={}", found.display()))
            .args(["-timeout=10", "-print_final_stats=1", "-reduce_inputs=1"])
            .status()
            .context("cannot start the fuzzer")?;
        if !status.success() {
            eprintln!(
                "\n{target} broke on the input that is named above. Mend it, and keep the input: mv it into {}",
                corpus.display()
            );
            all_well = false;
        }
    }
    Ok(if all_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The targets: each has a folder in the corpus.
fn targets(corpus: &std::path::Path) -> Result<Vec<String>> {
    let folders = fs::read_dir(corpus).with_context(|| format!("reading {}", corpus.display()))?;
    let mut names = Vec::new();
    for folder in folders {
        names.push(folder?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    let host = host()?;
    let folder = workspace.fuzz_target();
    let manifest = workspace.root.join("tests/fuzz/libfuzzer/Cargo.toml");
    let mut command = workspace.cargo(["build", "--release"]);
    command.arg("--manifest-path").arg(manifest);
    // With an explicit target, cargo doesn't instrument build scripts.
    command.args(["--target", &host, "--target-dir"]);
    command.arg(&folder).env("RUSTFLAGS", COUNTERS);
    Step::new(workspace, "compiling with counters", command).run()?;
    Ok(folder.join(host).join("release/tidegate-libfuzzer"))
}

/// The compiler's default target.
fn host() -> Result<String> {
    let told = crate::workspace::output_of("rustc", &["-vV"]).context("rustc -vV says nothing")?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}
