//! Topics, the patterns that match them, and typed rooms.
//!
//! A topic is a text of segments separated by `:`, such as `job:42` or `task:7c1d…:log`. A [`Pattern`] is a topic in
//! which a segment may be `*`, any one segment, and the last one may be `**`, one or more segments. Both are checked
//! once, where they enter, and trusted from then on. Segments are compared byte by byte: letter case and Unicode
//! composition matter.
//!
//! ```
//! use tidegate_core::topic::{Pattern, Topic};
//!
//! let jobs = Pattern::new("job:*")?;
//! assert!(jobs.matches(&Topic::new("job:42")?));
//! assert!(!jobs.matches(&Topic::new("job:42:log")?));
//!
//! let error = Topic::new("job::log").unwrap_err();
//! assert_eq!(error.at, 4);
//! # Ok::<(), tidegate_core::topic::TopicError>(())
//! ```

mod error;
mod id;
mod pattern;
mod room;
mod text;

use core::borrow::Borrow;

use alloc::sync::Arc;

use crate::limits::TOPIC_BYTES_MAX;

pub use error::{TopicError, TopicErrorKind};
pub use id::{Name, RoomId, Uuid, UuidError};
pub use pattern::{Pattern, Segment};
pub use room::{JobRoom, KIND_BYTES_MAX, Room, RoomError, TaskRoom, UserRoom};

/// What separates two segments.
pub const SEPARATOR: char = ':';

/// The most segments that a topic or pattern can have: one byte each, and the separators between them.
pub const SEGMENTS_MAX: usize = TOPIC_BYTES_MAX.div_ceil(2);

/// The segment of a pattern that stands for any one segment.
const ONE: &str = "*";

/// The last segment of a pattern that stands for one or more segments.
const MANY: &str = "**";

/// The name under which publications are published and kept.
///
/// 1 to [`TOPIC_BYTES_MAX`] bytes of UTF-8: segments separated by `:`, none of them empty, without whitespace,
/// control characters and `*`. A clone shares the text.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

impl Clone for Topic {
    /// Not inlined, so that browser builds, where size matters more than a call, contain the code once.
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl Topic {
    /// Checks `text` and copies it.
    ///
    /// # Errors
    /// The first thing in `text` that is not allowed in a topic, and its byte.
    pub fn new(text: &str) -> Result<Self, TopicError> {
        check(text, |segment, start| match wildcard_in(segment) {
            None => Ok(()),
            Some(at) => Err(TopicErrorKind::WildcardInTopic.at(start + at)),
        })?;
        Ok(Self(text.into()))
    }

    /// The topic as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    pub(crate) const fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// The segments, from the left. There is at least one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split(SEPARATOR)
    }
}

/// A topic compares and hashes as its text does.
impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

/// Checks the rules that topics and patterns share, and each segment (given the byte it starts at) with
/// `check_wildcards`. Reports the leftmost fault, except that a text that is too long is not looked into.
fn check(
    text: &str,
    mut check_wildcards: impl FnMut(&str, usize) -> Result<(), TopicError>,
) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicErrorKind::Empty.at(0));
    }
    if text.len() > TOPIC_BYTES_MAX {
        return Err(TopicErrorKind::TooLong { bytes: text.len() }.at(TOPIC_BYTES_MAX));
    }
    let mut start = 0;
    for segment in Segments::of(text) {
        if segment.is_empty() {
            return Err(TopicErrorKind::EmptySegment.at(start));
        }
        let wildcards = check_wildcards(segment, start);
        let characters = check_characters(segment, start);
        match (wildcards, characters) {
            (Err(first), Err(second)) => {
                return Err(if first.at <= second.at { first } else { second });
            }
            (wildcards, characters) => wildcards.and(characters)?,
        }
        start += segment.len() + SEPARATOR.len_utf8();
    }
    Ok(())
}

/// The position of the first `*` in a segment.
fn wildcard_in(segment: &str) -> Option<usize> {
    segment.bytes().position(|byte| byte == b'*')
}

/// The segments of a text, from the left. The standard library's `split` does the same, but supports any separator and
/// both directions, in ten times the code.
struct Segments<'a> {
    rest: Option<&'a str>,
}

impl<'a> Segments<'a> {
    const fn of(text: &'a str) -> Self {
        Self { rest: Some(text) }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        const { assert!(SEPARATOR.is_ascii()) };
        let rest = self.rest?;
        let separator = rest.bytes().position(|byte| byte == SEPARATOR as u8);
        let end = separator.unwrap_or(rest.len());
        self.rest = rest.get(end + 1..);
        rest.get(..end)
    }
}

fn check_characters(segment: &str, start: usize) -> Result<(), TopicError> {
    for (at, character) in segment.char_indices() {
        // Tabs and line ends are both; to someone reading the error, they are control characters.
        if character.is_control() {
            return Err(TopicErrorKind::ControlCharacter(character).at(start + at));
        }
        if character.is_whitespace() {
            return Err(TopicErrorKind::Whitespace(character).at(start + at));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
