//! A block of lines at the foot of a terminal that is drawn again and again, and what scrolls away above it.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::bars::Style;
use crate::cli::text;

/// A line in pieces, each of which has its look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pieces: Vec<(Option<Style>, String)>,
    has_colors: bool,
}

impl Line {
    pub(super) const fn new(has_colors: bool) -> Self {
        Self {
            pieces: Vec::new(),
            has_colors,
        }
    }

    /// Adds a text that is clean.
    pub(super) fn push(&mut self, text: &str) {
        self.pieces.push((None, text.to_owned()));
    }

    /// The same, after a space and if there is any.
    pub(super) fn push_word(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.push("  ");
            self.push(text);
        }
    }

    pub(super) fn push_in(&mut self, style: Style, text: &str) {
        self.pieces.push((Some(style), text.to_owned()));
    }

    /// Leaves what takes no more than `columns`.
    pub(super) fn cut(&mut self, columns: usize) {
        let mut left = columns;
        for (_, piece) in &mut self.pieces {
            *piece = text::cut(piece, left);
            left -= text::width(piece).min(left);
        }
    }

    pub(super) fn width(&self) -> usize {
        let pieces = self.pieces.iter();
        pieces.map(|(_, piece)| text::width(piece)).sum()
    }

    fn write(&self, into: &mut String) {
        for (style, piece) in &self.pieces {
            // Writing to a text can't fail.
            let _ = match style.filter(|_| self.has_colors && !piece.is_empty()) {
                Some(style) => write!(into, "\x1b[{}m{piece}\x1b[0m", style.code()),
                None => write!(into, "{piece}"),
            };
        }
        into.truncate(into.trim_end_matches(' ').len());
        into.push('\n');
    }
}

/// The foot of a terminal.
#[derive(Debug)]
pub(super) struct Screen<W> {
    out: W,
    /// The widths of the lines that stand there.
    drawn: Vec<usize>,
}

impl<W: Write> Screen<W> {
    pub(super) const fn new(out: W) -> Self {
        Self {
            out,
            drawn: Vec::new(),
        }
    }

    /// Puts `above` on top of the block for good, and `block` in its place.
    pub(super) fn draw(
        &mut self,
        above: &[Line],
        block: &[Line],
        columns: usize,
    ) -> io::Result<()> {
        let mut text = String::new();
        // A terminal that has become narrower has broken the lines that were too long for it.
        let rows = |width: &usize| width.div_ceil(columns.max(1)).max(1);
        let rows: usize = self.drawn.iter().map(rows).sum();
        if rows > 0 {
            // Writing to a text can't fail.
            let _ = write!(text, "\x1b[{rows}A\r\x1b[J");
        }
        for line in above.iter().chain(block) {
            line.write(&mut text);
        }
        self.drawn = block.iter().map(Line::width).collect();
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}
