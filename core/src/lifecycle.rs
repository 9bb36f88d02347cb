//! How topics end: the reasons, what publishers state, and the rule that recognises a terminal payload.

use core::fmt;
use core::str::FromStr;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::payload::Payload;

/// Why a topic ended. The terminal publication carries it, and so does the end of every subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndReason {
    /// The work was completed.
    Complete,
    /// The work failed.
    Failed,
    /// The work was cancelled.
    Cancelled,
}

impl EndReason {
    /// Every reason, in the order of their wire codes.
    pub const ALL: [Self; 3] = [Self::Complete, Self::Failed, Self::Cancelled];

    /// The word that the wire, the command line and the docs use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is not an end reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an end reason is one of: complete, failed, cancelled")]
pub struct EndReasonError;

impl FromStr for EndReason {
    type Err = EndReasonError;

    /// Accepts the words of [`EndReason::as_str`] in any letter case.
    fn from_str(text: &str) -> Result<Self, EndReasonError> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str().eq_ignore_ascii_case(text))
            .ok_or(EndReasonError)
    }
}

/// What a publisher states about whether a publication is terminal. Without a statement, the [`TerminalRule`] decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatedEnd {
    /// It isn't, whatever its payload looks like.
    None,
    /// It is: the work was completed.
    Complete,
    /// It is: the work failed.
    Failed,
    /// It is: the work was cancelled.
    Cancelled,
}

impl StatedEnd {
    /// The reason for which the topic ends, if it does.
    pub const fn reason(self) -> Option<EndReason> {
        match self {
            Self::None => None,
            Self::Complete => Some(EndReason::Complete),
            Self::Failed => Some(EndReason::Failed),
            Self::Cancelled => Some(EndReason::Cancelled),
        }
    }

    /// The word that the wire, the command line and the docs use.
    pub const fn as_str(self) -> &'static str {
        match self.reason() {
            None => "none",
            Some(reason) => reason.as_str(),
        }
    }
}

impl From<EndReason> for StatedEnd {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Complete => Self::Complete,
            EndReason::Failed => Self::Failed,
            EndReason::Cancelled => Self::Cancelled,
        }
    }
}

/// A text that is not a stated end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an end is one of: complete, failed, cancelled, none")]
pub struct StatedEndError;

impl FromStr for StatedEnd {
    type Err = StatedEndError;

    /// Accepts the words of [`StatedEnd::as_str`] in any letter case.
    fn from_str(text: &str) -> Result<Self, StatedEndError> {
        if text.eq_ignore_ascii_case(Self::None.as_str()) {
            return Ok(Self::None);
        }
        let reason: EndReason = text.parse().map_err(|_| StatedEndError)?;
        Ok(reason.into())
    }
}

/// Recognises a terminal publication by a member of its payload, if the publisher doesn't state whether it is one.
///
/// The default reads `status`, and recognises COMPLETE, FAILED and CANCELLED in any letter case. The rule is evaluated
/// once, where a publication enters the system; from then on, its [`EndReason`] travels with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalRule {
    field: String,
    words: Vec<(String, EndReason)>,
}

impl TerminalRule {
    /// A rule that reads the top-level string member `field`.
    pub fn new(field: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            words: Vec::new(),
        }
    }

    /// The same rule, which also recognises `word`, in any ASCII letter case, as `reason`.
    #[must_use]
    pub fn with_word(mut self, word: impl Into<String>, reason: EndReason) -> Self {
        self.words.push((word.into(), reason));
        self
    }

    /// The member that the rule reads.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The words that it recognises, each with its reason.
    pub fn words(&self) -> impl Iterator<Item = (&str, EndReason)> {
        self.words.iter().map(|(word, end)| (word.as_str(), *end))
    }

    /// The reason that `payload` states, if it states one.
    pub fn evaluate(&self, payload: &impl Payload) -> Option<EndReason> {
        self.reason(&payload.text_field(&self.field)?)
    }

    /// The reason that `text`, the value of the member, stands for.
    pub fn reason(&self, text: &str) -> Option<EndReason> {
        self.words
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text))
            .map(|(_, reason)| *reason)
    }
}

impl Default for TerminalRule {
    fn default() -> Self {
        EndReason::ALL
            .into_iter()
            .fold(Self::new("status"), |rule, reason| {
                rule.with_word(reason.as_str(), reason)
            })
    }
}
