//! What is wrong with a text that should have been a topic or a pattern.

use alloc::string::String;

use crate::limits::TOPIC_BYTES_MAX;
use crate::words::{decimal, digits, sentence};

/// A text that isn't a topic, or not a pattern.
///
/// The message says what is wrong, at which byte, and what to do about it. It never repeats the text, which may come
/// from an outsider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub struct TopicError {
    /// What is wrong.
    pub kind: TopicErrorKind,
    /// Where: an index into the text's bytes; its length if something is missing at the end.
    pub at: usize,
}

impl TopicError {
    /// What is wrong, where, and what to do about it, in words.
    pub fn message(&self) -> String {
        let [fault, at] = [self.kind.fault(), decimal(self.at)];
        sentence(&[&fault, " at byte ", &at, ": ", self.kind.advice()])
    }
}

/// The faults that a topic or a pattern can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.fault())]
pub enum TopicErrorKind {
    /// There is no text.
    Empty,
    /// The text is longer than [`TOPIC_BYTES_MAX`].
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// There is nothing between two separators, before the first or after the last.
    EmptySegment,
    /// A control character, such as a line end.
    ControlCharacter(char),
    /// A space, of whatever width.
    Whitespace(char),
    /// A `*` in a topic.
    WildcardInTopic,
    /// A `*` in a pattern that shares its segment with other characters, as in `a*` or `***`.
    PartialWildcard,
    /// A `**` in a pattern that other segments follow.
    ManyNotLast,
    /// A room's name is longer than [`Name::BYTES_MAX`](super::Name::BYTES_MAX).
    NameTooLong {
        /// How long it is.
        bytes: usize,
    },
    /// A `:` in a room's name.
    SeparatorInName,
}

impl TopicErrorKind {
    pub(super) const fn at(self, at: usize) -> TopicError {
        TopicError { kind: self, at }
    }

    fn fault(self) -> String {
        match self {
            Self::Empty => "empty topic".into(),
            Self::TooLong { bytes } => decimal(bytes) + " bytes are too long",
            Self::EmptySegment => "empty segment".into(),
            Self::ControlCharacter(it) => sentence(&["control character U+", &code(it)]),
            Self::Whitespace(it) => sentence(&["whitespace U+", &code(it)]),
            Self::WildcardInTopic => "wildcard in a topic".into(),
            Self::PartialWildcard => "partial wildcard".into(),
            Self::ManyNotLast => "'**' before the last segment".into(),
            Self::NameTooLong { bytes } => {
                sentence(&["a name of ", &decimal(bytes), " bytes is too long"])
            }
            Self::SeparatorInName => "':' in a name".into(),
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Empty => "write at least one segment, such as job:42",
            Self::TooLong { .. } => {
                const { assert!(TOPIC_BYTES_MAX == 255) };
                "shorten it to 255 bytes or fewer"
            }
            Self::EmptySegment => "remove the ':' or write a segment there",
            Self::ControlCharacter(_) => "remove it",
            Self::Whitespace(_) => "remove it, or write '-' or '_' instead",
            Self::WildcardInTopic => {
                "name one topic without '*'; only patterns, to subscribe to, have wildcards"
            }
            Self::PartialWildcard => {
                "let '*' or '**' be a whole segment; a part of a segment can't be matched"
            }
            Self::ManyNotLast => "move '**' to the end, or write '*' for exactly one segment",
            Self::NameTooLong { .. } => {
                const { assert!(super::Name::BYTES_MAX == 128) };
                "shorten it to 128 bytes or fewer"
            }
            Self::SeparatorInName => "write '-', '_' or '.' instead; a name is one segment",
        }
    }
}

/// A character's code as Unicode's own documents write it, without the `U+`.
fn code(character: char) -> String {
    digits(u32::from(character).into(), 16, 4).to_ascii_uppercase()
}
