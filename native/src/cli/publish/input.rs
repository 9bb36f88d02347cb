//! The lines of standard input.

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};

/// The lines of standard input that aren't blank.
pub(super) struct Input {
    lines: Lines<BufReader<Stdin>>,
    number: u64,
    /// Whether the last line has to be known. If so, each line is held until the next one or the end has been read.
    tells_last: bool,
    held: Option<InputLine>,
    /// Why no more can be read. Reported once the held line was taken.
    failure: Option<anyhow::Error>,
}

/// A line, and its number.
pub(super) struct InputLine {
    pub(super) number: u64,
    pub(super) text: String,
    /// Whether it is the last line; known only if requested.
    pub(super) is_last: bool,
}

impl Input {
    pub(super) fn new(tells_last: bool) -> Self {
        Self {
            lines: BufReader::new(tokio::io::stdin()).lines(),
            number: 0,
            tells_last,
            held: None,
            failure: None,
        }
    }

    /// The next line. Cancel-safe.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<InputLine>> {
        while self.failure.is_none() {
            let text = match self.lines.next_line().await {
                Ok(Some(text)) => text,
                Ok(None) => break,
                Err(error) => {
                    let place = format!("standard input, line {}", self.number + 1);
                    self.failure = Some(anyhow::Error::from(error).context(place));
                    break;
                }
            };
            self.number += 1;
            if text.trim().is_empty() {
                continue;
            }
            let line = InputLine {
                number: self.number,
                text,
                is_last: false,
            };
            if !self.tells_last {
                return Ok(Some(line));
            }
            if let Some(previous) = self.held.replace(line) {
                return Ok(Some(previous));
            }
        }
        // The line before one that can't be read is not the last.
        let is_last = self.failure.is_none();
        match (self.held.take(), self.failure.take()) {
            (Some(line), failure) => {
                self.failure = failure;
                Ok(Some(InputLine { is_last, ..line }))
            }
            (None, Some(failure)) => Err(failure),
            (None, None) => Ok(None),
        }
    }
}
