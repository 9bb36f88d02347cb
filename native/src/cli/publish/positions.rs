//! Prints the positions of publications, for programs.

use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;
use serde_json::json;
use tidegate::core::publication::Position;

/// Prints positions, if requested. If standard output is closed, publishing goes on, because a reader that wants no more positions has not
/// asked to publish less.
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
            // A reader that has had enough, such as `head`, is not a failure.
            self.failure = Some(error).filter(|error| error.kind() != ErrorKind::BrokenPipe);
        }
    }

    /// # Errors
    /// Why positions that were still wanted are missing.
    pub(super) fn end(self) -> anyhow::Result<()> {
        match self.failure {
            Some(error) => Err(error).context("standard output"),
            None => Ok(()),
        }
    }
}
