//! Presences in their JSON form.

use serde::{Deserialize, Serialize};

use crate::presence::{Key, NodeId, PresenceId, Present};

/// A [`Present`] in its JSON form.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the members are those of a present meta")]
pub struct PresentEnvelope<P> {
    pub key: Key,
    pub node: NodeId,
    pub clock: u64,
    pub data: P,
}

impl<'a, P> From<&'a Present<P>> for PresentEnvelope<&'a P> {
    fn from(present: &'a Present<P>) -> Self {
        Self {
            key: present.key.clone(),
            node: present.id.node,
            clock: present.id.clock,
            data: &present.meta,
        }
    }
}

impl<P> From<PresentEnvelope<P>> for Present<P> {
    fn from(envelope: PresentEnvelope<P>) -> Self {
        Self {
            id: PresenceId {
                node: envelope.node,
                clock: envelope.clock,
            },
            key: envelope.key,
            meta: envelope.data,
        }
    }
}
