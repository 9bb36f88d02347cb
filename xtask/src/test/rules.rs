//! The crates that each crate of the project must not depend on, not even indirectly.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::child::Step;
use crate::workspace::Workspace;

/// A crate, and the dependencies that it must not have.
struct Rule {
    package: &'static str,
    /// The platform whose dependencies are checked, as `cargo tree --target` names it.
    target: &'static str,
    forbidden: &'static [&'static str],
}

const RULES: [Rule; 3] = [
    // The core does no IO, parses no payloads, knows no host, and gets time and randomness passed in.
    Rule {
        package: "tidegate-core",
        target: "all",
        forbidden: &[
            "bytes",
            "chrono",
            "futures",
            "getrandom",
            "js-sys",
            "libc",
            "log",
            "mio",
            "rand",
            "serde_json",
            "tidegate",
            "tidegate-wasm",
            "time",
            "tokio",
            "tracing",
            "wasm-bindgen",
            "web-sys",
        ],
    },
    // The two hosts share the core and nothing else.
    Rule {
        package: "tidegate",
        target: "x86_64-unknown-linux-gnu",
        forbidden: &["tidegate-wasm", "wasm-bindgen", "js-sys"],
    },
    Rule {
        package: "tidegate-wasm",
        target: "wasm32-unknown-unknown",
        forbidden: &["tidegate", "tokio", "axum", "mio", "serde_json"],
    },
];

/// Checks the dependencies of each crate with a rule.
pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let mut broken = Vec::new();
    for rule in &RULES {
        let mut command = workspace.cargo(["tree", "--package", rule.package]);
        command.args(["--edges", "normal", "--prefix", "none", "--format", "{p}"]);
        command.args(["--target", rule.target]);
        let title = format!("dependencies of {}", rule.package);
        let log = Step::new(workspace, &title, command).run()?;
        for found in found(rule, &log.text) {
            broken.push(format!("{} depends on {found}", rule.package));
        }
    }
    if !broken.is_empty() {
        bail!(
            "{}. `cargo tree --package CRATE --invert DEPENDENCY` shows by which way; \
             docs/ARCHITECTURE.md says why it must not",
            broken.join("; ")
        );
    }
    Ok(())
}

/// The forbidden crates in the output of `cargo tree`, whose lines are `name v1.2.3 …`.
fn found(rule: &Rule, tree: &str) -> BTreeSet<String> {
    let names = tree.lines().filter_map(|line| {
        let (name, rest) = line.trim().split_once(' ')?;
        rest.starts_with('v').then_some(name)
    });
    names
        .filter(|name| *name != rule.package && rule.forbidden.contains(name))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_crate_is_found_however_deep() {
        let tree = "tidegate-core v0.1.0 (/src/core)\nserde v1.0.0\ntokio v1.2.3 (*)\n";
        assert_eq!(found(&RULES[0], tree), BTreeSet::from(["tokio".to_owned()]));
    }

    #[test]
    fn names_that_only_begin_alike_are_allowed() {
        let tree = "tidegate v0.1.0 (/src/native)\ntokio v1.2.3\nwasm-bindgen-shared v0.2.0\n";
        assert!(found(&RULES[1], tree).is_empty());
    }
}
