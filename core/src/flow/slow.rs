//! What happens to a subscription's publications while its connection is slow.

use serde::{Deserialize, Serialize};

/// What happens to publications while a connection is too slow. Terminal publications and the newest of each topic wait
/// in any case.
///
/// The default is [`Conflate`](Self::Conflate) with a pace, and [`Drop`](Self::Drop) without. Of two policies, the
/// greater one loses less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slow {
    /// One publication of each topic waits: with a pace, the result of the flow's conflation, and otherwise the newest.
    /// There is no notice.
    Conflate,
    /// All wait until the limit is reached. Then the oldest are dropped, and the subscriber is told how many.
    Drop,
    /// All wait until the limit is reached. Then the connection is closed, and the next one resumes.
    Disconnect,
}

impl Slow {
    /// The policy's name in the protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conflate => "conflate",
            Self::Drop => "drop",
            Self::Disconnect => "disconnect",
        }
    }
}

impl core::str::FromStr for Slow {
    type Err = UnknownSlow;

    fn from_str(text: &str) -> Result<Self, UnknownSlow> {
        [Self::Conflate, Self::Drop, Self::Disconnect]
            .into_iter()
            .find(|slow| slow.as_str() == text)
            .ok_or(UnknownSlow)
    }
}

/// A text that is not the name of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("slow is conflate, drop or disconnect")]
pub struct UnknownSlow;
