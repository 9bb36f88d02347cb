//! The positions of what was published, printed for programs.

use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;
use serde_json::json;
use tidegate::core::publication::Position;

/// Prints positions, if that was asked for. Whatever becomes of standard output, publishing goes on: whoever wants no more
/// of the positions did not say that he wants no more publications.
pub(super) struct Positions {
    is_open: bool,
    failure: Option<io::Error>,
}

impl Positions {
    pub(super) const fn new(are_wanted: bool) -> Self {
        Self {
            is_open: are_wanted,
            failure: None,
        }
    }

    pub(super) fn print(&mut self, topic: &str, position: Position) {
        if !self.is_open {
            return;
        }
        let Position { epoch, offset } = position;
        let line = json!({"topic": topic, "epoch": epoch, "offset": offset});
        if let Err(error) = writeln!(io::stdout(), "{line}") {
            self.is_open = false;
            // A reader that has had enough, as `head` has, is no failure.
            self.failure = Some(error).filter(|error| error.kind() != ErrorKind::BrokenPipe);
        }
    }

    /// # Errors
    /// Why positions are missing that somebody still wanted.
    pub(super) fn end(self) -> anyhow::Result<()> {
        match self.failure {
            Some(error) => Err(error).context("standard output"),
            None => Ok(()),
        }
    }
}
