//! Patterns: the topics that a subscription is for.

use alloc::sync::Arc;

use super::{
    MANY, ONE, SEPARATOR, Segments, Topic, TopicError, TopicErrorKind, check, wildcard_in,
};

/// A topic, or a family of topics written with wildcards.
///
/// A segment `*` stands for exactly one segment; `**`, only as the last, for one or more. The syntax is otherwise
/// that of [`Topic`]. A clone shares the text.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    text: Arc<str>,
    /// How many bytes come before the first wildcard; all of them in an exact pattern. It is a function of the text, so
    /// the derived comparisons are those of the text.
    literal: u8,
}

impl Clone for Pattern {
    /// Not inlined, so that browser builds, where size matters more than a call, contain the code once.
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    #[cfg_attr(not(target_arch = "wasm32"), inline)]
    fn clone(&self) -> Self {
        Self {
            text: Arc::clone(&self.text),
            literal: self.literal,
        }
    }
}

/// One segment of a [`Pattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    /// The segment itself.
    Literal(&'a str),
    /// `*`: any one segment.
    One,
    /// `**`: one or more segments, up to the end.
    Many,
}

impl Pattern {
    /// Checks `text` and copies it.
    ///
    /// # Errors
    /// The first thing in `text` that is not allowed in a pattern, and its byte.
    pub fn new(text: &str) -> Result<Self, TopicError> {
        let mut many_at = None;
        let mut literal = text.len();
        check(text, |segment, start| {
            if let Some(at) = many_at {
                return Err(TopicErrorKind::ManyNotLast.at(at));
            }
            match (segment, wildcard_in(segment)) {
                (MANY, _) => many_at = Some(start),
                (ONE, _) | (_, None) => {}
                (_, Some(at)) => return Err(TopicErrorKind::PartialWildcard.at(start + at)),
            }
            if matches!(segment, ONE | MANY) {
                literal = literal.min(start);
            }
            Ok(())
        })?;
        Ok(Self {
            text: text.into(),
            literal: length(literal),
        })
    }

    /// The pattern as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text, shared.
    pub(crate) const fn shared(&self) -> &Arc<str> {
        &self.text
    }

    /// Returns whether the pattern has no wildcard, and so matches one topic.
    pub fn is_exact(&self) -> bool {
        usize::from(self.literal) == self.text.len()
    }

    /// The one topic that the pattern matches, if it has no wildcard. Shares the text.
    pub fn exact(&self) -> Option<Topic> {
        self.is_exact().then(|| Topic(self.text.clone()))
    }

    /// The text before the first wildcard, with the `:` before it; the whole text of an exact pattern.
    ///
    /// Every topic that the pattern matches starts with it, which is what a scan of an ordered index needs.
    pub fn literal_prefix(&self) -> &str {
        let prefix = self.text.get(..usize::from(self.literal));
        prefix.unwrap_or_default()
    }

    /// The segments, from the left. There is at least one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = Segment<'_>> {
        self.text.split(SEPARATOR).map(|segment| match segment {
            ONE => Segment::One,
            MANY => Segment::Many,
            literal => Segment::Literal(literal),
        })
    }

    /// Returns whether the pattern matches `topic`.
    pub fn matches(&self, topic: &Topic) -> bool {
        if self.is_exact() {
            return self.text == topic.0;
        }
        let literal = usize::from(self.literal);
        let (Some(rest), Some(wildcards)) = (
            topic.as_str().strip_prefix(self.literal_prefix()),
            self.text.get(literal..),
        ) else {
            return false;
        };
        // Both were cut at a separator: what is left are whole segments, at least one in the pattern.
        let mut segments = Segments::of(rest);
        for wanted in Segments::of(wildcards) {
            match (wanted, segments.next()) {
                (_, None | Some("")) => return false,
                (MANY, Some(_)) => return true,
                (ONE, Some(_)) => {}
                (literal, Some(segment)) if literal == segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }

    /// Returns whether this pattern matches every topic that `other` matches.
    ///
    /// The limit on a topic's length is not taken into account: if one pattern covers another only because longer
    /// topics would exceed the limit, this returns `false`.
    pub fn covers(&self, other: &Self) -> bool {
        let mut others = other.segments();
        for segment in self.segments() {
            match (segment, others.next()) {
                (Segment::Many, Some(_)) => return true,
                (Segment::One, Some(Segment::One | Segment::Literal(_))) => {}
                (Segment::Literal(ours), Some(Segment::Literal(theirs))) if ours == theirs => {}
                _ => return false,
            }
        }
        others.next().is_none()
    }

    /// Returns whether there is a topic, of whatever length, that both patterns match.
    pub fn overlaps(&self, other: &Self) -> bool {
        let mut others = other.segments();
        for segment in self.segments() {
            match (segment, others.next()) {
                (Segment::Many, Some(_)) | (_, Some(Segment::Many)) => return true,
                (Segment::Literal(ours), Some(Segment::Literal(theirs))) if ours != theirs => {
                    return false;
                }
                (_, Some(_)) => {}
                (_, None) => return false,
            }
        }
        others.next().is_none()
    }
}

impl From<Topic> for Pattern {
    fn from(topic: Topic) -> Self {
        Self {
            literal: length(topic.0.len()),
            text: topic.0,
        }
    }
}

impl From<&Topic> for Pattern {
    fn from(topic: &Topic) -> Self {
        topic.clone().into()
    }
}

/// A length within a checked text.
fn length(bytes: usize) -> u8 {
    const { assert!(crate::limits::TOPIC_BYTES_MAX <= u8::MAX as usize) };
    u8::try_from(bytes).expect("a checked text is within the limit")
}
