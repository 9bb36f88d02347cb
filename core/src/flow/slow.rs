//! What becomes of a subscription's publications while its connection is behind.

use serde::{Deserialize, Serialize};

/// What a subscriber wants while its connection takes less than is published. Terminals and the newest of each topic wait
/// in any case.
///
/// Who says nothing gets [`Conflate`](Self::Conflate) with a pace and [`Drop`](Self::Drop) without. Of two, the greater one
/// loses less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slow {
    /// One publication of each topic waits: what the flow's conflation makes of them where the flow has a pace, and the newest where not. Nothing
    /// is told.
    Conflate,
    /// All wait until the limit is reached; then the oldest are dropped, and it is told how many.
    Drop,
    /// All wait until the limit is reached; then the connection is closed, to be resumed by another.
    Disconnect,
}

impl Slow {
    /// The policy as the wire names it.
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

/// A text that names no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("slow is conflate, drop or disconnect")]
pub struct UnknownSlow;
