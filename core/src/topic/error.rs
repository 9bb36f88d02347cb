//! What is wrong with a text that should have been a topic or a pattern.

use crate::limits::TOPIC_BYTES_MAX;

/// A text that isn't a topic, or not a pattern.
///
/// The message says what is wrong, at which byte, and what to do about it. It never repeats the text, which an
/// outsider chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}: {}", kind.advice())]
pub struct TopicError {
    /// What is wrong.
    pub kind: TopicErrorKind,
    /// Where: an index into the text's bytes, or its length where something is missing at the end.
    pub at: usize,
}

/// The faults that a topic or a pattern can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicErrorKind {
    /// There is no text.
    #[error("empty topic")]
    Empty,
    /// The text is longer than [`TOPIC_BYTES_MAX`].
    #[error("{bytes} bytes are too long")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// There is nothing between two separators, before the first or after the last.
    #[error("empty segment")]
    EmptySegment,
    /// A control character, such as a line end.
    #[error("control character U+{:04X}", u32::from(*.0))]
    ControlCharacter(char),
    /// A space, of whatever width.
    #[error("whitespace U+{:04X}", u32::from(*.0))]
    Whitespace(char),
    /// A `*` in a topic.
    #[error("wildcard in a topic")]
    WildcardInTopic,
    /// A `*` in a pattern that shares its segment with other characters, as in `a*` or `***`.
    #[error("partial wildcard")]
    PartialWildcard,
    /// A `**` in a pattern that other segments follow.
    #[error("'**' before the last segment")]
    ManyNotLast,
    /// A room's name is longer than [`Name::BYTES_MAX`](super::Name::BYTES_MAX).
    #[error("a name of {bytes} bytes is too long")]
    NameTooLong {
        /// How long it is.
        bytes: usize,
    },
    /// A `:` in a room's name.
    #[error("':' in a name")]
    SeparatorInName,
}

impl TopicErrorKind {
    pub(super) const fn at(self, at: usize) -> TopicError {
        TopicError { kind: self, at }
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
