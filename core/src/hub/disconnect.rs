//! That the connections of a user are ended, as servers tell each other.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// The connections of a user are ended, at whichever server: those of clients who had said who they are by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// Tells it from others. It may be told several times.
    pub id: u64,
    /// Whose connections.
    pub user: Arc<str>,
    /// How long ago that was.
    pub age: Duration,
}

impl Disconnect {
    /// How many bytes its texts have.
    pub fn text_bytes(&self) -> usize {
        self.user.len()
    }
}

/// Disconnects in their JSON form: what a server says to all others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the members are those of the disconnects")]
pub struct DisconnectsEnvelope {
    #[serde(rename = "type")]
    pub kind: DisconnectsType,
    pub disconnects: Vec<DisconnectEnvelope>,
}

/// The `type` that tells disconnects from whatever else servers say to each other.
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
