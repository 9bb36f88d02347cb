//! Converts the bytes that a terminal would get to the lines of text that a person would have read.
//!
//! This is not a terminal emulator. It knows just enough to tell text from control sequences: escape sequences of any
//! kind are removed, and whatever moves the place of writing (a line feed, a carriage return, a jump of the cursor)
//! ends the line.

/// The longest line that is kept, in bytes; what follows on the same line is dropped.
const LINE_BYTES_MAX: usize = 4096;

/// The longest string sequence (an operating system command, for example) that is skipped, in bytes. Anything longer
/// was not one.
const STRING_BYTES_MAX: usize = 4096;

/// The most parameter bytes of a control sequence that are kept; those that matter here are short.
const PARAMETER_BYTES_MAX: usize = 16;

const ESCAPE: u8 = 0x1b;

/// Splits output into lines of plain text.
#[derive(Debug, Default)]
pub(super) struct Screen {
    line: Vec<u8>,
    state: State,
    parameters: Vec<u8>,
    /// Whether a full-screen program is drawing, whose output has no lines.
    alternate: bool,
}

/// The position of the next byte in an escape sequence.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte, as in `ESC ( B`.
    EscapeIntermediate,
    /// After `ESC [`.
    Control,
    /// In a string that ends with BEL or `ESC \`, such as a window title; with its length so far.
    String(usize),
    /// After an ESC in such a string.
    StringEscape,
}

impl Screen {
    /// The line that hasn't ended yet, without its escape sequences.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Takes the next bytes and calls `ended` with each line that they end.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut ended: impl FnMut(&[u8])) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let State::Text = self.state {
                let text = bytes
                    .iter()
                    .position(u8::is_ascii_control)
                    .unwrap_or(bytes.len());
                if text > 0 {
                    self.write(&bytes[..text]);
                    bytes = &bytes[text..];
                    continue;
                }
            }
            self.step(byte, &mut ended);
            bytes = rest;
        }
    }

    fn write(&mut self, text: &[u8]) {
        if !self.alternate {
            let room = LINE_BYTES_MAX - self.line.len();
            self.line.extend_from_slice(&text[..text.len().min(room)]);
        }
    }

    fn end_line(&mut self, ended: &mut impl FnMut(&[u8])) {
        if !self.line.is_empty() {
            ended(&self.line);
            self.line.clear();
        }
    }

    fn step(&mut self, byte: u8, ended: &mut impl FnMut(&[u8])) {
        self.state = match (self.state, byte) {
            (State::String(_), ESCAPE) => State::StringEscape,
            (State::StringEscape, b'\\') | (State::String(_), 0x07) => State::Text,
            (State::StringEscape, _) => {
                // Not the end of the string but a new sequence: the string was cut short.
                self.state = State::Escape;
                return self.step(byte, ended);
            }
            (State::String(length), _) if byte != b'\n' && length < STRING_BYTES_MAX => {
                State::String(length + 1)
            }
            (_, ESCAPE) => State::Escape,
            (State::Text | State::String(_), _) => self.text_control(byte, ended),
            // Control characters inside a sequence act at once; a line break cancels the sequence.
            (_, b'\n' | b'\r') => self.text_control(byte, ended),
            (state, 0x00..=0x1f | 0x7f) => state,
            (_, 0x80..) => {
                self.write(&[byte]);
                State::Text
            }
            (State::Escape, _) => self.escape(byte, ended),
            (State::EscapeIntermediate, 0x20..=0x2f) => State::EscapeIntermediate,
            (State::EscapeIntermediate, _) => State::Text,
            (State::Control, 0x20..=0x3f) => {
                if self.parameters.len() < PARAMETER_BYTES_MAX {
                    self.parameters.push(byte);
                }
                State::Control
            }
            (State::Control, _) => {
                self.control(byte, ended);
                State::Text
            }
        };
    }

    /// A byte outside of any sequence.
    fn text_control(&mut self, byte: u8, ended: &mut impl FnMut(&[u8])) -> State {
        match byte {
            b'\n' | b'\r' | 0x0b | 0x0c => self.end_line(ended),
            b'\t' => self.write(b" "),
            0x08 => self.back(1),
            0x00..=0x1f | 0x7f => {}
            _ => self.write(&[byte]),
        }
        State::Text
    }

    /// The byte after ESC.
    fn escape(&mut self, byte: u8, ended: &mut impl FnMut(&[u8])) -> State {
        match byte {
            b'[' => {
                self.parameters.clear();
                return State::Control;
            }
            b']' | b'P' | b'X' | b'^' | b'_' => return State::String(0),
            0x20..=0x2f => return State::EscapeIntermediate,
            b'D' | b'E' | b'M' | b'c' => self.end_line(ended),
            _ => {}
        }
        State::Text
    }

    /// The last byte of `ESC [ … `.
    fn control(&mut self, last: u8, ended: &mut impl FnMut(&[u8])) {
        match (last, self.parameters.as_slice()) {
            (b'A' | b'B' | b'E' | b'F' | b'G' | b'H' | b'J' | b'S' | b'T' | b'd' | b'f', _)
            | (b'K', b"2") => self.end_line(ended),
            (b'C', _) => self.write(b" "),
            (b'D', parameters) => {
                let columns = std::str::from_utf8(parameters)
                    .ok()
                    .and_then(|columns| columns.parse().ok());
                self.back(columns.unwrap_or(1));
            }
            (b'h' | b'l', b"?1049" | b"?1047" | b"?47") => {
                self.end_line(ended);
                self.alternate = last == b'h';
            }
            _ => {}
        }
    }

    /// Moves back over characters that will be overwritten.
    fn back(&mut self, columns: usize) {
        for _ in 0..columns.min(self.line.len()) {
            while let Some(0x80..=0xbf) = self.line.last() {
                self.line.pop();
            }
            self.line.pop();
        }
    }
}
