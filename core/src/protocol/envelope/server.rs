//! The frames from servers, as one flat structure.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::presence::PresentEnvelope;
use super::{FrameError, need, need_pattern, need_topic, optional_pattern, present, publications};
use crate::flow::Flow;
use crate::lifecycle::EndReason;
use crate::presence::{Absent, PresenceDiff, PresenceState, Present};
use crate::protocol::{ErrorCode, ServerFrame, WireError};
use crate::publication::{Position, Publication};
use crate::rate::Rate;
use crate::topic::Pattern;

/// The `type` of a server's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerFrameType {
    /// [`ServerFrame::Welcome`].
    Welcome,
    /// [`ServerFrame::Subscribed`].
    Subscribed,
    /// [`ServerFrame::Unsubscribed`].
    Unsubscribed,
    /// [`ServerFrame::Publication`].
    Pub,
    /// [`ServerFrame::Batch`].
    Batch,
    /// [`ServerFrame::Reset`].
    Reset,
    /// [`ServerFrame::Lagged`].
    Lagged,
    /// [`ServerFrame::End`].
    End,
    /// [`ServerFrame::Published`].
    Published,
    /// [`ServerFrame::PresenceState`].
    #[serde(rename = "presence_state")]
    PresenceState,
    /// [`ServerFrame::PresenceDiff`].
    #[serde(rename = "presence_diff")]
    PresenceDiff,
    /// [`ServerFrame::Error`].
    Error,
    /// [`ServerFrame::Ping`].
    Ping,
    /// [`ServerFrame::Pong`].
    Pong,
    /// [`ServerFrame::Drain`].
    Drain,
    /// [`ServerFrame::Stale`].
    Stale,
    /// [`ServerFrame::Live`].
    Live,
}

/// A [`ServerFrame`] in its JSON form. Members that a type does not use are ignored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "P: Deserialize<'de>"))]
#[allow(missing_docs, reason = "the members are those of the frames")]
pub struct ServerEnvelope<P> {
    #[serde(rename = "type")]
    pub kind: ServerFrameType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_bytes_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_rate: Option<Rate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<EndReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<Self>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<Vec<PresentEnvelope<P>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joins: Option<Vec<PresentEnvelope<P>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<Vec<Absent>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "ref")]
    pub request: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fatal: Option<bool>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub data: Option<P>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub delta: Option<P>,
}

impl<P> ServerEnvelope<P> {
    fn empty(kind: ServerFrameType) -> Self {
        Self {
            kind,
            heartbeat_ms: None,
            within_ms: None,
            expires_in_ms: None,
            message_bytes_max: None,
            publish_rate: None,
            pattern: None,
            position: None,
            recovered: None,
            flow: None,
            topic: None,
            epoch: None,
            offset: None,
            via: None,
            end: None,
            items: None,
            present: None,
            joins: None,
            leaves: None,
            missed: None,
            reason: None,
            request: None,
            code: None,
            message: None,
            fatal: None,
            data: None,
            base: None,
            delta: None,
        }
    }

    pub(super) fn position_of(&self, frame: &'static str) -> Result<Position, FrameError> {
        Ok(Position {
            epoch: need(self.epoch, frame, "epoch")?,
            offset: need(self.offset, frame, "offset")?,
        })
    }
}

impl<'a, P> ServerEnvelope<&'a P> {
    fn publication(publication: &'a Publication<P>, via: Option<&Pattern>) -> Self {
        Self {
            topic: Some(publication.topic.to_string()),
            epoch: Some(publication.position.epoch),
            offset: Some(publication.position.offset),
            via: via.map(ToString::to_string),
            end: publication.end,
            data: Some(&publication.payload),
            ..Self::empty(ServerFrameType::Pub)
        }
    }
}

