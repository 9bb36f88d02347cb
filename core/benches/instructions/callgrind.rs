//! Executes a case below callgrind.

use std::process::Command;

use crate::COUNT;

/// What one operation of a case costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Counted {
    pub(crate) instructions: f64,
    pub(crate) allocations: f64,
}

/// Executes the case `name` and counts.
///
/// # Errors
/// When valgrind can't be started, or doesn't say what is expected of it.
pub(crate) fn count(name: &str) -> Result<Counted, String> {
    let program = std::env::current_exe().map_err(|error| format!("where is this? {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={}", crate::cases::COUNTED))
        .arg(&program)
        .args([COUNT, name])
        .output()
        .map_err(|error| {
            format!("cannot start valgrind ({error}); install it: apt-get install valgrind")
        })?;
    let said = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    let number = |text: &str, label: &str| -> Option<f64> {
        let rest = text.lines().find_map(|line| line.split_once(label))?.1;
        rest.trim().parse().ok()
    };
    let counted = || {
        let operations = number(&said, "operations:")?;
        Some(Counted {
            instructions: number(&told, "Collected :")? / operations,
            allocations: number(&said, "allocations:")? / operations,
        })
    };
    counted()
        .filter(|counted| counted.instructions > 0.0)
        .ok_or_else(|| format!("{name} was not counted; valgrind said:\n{told}{said}"))
}
