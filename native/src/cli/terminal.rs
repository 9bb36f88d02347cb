//! What a terminal can show.

use std::io::IsTerminal;

/// Whether the terminal can only show lines, according to its name. On Windows, it has no name.
pub(super) fn is_dumb() -> bool {
    cfg!(unix) && std::env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb")
}

/// Whether output to `stream` may be coloured: on a terminal that supports it, unless `NO_COLOR` is set (no-color.org).
/// A file or a log collector would keep the escape sequences.
pub(super) fn has_colors(stream: &impl IsTerminal) -> bool {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|text| !text.is_empty());
    stream.is_terminal() && !is_dumb() && !is_unwanted && obeys_sequences()
}

/// Whether the terminal interprets escape sequences.
#[cfg(not(windows))]
const fn obeys_sequences() -> bool {
    true
}

/// A Windows console does once that is enabled; old ones never do.
#[cfg(windows)]
fn obeys_sequences() -> bool {
    ratatui::crossterm::ansi_support::supports_ansi()
}
