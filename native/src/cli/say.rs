//! Messages to people, on standard error.

use std::fmt::Display;
use std::io::Write as _;

use super::text::clean;

/// Prints a message, each line of it with the name of the program. Failures are ignored, because standard error may be a pipe without a
/// reader, or on a full disk, and the program must go on. Control characters in texts of others never reach the terminal.
pub(super) fn say(what: impl Display) {
    let told: String = what
        .to_string()
        .lines()
        .map(|line| format!("tidegate: {}\n", clean(line)))
        .collect();
    // Nobody can be told.
    let _ = std::io::stderr().write_all(told.as_bytes());
}
