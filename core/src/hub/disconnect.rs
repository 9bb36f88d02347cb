//! The messages by which servers tell each other that a user's connections are ended.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// Ends the connections of a user on every server: those whose clients had been authenticated as that user by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// Identifies this disconnect, which may be announced several times.
    pub id: u64,
    /// Whose connections.
    pub user: Arc<str>,
    /// How long ago it was requested.
    pub age: Duration,
}

impl Disconnect {
    /// The size of its texts, in bytes.
    pub fn text_bytes(&self) -> usize {
        self.user.len()
    }
}

/// Disconnects in their JSON form, as one server sends them to all others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the members are those of the disconnects")]
pub struct DisconnectsEnvelope {
    #[serde(rename = "type")]
    pub kind: DisconnectsType,
    pub disconnects: Vec<DisconnectEnvelope>,
}

/// The `type` that distinguishes disconnects from the other messages between servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "there is one")]
pub enum DisconnectsType {
    Disconnects,
}

/// A disconnect in its JSON form.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the members are those of a disconnect")]
pub struct DisconnectEnvelope {
    pub id: u64,
    pub user: String,
    pub age_ms: u64,
}

impl From<Vec<Disconnect>> for DisconnectsEnvelope {
    fn from(disconnects: Vec<Disconnect>) -> Self {
        let disconnects = disconnects.into_iter().map(|disconnect| {
            let age_ms = u64::try_from(disconnect.age.as_millis()).unwrap_or(u64::MAX);
            DisconnectEnvelope {
                id: disconnect.id,
                user: String::from(&*disconnect.user),
                age_ms,
            }
        });
        Self {
            kind: DisconnectsType::Disconnects,
            disconnects: disconnects.collect(),
        }
    }
}

impl From<DisconnectsEnvelope> for Vec<Disconnect> {
    fn from(envelope: DisconnectsEnvelope) -> Self {
        let disconnects = envelope.disconnects.into_iter().map(|told| Disconnect {
            id: told.id,
            user: told.user.into(),
            age: Duration::from_millis(told.age_ms),
        });
        disconnects.collect()
    }
}
