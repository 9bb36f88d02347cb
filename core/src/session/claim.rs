//! The owners of connections shared by a browser's tabs, and the claims that servers exchange about them.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::tabs::{TabId, Term};

/// Identifies the tabs that share a connection. Tabs of another user are different ones, even with the same group name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharedBy {
    /// The group name, which only these tabs know.
    pub group: String,
    /// Their user, if known.
    pub user: Option<Arc<str>>,
}

/// Announces that a server has the connection of a term. Connections of earlier terms, on any server, must be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The tabs that share the connection.
    pub shared_by: SharedBy,
    /// The term of the connection.
    pub term: Term,
}

impl Claim {
    /// The size of its texts, in bytes.
    pub fn text_bytes(&self) -> usize {
        let user = self.shared_by.user.as_ref();
        self.shared_by.group.len() + user.map_or(0, |user| user.len())
    }
}

/// Claims in their JSON form, as one server sends them to all others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the members are those of the claims")]
pub struct ClaimsEnvelope {
    #[serde(rename = "type")]
    pub kind: ClaimsType,
    pub claims: Vec<ClaimEnvelope>,
}

/// The `type` that distinguishes claims from the other messages between servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "there is one")]
pub enum ClaimsType {
    Claims,
}

/// A claim in its JSON form.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "the members are those of a claim and of `hello`"
)]
pub struct ClaimEnvelope {
    pub group: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    pub term: u64,
    pub tab: u64,
}

impl From<Vec<Claim>> for ClaimsEnvelope {
    fn from(claims: Vec<Claim>) -> Self {
        let claims = claims.into_iter().map(|claim| ClaimEnvelope {
            group: claim.shared_by.group,
            user: claim.shared_by.user.map(|user| String::from(&*user)),
            term: claim.term.counter,
            tab: claim.term.tab.0,
        });
        Self {
            kind: ClaimsType::Claims,
            claims: claims.collect(),
        }
    }
}

impl From<ClaimsEnvelope> for Vec<Claim> {
    fn from(envelope: ClaimsEnvelope) -> Self {
        let claims = envelope.claims.into_iter().map(|claim| Claim {
            shared_by: SharedBy {
                group: claim.group,
                user: claim.user.map(Into::into),
            },
            term: Term {
                counter: claim.term,
                tab: TabId(claim.tab),
            },
        });
        claims.collect()
    }
}
