//! A block of lines at the bottom of a terminal that is redrawn again and again, and the lines that scroll away above
//! it.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::bars::Style;
use crate::cli::text;

/// A line of pieces, each with its own style.
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

    /// Adds a clean text.
    pub(super) fn push(&mut self, text: &str) {
        self.pieces.push((None, text.to_owned()));
    }

    /// Adds a clean text after a space, unless it is blank.
    pub(super) fn push_word(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.push("  ");
            self.push(text);
        }
    }

    pub(super) fn push_in(&mut self, style: Style, text: &str) {
        self.pieces.push((Some(style), text.to_owned()));
    }

    /// Cuts the line to `columns`.
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

/// The bottom of a terminal.
#[derive(Debug)]
pub(super) struct Screen<W> {
    out: W,
    /// The widths of the lines that are drawn there.
    drawn: Vec<usize>,
}

impl<W: Write> Screen<W> {
    pub(super) const fn new(out: W) -> Self {
        Self {
            out,
            drawn: Vec::new(),
        }
    }

    /// Prints `above` permanently above the block, and redraws the block as `block`.
    pub(super) fn draw(
        &mut self,
        above: &[Line],
        block: &[Line],
        columns: usize,
    ) -> io::Result<()> {
        let mut text = String::new();
        // A terminal that has become narrower has wrapped the lines that were too long for it.
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
