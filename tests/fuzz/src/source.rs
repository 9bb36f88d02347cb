//! Choices made by bytes, so that the fuzzer, which makes the bytes, chooses what happens.

use serde_json::{Value, json};

/// Bytes that are consumed choice by choice. When none are left, every choice is the first one.
#[derive(Debug)]
pub struct Source<'a> {
    bytes: &'a [u8],
}

/// Values that a member may have instead of its own.
const ODD_NUMBERS: [u64; 6] = [0, 1, 2, 1 << 53, (1 << 53) - 1, u64::MAX];

impl<'a> Source<'a> {
    /// All these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether bytes are left.
    pub const fn has_more(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        *first
    }

    /// A choice among this many.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// One of these.
    ///
    /// # Panics
    /// If there is none.
    pub fn one_of<'b, T>(&mut self, choices: &'b [T]) -> &'b T {
        &choices[self.below(choices.len())]
    }

    /// The next few bytes as text, as far as they are UTF-8.
    pub fn text(&mut self) -> String {
        let length = self.below(24).min(self.bytes.len());
        let (text, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        String::from_utf8_lossy(text).into_owned()
    }

    /// Any value that is not deeply nested.
    pub fn value(&mut self) -> Value {
        match self.below(9) {
            0 => Value::Null,
            1 => Value::Bool(self.byte() > 127),
            2 => json!(self.byte()),
            3 => json!(self.one_of(&ODD_NUMBERS)),
            4 => json!(f64::from(self.byte()) / 8.0 - 16.0),
            5 => json!(self.text()),
            6 => json!([self.byte()]),
            7 => json!({ "a": self.byte(), "b": { "c": null } }),
            _ => json!({ "status": self.one_of(&["COMPLETE", "failed", "running"]) }),
        }
    }

    /// An object in which members may be missing, repeated under another name, or have another value; usually it is
    /// intact.
    pub fn damaged(&mut self, mut object: Value) -> Value {
        let Some(members) = object.as_object_mut() else {
            return object;
        };
        for _ in 0..self.below(8).saturating_sub(4) {
            let names: Vec<String> = members.keys().cloned().collect();
            let name = self.one_of(&names).clone();
            match self.below(4) {
                0 => {
                    members.remove(&name);
                }
                1 => {
                    let other = self.one_of(&names).clone();
                    members.insert(other, members[&name].clone());
                }
                _ => {
                    members.insert(name, self.value());
                }
            }
            if members.is_empty() {
                break;
            }
        }
        object
    }
}
