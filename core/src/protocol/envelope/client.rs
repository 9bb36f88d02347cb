//! The frames from clients, as one flat structure.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{FrameError, need, need_pattern, need_topic, present};
use crate::durable::DurableName;
use crate::flow::{Flow, Slow};
use crate::lifecycle::StatedEnd;
use crate::presence::Key;
use crate::protocol::{
    ClientFrame, FlowSpec, GroupTerm, PublishRequest, Start, SubscribeRequest, TopicPosition,
};
use crate::tabs::{TabId, Term};

/// The `type` of a client's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientFrameType {
    /// [`ClientFrame::Hello`].
    Hello,
    /// [`ClientFrame::Subscribe`].
    Subscribe,
    /// [`ClientFrame::Unsubscribe`].
    Unsubscribe,
    /// [`ClientFrame::Ack`].
    Ack,
    /// [`ClientFrame::Forget`].
    Forget,
    /// [`ClientFrame::Flow`].
    Flow,
    /// [`ClientFrame::Publish`].
    Publish,
    /// [`ClientFrame::Track`].
    Track,
    /// [`ClientFrame::Untrack`].
    Untrack,
    /// [`ClientFrame::Watch`].
    Watch,
    /// [`ClientFrame::Unwatch`].
    Unwatch,
    /// [`ClientFrame::Ping`].
    Ping,
    /// [`ClientFrame::Pong`].
    Pong,
}

/// A [`ClientFrame`] in its JSON form. Members that a type does not use are ignored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "P: Deserialize<'de>"))]
#[allow(missing_docs, reason = "the members are those of the frames")]
pub struct ClientEnvelope<P> {
    #[serde(rename = "type")]
    pub kind: ClientFrameType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tab: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Vec<TopicPosition>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positions: Option<Vec<TopicPosition>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<Slow>,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "ref")]
    pub request: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<StatedEnd>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<bool>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub data: Option<P>,
}

impl<P> ClientEnvelope<P> {
    fn empty(kind: ClientFrameType) -> Self {
        Self {
            kind,
            token: None,
            client: None,
            group: None,
            term: None,
            tab: None,
            pattern: None,
            flow: None,
            since: None,
            latest: None,
            durable: None,
            positions: None,
            slow: None,
            request: None,
            topic: None,
            key: None,
            end: None,
            id: None,
            restart: None,
            data: None,
        }
    }
}

impl<'a, P> From<&'a ClientFrame<P>> for ClientEnvelope<&'a P> {
    fn from(frame: &'a ClientFrame<P>) -> Self {
        let flow_spec = |flow: Flow| (flow != Flow::default()).then(|| FlowSpec::from(flow));
        match frame {
            ClientFrame::Hello {
                token,
                client,
                group,
            } => Self {
                token: token.clone(),
                client: client.clone(),
                group: group.as_ref().map(|known| known.group.clone()),
                term: group.as_ref().map(|known| known.term.counter),
                tab: group.as_ref().map(|known| known.term.tab.0),
                ..Self::empty(ClientFrameType::Hello)
            },
            ClientFrame::Subscribe(subscribe) => Self {
                pattern: Some(subscribe.pattern.to_string()),
                flow: flow_spec(subscribe.flow),
                since: match &subscribe.start {
                    Start::Latest | Start::New => None,
                    Start::Since(positions) => Some(positions.clone()),
                },
                latest: matches!(subscribe.start, Start::New).then_some(false),
                durable: subscribe
                    .durable
                    .as_ref()
                    .map(|name| name.as_str().to_string()),
                slow: subscribe.slow,
                ..Self::empty(ClientFrameType::Subscribe)
            },
            ClientFrame::Unsubscribe { pattern } => Self {
                pattern: Some(pattern.to_string()),
                ..Self::empty(ClientFrameType::Unsubscribe)
            },
            ClientFrame::Ack { pattern, positions } => Self {
                pattern: Some(pattern.to_string()),
                positions: Some(positions.clone()),
                ..Self::empty(ClientFrameType::Ack)
            },
            ClientFrame::Forget { pattern } => Self {
                pattern: Some(pattern.to_string()),
                ..Self::empty(ClientFrameType::Forget)
            },
            ClientFrame::Flow { pattern, flow } => Self {
                pattern: Some(pattern.to_string()),
                flow: Some(FlowSpec::from(*flow)),
                ..Self::empty(ClientFrameType::Flow)
            },
            ClientFrame::Publish { request, publish } => Self {
                request: Some(*request),
                topic: Some(publish.topic.to_string()),
                end: publish.end,
                id: publish.id.clone(),
                restart: publish.restart.then_some(true),
                data: Some(&publish.payload),
                ..Self::empty(ClientFrameType::Publish)
            },
            ClientFrame::Track {
                request,
                topic,
                key,
                meta,
            } => Self {
                request: Some(*request),
                topic: Some(topic.to_string()),
                key: Some(key.to_string()),
                data: Some(meta),
                ..Self::empty(ClientFrameType::Track)
            },
            ClientFrame::Untrack { request } => Self {
                request: Some(*request),
                ..Self::empty(ClientFrameType::Untrack)
            },
            ClientFrame::Watch { request, topic } => Self {
                request: Some(*request),
                topic: Some(topic.to_string()),
                ..Self::empty(ClientFrameType::Watch)
            },
            ClientFrame::Unwatch { topic } => Self {
                topic: Some(topic.to_string()),
                ..Self::empty(ClientFrameType::Unwatch)
            },
            ClientFrame::Ping => Self::empty(ClientFrameType::Ping),
            ClientFrame::Pong => Self::empty(ClientFrameType::Pong),
        }
    }
}

