//! Writes JSON for JavaScript. It is pure ASCII, so that its length in bytes here equals its length in characters
//! there.

use alloc::boxed::Box;
use alloc::string::String;

/// An object that is being written, one member after the other.
#[expect(
    clippy::box_collection,
    reason = "each call passes it on, and what fits into a number is passed without code"
)]
pub(crate) struct Object(Box<String>);

impl Object {
    /// An object without members.
    pub(crate) fn new() -> Self {
        Self(Box::default())
    }

    /// Adds a text.
    pub(crate) fn text(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        push_text(&mut self.0, value);
        self
    }

    /// Adds a text, if there is one.
    pub(crate) fn optional_text(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Adds a whole number.
    pub(crate) fn number(mut self, name: &str, value: u64) -> Self {
        self.name(name);
        push_number(&mut self.0, value);
        self
    }

    /// Adds a whole number, if there is one.
    pub(crate) fn optional_number(self, name: &str, value: Option<u64>) -> Self {
        match value {
            Some(value) => self.number(name, value),
            None => self,
        }
    }

    /// Adds a boolean, if there is one.
    pub(crate) fn optional_flag(mut self, name: &str, value: Option<bool>) -> Self {
        if let Some(value) = value {
            self.name(name);
            self.0.push_str(if value { "true" } else { "false" });
        }
        self
    }

    /// Adds an object.
    pub(crate) fn object(mut self, name: &str, value: Self) -> Self {
        self.name(name);
        self.0.push_str(&value.close());
        self
    }

    /// Adds a hole that JavaScript fills: a character that occurs nowhere else in these texts.
    pub(crate) fn hole(mut self, name: &str) -> Self {
        self.name(name);
        self.0.push('\u{1}');
        self
    }

    /// Adds a list of objects.
    pub(crate) fn list(mut self, name: &str, values: impl Iterator<Item = Self>) -> Self {
        self.name(name);
        let mut before = '[';
        for value in values {
            self.0.push(before);
            self.0.push_str(&value.close());
            before = ',';
        }
        if before == '[' {
            self.0.push(before);
        }
        self.0.push(']');
        self
    }

    /// Adds a list of whole numbers.
    pub(crate) fn numbers(mut self, name: &str, values: impl Iterator<Item = u64>) -> Self {
        self.name(name);
        self.0.push('[');
        for (index, value) in values.enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            push_number(&mut self.0, value);
        }
        self.0.push(']');
        self
    }

    /// The text of the object.
    pub(crate) fn close(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        *self.0
    }

    #[inline(never)]
    fn name(&mut self, name: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        push_text(&mut self.0, name);
        self.0.push(':');
    }
}

#[inline(never)]
fn push_text(json: &mut String, text: &str) {
    json.push('"');
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte @ (b' ' | b'!' | b'#'..=b'[' | b']'..=b'~')) => json.push(char::from(byte)),
            Ok(_) | Err(_) => {
                json.push_str("\\u");
                for shift in [12, 8, 4, 0] {
                    json.push(char::from(
                        b"0123456789abcdef"[usize::from(unit >> shift & 15)],
                    ));
                }
            }
        }
    }
    json.push('"');
}

#[inline(never)]
fn push_number(json: &mut String, number: u64) {
    if number >= 10 {
        push_number(json, number / 10);
    }
    json.push(char::from(b'0' + (number % 10) as u8));
}
