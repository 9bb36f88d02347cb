//! Where a key set is: at a URL, or where the document of an OpenID Connect provider says.

use std::fmt;

use serde::Deserialize;

use super::address::KeySetUrl;
use super::fetch::{FetchError, Fetched, fetch};
use crate::auth::JwtError;
use crate::client::ClientOptions;

/// The path of a provider's configuration document (OpenID Connect Discovery 1.0, 4).
const DOCUMENT: &str = "/.well-known/openid-configuration";

/// Where a key set is.
#[derive(Clone, Debug)]
pub(in crate::auth::jwt) enum Source {
    /// At this URL.
    Set(KeySetUrl),
    /// Where this document of an issuer says.
    Provider { document: KeySetUrl, issuer: String },
}

/// The members of the document that are read.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl Source {
    /// The keys of the provider that calls itself `issuer`.
    ///
    /// # Errors
    /// If that is not a URL, or not one to trust.
    pub(in crate::auth::jwt) fn of_issuer(issuer: &str) -> Result<Self, JwtError> {
        let document = format!("{}{DOCUMENT}", issuer.trim_end_matches('/'));
        Ok(Self::Provider {
            document: KeySetUrl::parse(&document)?,
            issuer: issuer.to_owned(),
        })
    }

    /// Fetches the set, and returns its URL, too.
    ///
    /// # Errors
    /// As [`FetchError`] says.
    pub(super) async fn fetch(
        &self,
        options: &ClientOptions,
    ) -> Result<(KeySetUrl, Fetched), FetchError> {
        let url = match self {
            Self::Set(url) => url.clone(),
            Self::Provider { document, issuer } => {
                let fetched = fetch(document, options).await?;
                set_of(issuer, &fetched.body)?
            }
        };
        let fetched = fetch(&url, options).await?;
        Ok((url, fetched))
    }
}

/// The URL of the key set, according to the document of `issuer`.
fn set_of(issuer: &str, document: &[u8]) -> Result<KeySetUrl, FetchError> {
    let set_from: Document = serde_json::from_slice(document).map_err(FetchError::NoDocument)?;
    // Otherwise, another issuer's keys would verify tokens in this one's name.
    if set_from.issuer != issuer {
        return Err(FetchError::OtherIssuer {
            issuer: set_from.issuer,
        });
    }
    Ok(KeySetUrl::parse(&set_from.jwks_uri)?)
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(url) | Self::Provider { document: url, .. } => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "http://127.0.0.1:81/tenant/";

    #[test]
    fn the_document_is_below_the_issuer() {
        for issuer in [ISSUER, ISSUER.trim_end_matches('/')] {
            let source = Source::of_issuer(issuer).unwrap();
            let document = "http://127.0.0.1:81/tenant/.well-known/openid-configuration";
            assert_eq!(source.to_string(), document);
        }
        assert!(Source::of_issuer("id.example").is_err());
    }

    #[test]
    fn only_the_issuers_own_document_says_where_its_keys_are() {
        let set_from = |document: &str| set_of(ISSUER, document.as_bytes());
        let found = set_from(
            r#"{"issuer":"http://127.0.0.1:81/tenant/","jwks_uri":"http://localhost/k","x":[]}"#,
        );
        assert_eq!(found.unwrap().to_string(), "http://localhost/k");
        for (document, why) in [
            ("<html>", "not an OpenID Connect"),
            (r#"{"issuer":"http://127.0.0.1:81/tenant/"}"#, "jwks_uri"),
            (
                r#"{"issuer":"http://127.0.0.1:81/tenant","jwks_uri":"http://localhost/k"}"#,
                "slash",
            ),
            (
                r#"{"issuer":"http://127.0.0.1:81/tenant/","jwks_uri":"http://id.example/k"}"#,
                "attacker",
            ),
        ] {
            let error = set_from(document).unwrap_err().to_string();
            assert!(error.contains(why), "{document}: {error}");
        }
    }
}