impl<P> TryFrom<ClientEnvelope<P>> for ClientFrame<P> {
    type Error = FrameError;

    fn try_from(envelope: ClientEnvelope<P>) -> Result<Self, FrameError> {
        Ok(match envelope.kind {
            ClientFrameType::Hello => Self::Hello {
                token: envelope.token,
                client: envelope.client,
                group: group_term(envelope.group, envelope.term, envelope.tab),
            },
            ClientFrameType::Subscribe => Self::Subscribe(SubscribeRequest {
                pattern: need_pattern(envelope.pattern, "subscribe")?,
                flow: checked_flow(envelope.flow)?,
                start: match (envelope.since, envelope.latest) {
                    (Some(positions), _) => Start::Since(positions),
                    (None, Some(false)) => Start::New,
                    (None, Some(true) | None) => Start::Latest,
                },
                durable: envelope
                    .durable
                    .map(|name| DurableName::new(&name))
                    .transpose()?,
                slow: envelope.slow,
            }),
            ClientFrameType::Unsubscribe => Self::Unsubscribe {
                pattern: need_pattern(envelope.pattern, "unsubscribe")?,
            },
            ClientFrameType::Ack => Self::Ack {
                pattern: need_pattern(envelope.pattern, "ack")?,
                positions: need(envelope.positions, "ack", "positions")?,
            },
            ClientFrameType::Forget => Self::Forget {
                pattern: need_pattern(envelope.pattern, "forget")?,
            },
            ClientFrameType::Flow => Self::Flow {
                pattern: need_pattern(envelope.pattern, "flow")?,
                flow: checked_flow(envelope.flow)?,
            },
            ClientFrameType::Publish => Self::Publish {
                request: need(envelope.request, "publish", "ref")?,
                publish: PublishRequest {
                    topic: need_topic(envelope.topic, "publish")?,
                    payload: need(envelope.data, "publish", "data")?,
                    end: envelope.end,
                    id: envelope.id,
                    restart: envelope.restart.unwrap_or(false),
                },
            },
            ClientFrameType::Track => Self::Track {
                request: need(envelope.request, "track", "ref")?,
                topic: need_topic(envelope.topic, "track")?,
                key: Key::new(&need(envelope.key, "track", "key")?)?,
                meta: need(envelope.data, "track", "data")?,
            },
            ClientFrameType::Untrack => Self::Untrack {
                request: need(envelope.request, "untrack", "ref")?,
            },
            ClientFrameType::Watch => Self::Watch {
                request: need(envelope.request, "watch", "ref")?,
                topic: need_topic(envelope.topic, "watch")?,
            },
            ClientFrameType::Unwatch => Self::Unwatch {
                topic: need_topic(envelope.topic, "unwatch")?,
            },
            ClientFrameType::Ping => Self::Ping,
            ClientFrameType::Pong => Self::Pong,
        })
    }
}

fn group_term(group: Option<String>, counter: Option<u64>, tab: Option<u64>) -> Option<GroupTerm> {
    let term = Term {
        counter: counter.unwrap_or(0),
        tab: TabId(tab.unwrap_or(0)),
    };
    group.map(|group| GroupTerm { group, term })
}

fn checked_flow(spec: Option<FlowSpec>) -> Result<Flow, FrameError> {
    let flow = Flow::try_from(spec.unwrap_or_default())
        .map_err(|error| FrameError::Flow(error.to_string()))?;
    flow.validate()
        .map_err(|error| FrameError::Flow(error.to_string()))?;
    Ok(flow)
}
