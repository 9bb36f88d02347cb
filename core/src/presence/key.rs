//! The keys that presences are counted by.

use core::fmt;

use alloc::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

/// Whatever the application counts as one, such as a user: 1 to [`Key::BYTES_MAX`] bytes without control characters. A
/// clone shares the text.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Clone for Key {
    /// Not inlined, so that browser builds, where size matters more than a call, contain the code once.
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Why a text is not a [`Key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no text.
    #[error("an empty key; write who is present, such as a user's id")]
    Empty,
    /// The text is too long.
    #[error(
        "a key of {bytes} bytes; at most {} are allowed, put what describes it into the meta",
        Key::BYTES_MAX
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A control character, such as a line end.
    #[error("control character {character:?} at byte {at} of a key; remove it")]
    ControlCharacter {
        /// The character.
        character: char,
        /// The byte at which it is.
        at: usize,
    },
}

impl Key {
    /// The longest key, in bytes.
    pub const BYTES_MAX: usize = 255;

    /// Checks `text` and copies it.
    ///
    /// # Errors
    /// The first thing in `text` that is not allowed in a key.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.len() > Self::BYTES_MAX {
            return Err(KeyError::TooLong { bytes: text.len() });
        }
        match text.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, character)) => Err(KeyError::ControlCharacter { character, at }),
            None => Ok(Self(text.into())),
        }
    }

    /// The key as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.as_str())
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyText)
    }
}

struct KeyText;

impl Visitor<'_> for KeyText {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text of 1 to {} bytes", Key::BYTES_MAX)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Key, E> {
        Key::new(text).map_err(E::custom)
    }
}
