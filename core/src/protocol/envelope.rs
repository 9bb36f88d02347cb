//! Frames as flat serde structures.
//!
//! Flat, because raw payload text can't pass through serde's tagged enums, and because a missing member can then be
//! named: the envelope is decoded first, and then converted into a frame with checks.

mod client;
mod presence;
mod publications;
mod server;

use alloc::string::{String, ToString};

use serde::{Deserialize, Deserializer};

use super::error::{ErrorCode, WireError};
use crate::durable::DurableNameError;
use crate::presence::KeyError;
use crate::topic::{Pattern, Topic};

pub use client::{ClientEnvelope, ClientFrameType};
pub use presence::PresentEnvelope;
pub use server::{ServerEnvelope, ServerFrameType};

/// Why an envelope is not a valid frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A member that this type of frame needs is absent.
    #[error("a {frame} frame needs the member {member:?}")]
    Missing {
        /// The type of the frame.
        frame: &'static str,
        /// The absent member.
        member: &'static str,
    },
    /// A topic or pattern breaks the syntax.
    #[error("{member} {text:?}: {reason}")]
    Topic {
        /// The member.
        member: &'static str,
        /// Its text.
        text: String,
        /// What is wrong with it, and at which byte.
        reason: String,
    },
    /// A key is empty, too long, or contains characters that are not allowed.
    #[error("key: {0}")]
    Key(#[from] KeyError),
    /// The name of a durable subscription is invalid.
    #[error("durable: {0}")]
    Durable(#[from] DurableNameError),
    /// A flow contradicts itself or is out of range.
    #[error("flow: {0}")]
    Flow(String),
}

impl FrameError {
    /// The error in the form that is sent to clients.
    pub fn to_wire(&self) -> WireError {
        let code = match self {
            Self::Missing { .. } | Self::Key(_) | Self::Durable(_) => ErrorCode::BadFrame,
            Self::Topic { .. } => ErrorCode::BadTopic,
            Self::Flow(_) => ErrorCode::BadFlow,
        };
        WireError::new(code, self.to_string())
    }
}

/// Treats a present `null` as a value, so that `{"data": null}` differs from no data.
fn present<'de, D: Deserializer<'de>, P: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<P>, D::Error> {
    P::deserialize(deserializer).map(Some)
}

fn need<T>(value: Option<T>, frame: &'static str, member: &'static str) -> Result<T, FrameError> {
    value.ok_or(FrameError::Missing { frame, member })
}

fn need_pattern(text: Option<String>, frame: &'static str) -> Result<Pattern, FrameError> {
    let text = need(text, frame, "pattern")?;
    Pattern::new(&text).map_err(|error| FrameError::Topic {
        member: "pattern",
        reason: error.to_string(),
        text,
    })
}

fn need_topic(text: Option<String>, frame: &'static str) -> Result<Topic, FrameError> {
    let text = need(text, frame, "topic")?;
    Topic::new(&text).map_err(|error| FrameError::Topic {
        member: "topic",
        reason: error.to_string(),
        text,
    })
}

fn optional_pattern(
    text: Option<String>,
    frame: &'static str,
) -> Result<Option<Pattern>, FrameError> {
    text.map(|text| need_pattern(Some(text), frame)).transpose()
}

#[cfg(test)]
mod tests;
