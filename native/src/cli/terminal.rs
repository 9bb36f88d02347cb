//! What a terminal can show.

use std::io::IsTerminal;

/// Whether a terminal can do no more than show lines, as its name says. Windows names none.
pub(super) fn is_dumb() -> bool {
    cfg!(unix) && std::env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb")
}

/// Whether what goes to `stream` may be coloured: on a terminal that can do so, and not where `NO_COLOR` says something
/// (no-color.org). A file or a collector of logs would keep the escape sequences.
pub(super) fn has_colors(stream: &impl IsTerminal) -> bool {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|text| !text.is_empty());
    stream.is_terminal() && !is_dumb() && !is_unwanted && obeys_sequences()
}

/// Whether the terminal takes escape sequences for what they mean.
#[cfg(not(windows))]
const fn obeys_sequences() -> bool {
    true
}

/// A console of Windows does once it is told to, and old ones never do.
#[cfg(windows)]
fn obeys_sequences() -> bool {
    ratatui::crossterm::ansi_support::supports_ansi()
}
