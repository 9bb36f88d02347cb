//! What the program tells people, on standard error.

use std::fmt::Display;
use std::io::Write as _;

use super::text::clean;

/// Says something, in a line of its own that names the program; what stands there in several lines has each of them named.
/// Where nobody listens any more, what the program does goes on: standard error may be a pipe without a reader, or a full
/// disk. What others have said reaches no terminal as a command.
pub(super) fn say(what: impl Display) {
    let told: String = what
        .to_string()
        .lines()
        .map(|line| format!("tidegate: {}\n", clean(line)))
        .collect();
    // There is nobody to tell.
    let _ = std::io::stderr().write_all(told.as_bytes());
}
