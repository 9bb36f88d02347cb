//! Progress as commands print it: bytes in, the latest reading and the latest line out.
//!
//! [`ProgressReader`] takes a command's output in pieces of any size and keeps two things: what the
//! newest line with a progress figure said, and the newest line that isn't blank. It does no IO and
//! its state depends on the bytes alone, never on how they were cut into pieces.
//!
//! # What counts as progress
//!
//! In a line, the first of these that it contains:
//!
//! 1. a percentage (`37%`, ` 37.5 %`), joined by a count in the same line that agrees with it;
//! 2. a count that is set off as such: in brackets (`[3/10]`, `(12 of 340)`), after a word like
//!    `Step` or `Epoch`, or after a drawn bar;
//! 3. any other count (`12/340`, `12 of 340`, `1.2/3.4 MB`).
//!
//! Dates, paths, versions, network masks and counts that make no sense (a total of `0`, more done than there is) are
//! not progress. A plain count of the third kind doesn't replace a reading of the first two below 100 %: a stray `3/4`
//! in a log must not set a real bar back.
//!
//! Apart from that, the newest reading wins, even if it is lower: if a command's first step ends at `100%` and its
//! second begins at `0%`, that is what is shown. Readings are not smoothed or forced to grow.

mod parse;
mod quantity;
mod screen;

#[cfg(test)]
mod tests;

use parse::{Found, Strength};
use screen::Screen;

/// The longest message taken from a line, in characters.
pub const MESSAGE_CHARS_MAX: usize = 240;

/// As many bytes as the longest message can take; no more is kept of a line.
const MESSAGE_BYTES_MAX: usize = 4 * MESSAGE_CHARS_MAX + 4;

/// What a line of output said about progress.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The part that is done, from 0 to 1.
    pub fraction: f64,
    /// How much is done, in the command's own unit (bytes where it named a unit of bytes).
    pub done: Option<u64>,
    /// How much there is in all, in the same unit.
    pub total: Option<u64>,
}

/// Reads progress from a command's output; see the [module](self).
///
/// Memory is bounded, whatever the command prints: only the first 4 KiB of a line are read.
#[derive(Debug, Default)]
pub struct ProgressReader {
    screen: Screen,
    /// The reading from lines that have ended.
    settled: Option<Found>,
    /// The reading that also takes the unfinished line into account.
    current: Option<Found>,
    /// The start of the last ended line that isn't blank.
    last_line: Vec<u8>,
}

impl ProgressReader {
    /// A reader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of output. Returns the reading in force after them if it differs from
    /// the one before.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Reading> {
        let before = self.reading();
        let Self {
            screen,
            settled,
            last_line,
            ..
        } = self;
        screen.push(bytes, |line| settle(line, settled, last_line));
        self.current = Found::newer(self.settled, parse::line(self.screen.line(), false));
        self.reading().filter(|now| before != Some(*now))
    }

    /// Ends the output, so that the unfinished line is complete. Returns the same as [`push`](Self::push).
    pub fn finish(&mut self) -> Option<Reading> {
        self.push(b"\n")
    }

    /// The reading in force, if there was any so far.
    #[must_use]
    pub fn reading(&self) -> Option<Reading> {
        self.current.map(|found| found.reading)
    }

    /// The newest line that isn't blank, without escape sequences and control characters, cut to
    /// [`MESSAGE_CHARS_MAX`]. The unfinished line counts: bars and prompts often never end theirs.
    #[must_use]
    pub fn last_line(&self) -> Option<String> {
        let unfinished = self.screen.line();
        let line = if is_blank(unfinished) {
            self.last_line.as_slice()
        } else {
            unfinished
        };
        Some(message(line)).filter(|line| !line.is_empty())
    }
}

/// Takes a line that has ended into account.
fn settle(line: &[u8], settled: &mut Option<Found>, last_line: &mut Vec<u8>) {
    if is_blank(line) {
        return;
    }
    *settled = Found::newer(*settled, parse::line(line, true));
    let line = line.trim_ascii_start();
    last_line.clear();
    last_line.extend_from_slice(&line[..line.len().min(MESSAGE_BYTES_MAX)]);
}

impl Found {
    /// The reading in force when `newer` comes after `older`.
    fn newer(older: Option<Self>, newer: Option<Self>) -> Option<Self> {
        match (older, newer) {
            (Some(old), Some(new))
                if old.strength == Strength::Strong
                    && new.strength == Strength::Weak
                    && old.reading.fraction < 1.0
                    && old.reading.total != new.reading.total =>
            {
                Some(old)
            }
            (old, new) => new.or(old),
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// The line as readable text, cut to [`MESSAGE_CHARS_MAX`].
fn message(line: &[u8]) -> String {
    let line = line.trim_ascii();
    let line = &line[..line.len().min(MESSAGE_BYTES_MAX)];
    // Leave out a character whose last bytes have not arrived yet, or were cut off.
    let line = match std::str::from_utf8(line) {
        Err(error) if error.error_len().is_none() => &line[..error.valid_up_to()],
        _ => line,
    };
    let text = String::from_utf8_lossy(line);
    let mut chars = text.chars().filter(|char| !char.is_control());
    let mut message: String = chars.by_ref().take(MESSAGE_CHARS_MAX - 1).collect();
    match (chars.next(), chars.next()) {
        (None, _) => {}
        (Some(last), None) => message.push(last),
        (Some(_), Some(_)) => message.push('…'),
    }
    message
}