impl<'a, P> From<&'a ServerFrame<P>> for ServerEnvelope<&'a P> {
    fn from(frame: &'a ServerFrame<P>) -> Self {
        match frame {
            ServerFrame::Welcome {
                heartbeat_ms,
                expires_in_ms,
                message_bytes_max,
                publish_rate,
            } => Self {
                heartbeat_ms: Some(*heartbeat_ms),
                expires_in_ms: *expires_in_ms,
                message_bytes_max: *message_bytes_max,
                publish_rate: *publish_rate,
                ..Self::empty(ServerFrameType::Welcome)
            },
            ServerFrame::Subscribed {
                pattern,
                position,
                recovered,
                flow,
            } => Self {
                pattern: Some(pattern.to_string()),
                position: *position,
                recovered: Some(*recovered),
                flow: Some(*flow),
                ..Self::empty(ServerFrameType::Subscribed)
            },
            ServerFrame::Unsubscribed { pattern } => Self {
                pattern: Some(pattern.to_string()),
                ..Self::empty(ServerFrameType::Unsubscribed)
            },
            ServerFrame::Publication { publication, via } => {
                Self::publication(publication, via.as_ref())
            }
            ServerFrame::Delta {
                publication,
                base,
                via,
            } => {
                let mut envelope = Self::publication(publication, via.as_ref());
                envelope.delta = envelope.data.take();
                envelope.base = Some(*base);
                envelope
            }
            ServerFrame::Batch { items, via } => Self {
                items: Some(
                    items
                        .iter()
                        .map(|item| Self::publication(item, via.as_ref()))
                        .collect(),
                ),
                ..Self::empty(ServerFrameType::Batch)
            },
            ServerFrame::Reset {
                topic,
                position,
                via,
            } => Self {
                topic: Some(topic.to_string()),
                epoch: Some(position.epoch),
                offset: Some(position.offset),
                via: via.as_ref().map(ToString::to_string),
                ..Self::empty(ServerFrameType::Reset)
            },
            ServerFrame::Lagged { pattern, missed } => Self {
                pattern: Some(pattern.to_string()),
                missed: Some(*missed),
                ..Self::empty(ServerFrameType::Lagged)
            },
            ServerFrame::End { pattern, reason } => Self {
                pattern: Some(pattern.to_string()),
                reason: Some(*reason),
                ..Self::empty(ServerFrameType::End)
            },
            ServerFrame::Published { request, position } => Self {
                request: Some(*request),
                epoch: Some(position.epoch),
                offset: Some(position.offset),
                ..Self::empty(ServerFrameType::Published)
            },
            ServerFrame::PresenceState(state) => Self {
                topic: Some(state.topic.to_string()),
                present: Some(state.present.iter().map(PresentEnvelope::from).collect()),
                ..Self::empty(ServerFrameType::PresenceState)
            },
            ServerFrame::PresenceDiff(diff) => Self {
                topic: Some(diff.topic.to_string()),
                joins: Some(diff.joins.iter().map(PresentEnvelope::from).collect()),
                leaves: Some(diff.leaves.clone()),
                ..Self::empty(ServerFrameType::PresenceDiff)
            },
            ServerFrame::Error(error) => Self {
                code: Some(error.code),
                message: Some(error.message.clone()),
                pattern: error.pattern.as_ref().map(ToString::to_string),
                request: error.request,
                fatal: error.fatal.then_some(true),
                ..Self::empty(ServerFrameType::Error)
            },
            ServerFrame::Ping => Self::empty(ServerFrameType::Ping),
            ServerFrame::Pong => Self::empty(ServerFrameType::Pong),
            ServerFrame::Drain { within_ms } => Self {
                within_ms: Some(*within_ms),
                ..Self::empty(ServerFrameType::Drain)
            },
            ServerFrame::Stale => Self::empty(ServerFrameType::Stale),
            ServerFrame::Live => Self::empty(ServerFrameType::Live),
        }
    }
}

impl<P> TryFrom<ServerEnvelope<P>> for ServerFrame<P> {
    type Error = FrameError;

    fn try_from(envelope: ServerEnvelope<P>) -> Result<Self, FrameError> {
        Ok(match envelope.kind {
            ServerFrameType::Welcome => Self::Welcome {
                heartbeat_ms: need(envelope.heartbeat_ms, "welcome", "heartbeat_ms")?,
                expires_in_ms: envelope.expires_in_ms,
                message_bytes_max: envelope.message_bytes_max,
                publish_rate: envelope.publish_rate,
            },
            ServerFrameType::Subscribed => Self::Subscribed {
                pattern: need_pattern(envelope.pattern, "subscribed")?,
                position: envelope.position,
                recovered: envelope.recovered.unwrap_or(false),
                flow: envelope.flow.unwrap_or_default(),
            },
            ServerFrameType::Unsubscribed => Self::Unsubscribed {
                pattern: need_pattern(envelope.pattern, "unsubscribed")?,
            },
            ServerFrameType::Pub => publications::one(envelope)?,
            ServerFrameType::Batch => publications::batch(need(envelope.items, "batch", "items")?)?,
            ServerFrameType::Reset => Self::Reset {
                position: envelope.position_of("reset")?,
                topic: need_topic(envelope.topic, "reset")?,
                via: optional_pattern(envelope.via, "reset")?,
            },
            ServerFrameType::Lagged => Self::Lagged {
                pattern: need_pattern(envelope.pattern, "lagged")?,
                missed: need(envelope.missed, "lagged", "missed")?,
            },
            ServerFrameType::End => Self::End {
                pattern: need_pattern(envelope.pattern, "end")?,
                reason: need(envelope.reason, "end", "reason")?,
            },
            ServerFrameType::Published => Self::Published {
                position: envelope.position_of("published")?,
                request: need(envelope.request, "published", "ref")?,
            },
            ServerFrameType::PresenceState => Self::PresenceState(Arc::new(PresenceState {
                topic: need_topic(envelope.topic, "presence_state")?,
                present: all_present(need(envelope.present, "presence_state", "present")?),
            })),
            ServerFrameType::PresenceDiff => Self::PresenceDiff(Arc::new(PresenceDiff {
                topic: need_topic(envelope.topic, "presence_diff")?,
                joins: all_present(need(envelope.joins, "presence_diff", "joins")?),
                leaves: need(envelope.leaves, "presence_diff", "leaves")?,
            })),
            ServerFrameType::Error => Self::Error(WireError {
                code: need(envelope.code, "error", "code")?,
                message: envelope.message.unwrap_or_default(),
                pattern: optional_pattern(envelope.pattern, "error")?,
                request: envelope.request,
                fatal: envelope.fatal.unwrap_or(false),
            }),
            ServerFrameType::Ping => Self::Ping,
            ServerFrameType::Pong => Self::Pong,
            ServerFrameType::Drain => Self::Drain {
                within_ms: envelope.within_ms.unwrap_or(0),
            },
            ServerFrameType::Stale => Self::Stale,
            ServerFrameType::Live => Self::Live,
        })
    }
}

fn all_present<P>(envelopes: Vec<PresentEnvelope<P>>) -> Vec<Present<P>> {
    envelopes.into_iter().map(Present::from).collect()
}
