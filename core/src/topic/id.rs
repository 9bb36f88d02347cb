//! What identifies a room among those of its kind: numbers, UUIDs and names.

use core::fmt::{self, Display};
use core::str::FromStr;

use alloc::sync::Arc;

use super::{SEPARATOR, Topic, TopicError, TopicErrorKind};

/// What can be an id: a whole number, a [`Uuid`] or a [`Name`].
///
/// Sealed, since a room's topic relies on ids being valid segments of a known length.
pub trait RoomId: Display + Sized + sealed::Sealed {
    /// The form of the id in words, for error messages.
    const FORM: &'static str;

    /// Parses an id; `None` if `text` is not one.
    fn parse(text: &str) -> Option<Self>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u64 {}
    impl Sealed for super::Uuid {}
    impl Sealed for super::Name {}
}

impl RoomId for u64 {
    const FORM: &'static str = "a whole number";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl RoomId for Uuid {
    const FORM: &'static str = "a UUID";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl RoomId for Name {
    const FORM: &'static str = "a name of one segment, up to 128 bytes";

    fn parse(text: &str) -> Option<Self> {
        Self::new(text).ok()
    }
}

/// An id that people choose: one segment of a topic. A clone shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 128;

    /// Checks `text` and copies it.
    ///
    /// # Errors
    /// As for a [`Topic`], but with at most [`Name::BYTES_MAX`] bytes; and a `:` is an error too.
    pub fn new(text: &str) -> Result<Self, TopicError> {
        if text.len() > Self::BYTES_MAX {
            return Err(TopicErrorKind::NameTooLong { bytes: text.len() }.at(Self::BYTES_MAX));
        }
        if let Some(at) = text.find(SEPARATOR) {
            return Err(TopicErrorKind::SeparatorInName.at(at));
        }
        Topic::new(text).map(|topic| Self(topic.0))
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Name {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        Self::new(text)
    }
}

/// A UUID of any version. Read in either letter case with its hyphens, written in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

/// A text that is not a [`Uuid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a UUID is 32 hexadecimal digits in groups of 8-4-4-4-12")]
pub struct UuidError;

impl Uuid {
    /// The UUID of these bytes, most significant first.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes, most significant first.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl FromStr for Uuid {
    type Err = UuidError;

    fn from_str(text: &str) -> Result<Self, UuidError> {
        let mut bytes = [0; 16];
        let mut hyphens_and_digits = text.chars();
        for (i, byte) in bytes.iter_mut().enumerate() {
            if HYPHEN_BEFORE.contains(&i) && hyphens_and_digits.next() != Some('-') {
                return Err(UuidError);
            }
            for _ in 0..2 {
                let digit = hyphens_and_digits
                    .next()
                    .and_then(|digit| digit.to_digit(16));
                *byte = *byte << 4 | digit.ok_or(UuidError)? as u8;
            }
        }
        match hyphens_and_digits.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(UuidError),
        }
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let hyphen = if HYPHEN_BEFORE.contains(&i) { "-" } else { "" };
            write!(f, "{hyphen}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

/// The bytes of a UUID that a hyphen is written before.
const HYPHEN_BEFORE: [usize; 4] = [4, 6, 8, 10];
