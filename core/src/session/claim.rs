//! Whose a connection is that a browser's tabs share, and how servers tell each other.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::tabs::{TabId, Term};

/// The tabs that share a connection. Those of other users are others, even if they knew the group's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharedBy {
    /// The name of the group, that only its tabs know.
    pub group: String,
    /// Whose tabs they are, where that is known.
    pub user: Option<Arc<str>>,
}

/// A server has the connection of a term: those of earlier terms, at whichever server, are over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose it is.
    pub shared_by: SharedBy,
    /// Since when.
    pub term: Term,
}

impl Claim {
    /// How many bytes its texts have.
    pub fn text_bytes(&self) -> usize {
        let user = self.shared_by.user.as_ref();
        self.shared_by.group.len() + user.map_or(0, |user| user.len())
    }
}

/// Claims in their JSON form: what a server says to all others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the members are those of the claims")]
pub struct ClaimsEnvelope {
    #[serde(rename = "type")]
    pub kind: ClaimsType,
    pub claims: Vec<ClaimEnvelope>,
}

/// The `type` that tells claims from whatever else servers say to each other.
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
