//! The address of a key set, as people write it.

use std::fmt;
use std::net::IpAddr;

use axum::http::Uri;

use crate::auth::JwtError;
use crate::client::{ServerAddress, UrlError};

/// The URL of a key set.
#[derive(Clone, Debug)]
pub(in crate::auth::jwt) struct KeySetUrl {
    /// Host and port, and whether it uses TLS.
    pub(super) server: ServerAddress,
    /// The path and the query, by which some providers tell applications apart.
    pub(super) target: String,
    text: String,
}

impl KeySetUrl {
    /// # Errors
    /// If it is not a URL, or somebody on the way could put keys of their own into the set.
    pub(in crate::auth::jwt) fn parse(text: &str) -> Result<Self, JwtError> {
        let bad = |why: &str| JwtError::BadUrl {
            url: text.to_owned(),
            why: why.to_owned(),
        };
        let uri: Uri = text.parse().map_err(|_| bad("it is not a URL"))?;
        let authority = uri
            .authority()
            .ok_or_else(|| bad("it has no host; write https://HOST/PATH"))?;
        if authority.as_str().contains('@') {
            // The part before the host may contain a password, which an error must not show.
            return Err(JwtError::BadUrl {
                url: format!("https://…@{}", authority.host()),
                why: "it contains a name or a password, and public keys need neither".to_owned(),
            });
        }
        let scheme = match uri.scheme_str() {
            Some("https") => "https",
            Some("http") if is_loopback(authority.host()) => "http",
            Some("http") => {
                return Err(bad(
                    "over http:// an attacker in between could replace the keys; write https://, or fetch them from this machine",
                ));
            }
            _ => return Err(bad("it must begin with https://")),
        };
        let server = format!("{scheme}://{authority}").parse();
        let server = server.map_err(|error| match error {
            UrlError::Malformed { .. } => bad("its host or port is not valid"),
            UrlError::Tls { .. } => {
                bad("it needs TLS, and this program was built without it (the feature `tls`)")
            }
        })?;
        let target = uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
            .to_owned();
        Ok(Self {
            server,
            target,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for KeySetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a host always means this machine.
fn is_loopback(host: &str) -> bool {
    let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    match address {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let url = KeySetUrl::parse("http://[::1]:81/keys?app=7").unwrap();
        assert_eq!((url.server.host(), url.server.port()), ("::1", 81));
        assert_eq!(url.target, "/keys?app=7");
        assert_eq!(url.to_string(), "http://[::1]:81/keys?app=7");
        let bare = KeySetUrl::parse("http://localhost").unwrap();
        assert_eq!((bare.server.port(), bare.target.as_str()), (80, "/"));
    }

    #[test]
    #[cfg(feature = "tls")]
    fn an_address_elsewhere_is_encrypted() {
        let url = KeySetUrl::parse("https://id.example/.well-known/jwks.json").unwrap();
        assert!(url.server.is_secure());
        assert_eq!(
            (url.server.authority(), url.server.port()),
            ("id.example".to_owned(), 443)
        );
        assert_eq!(url.target, "/.well-known/jwks.json");
    }

    #[test]
    fn what_is_no_address_or_none_to_trust_is_refused_in_words() {
        for (text, why) in [
            ("", "not a URL"),
            ("/keys", "no host"),
            ("https://", "not a URL"),
            ("ftp://id.example/keys", "https://"),
            ("http://id.example/keys", "attacker"),
            ("http://10.0.0.1/keys", "attacker"),
            ("http://localhost.example/keys", "attacker"),
            ("http://127.0.0.1:99999/keys", "host or port"),
            ("https://ada:hush@id.example/keys", "a name or a password"),
        ] {
            let error = KeySetUrl::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
