//! The instructions that core paths execute, compared with the accepted figures: `core/benches/instructions`.

use std::process::Command;

use anyhow::{Context, Result};

use crate::apt;
use crate::workspace::{Workspace, find_program};

/// The program that counts, which is also the name of its Debian package.
const VALGRIND: &str = "valgrind";

/// The command that counts and compares; with `is_accepting` it writes the figures down instead.
///
/// `None` on systems where valgrind doesn't run: the accepted figures are those of Linux anyway.
///
/// # Errors
/// If valgrind is missing and can't be installed; the error says what to do.
pub(crate) fn command(workspace: &Workspace, is_accepting: bool) -> Result<Option<Command>> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    if find_program(&[VALGRIND]).is_none() {
        apt::install(workspace, &[VALGRIND]).context(
            "instructions are counted by valgrind, which was not found; install it, or put it on the PATH",
        )?;
    }
    let mut command = workspace.cargo(["bench", "--package", "tidegate-core"]);
    command.args(["--profile", "instructions", "--bench", "instructions", "--"]);
    if is_accepting {
        command.arg("--accept");
    }
    // Incremental builds produce different code.
    command.env_remove("CARGO_INCREMENTAL");
    Ok(Some(command))
}
