//! Converts the claims of a token to an [`Identity`].

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tidegate_core::topic::Pattern;

use super::{AuthError, Identity, checked_user};

/// The most patterns that a token may grant of each kind.
pub(super) const PATTERNS_MAX: usize = 1_000;

/// The members of a token that are read; others are ignored.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Claims {
    sub: Option<Subject>,
    exp: Option<f64>,
    #[serde(default)]
    subscribe: Vec<String>,
    #[serde(default)]
    publish: Vec<String>,
}

/// Whom a token is about. By RFC 7519 this is a text; many issuers put a database's number there.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Subject {
    Text(String),
    Number(u64),
}

impl Subject {
    /// The user's name.
    ///
    /// # Errors
    /// If it can't be a user's name: what is wrong with it.
    pub(crate) fn name(self) -> Result<String, String> {
        match self {
            Self::Text(text) => checked_user(text),
            Self::Number(number) => Ok(number.to_string()),
        }
    }
}

impl Claims {
    /// # Errors
    /// If a pattern or the user's name is invalid.
    pub(super) fn into_identity(self) -> Result<Identity, AuthError> {
        let user = self.sub.map(Subject::name).transpose();
        Ok(Identity {
            user: user.map_err(AuthError::Invalid)?,
            subscribe: patterns("subscribe", &self.subscribe)?,
            publish: patterns("publish", &self.publish)?,
            expires: self.exp.and_then(instant),
        })
    }
}

/// Converts a time. One that is beyond the system's range is never reached.
fn instant(seconds: f64) -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(since)
}

fn patterns(claim: &str, texts: &[String]) -> Result<Vec<Pattern>, AuthError> {
    if texts.len() > PATTERNS_MAX {
        return Err(AuthError::Invalid(format!(
            "its claim `{claim}` has {} patterns, and may have {PATTERNS_MAX}",
            texts.len()
        )));
    }
    let parse = |text: &String| {
        Pattern::new(text)
            .map_err(|error| AuthError::Invalid(format!("its claim `{claim}`: {text:?}: {error}")))
    };
    texts.iter().map(parse).collect()
}
