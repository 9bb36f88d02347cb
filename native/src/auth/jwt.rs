//! JSON Web Tokens (RFC 7519), signed with a shared secret or by a key of a set (RFC 7517).

use std::path::{Path, PathBuf};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation, decode, decode_header};

use super::claims::Claims;
use super::{AuthError, Authenticate, Authenticating, Credentials, Identity};

/// The shortest secret that HMAC-SHA-256 is safe with (RFC 7518, 3.2), in bytes.
const SECRET_BYTES_MIN: usize = 32;

/// By how much the issuer's clock may be off, in seconds.
const LEEWAY_S: u64 = 5;

/// Reads tokens whose claims say who the client is and what it may do.
///
/// | claim | meaning |
/// |---|---|
/// | `sub` | the user: a text, or a number |
/// | `subscribe` | patterns that may be subscribed to |
/// | `publish` | patterns of topics that may be published to |
/// | `exp` | when the token ends, in seconds since 1970; required |
/// | `nbf` | before when it isn't valid |
/// | `aud`, `iss` | must be what [`JwtVerifier::for_audience`] and [`JwtVerifier::from_issuer`] say |
#[derive(Clone)]
pub struct JwtVerifier {
    keys: Vec<Key>,
    audience: Option<String>,
    issuer: Option<String>,
}

#[derive(Clone)]
struct Key {
    /// The key's name, where a token may say by which key it is signed.
    id: Option<String>,
    decoding: DecodingKey,
    algorithms: Vec<Algorithm>,
}

/// Why tokens could not be read with what was given.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// The secret could be guessed.
    #[error(
        "the secret has {bytes} bytes; HS256 needs at least {SECRET_BYTES_MIN}, as `openssl rand -hex 32` makes"
    )]
    ShortSecret {
        /// Its length.
        bytes: usize,
    },
    /// The file of keys can't be read.
    #[error("cannot read the keys in {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file of keys is none.
    #[error("{} is no JSON Web Key Set: {source}", path.display())]
    NoKeySet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// One of the keys can't be used.
    #[error("key {number} in {}: {why}", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// Which one, from 1.
        number: usize,
        /// Why.
        why: String,
    },
    /// There is no key.
    #[error("{} has no keys", path.display())]
    NoKeys {
        /// The file.
        path: PathBuf,
    },
}

impl JwtVerifier {
    /// Reads tokens that are signed by HS256 with `secret`.
    ///
    /// # Errors
    /// The secret is shorter than 32 bytes.
    pub fn hs256(secret: &[u8]) -> Result<Self, JwtError> {
        if secret.len() < SECRET_BYTES_MIN {
            let bytes = secret.len();
            return Err(JwtError::ShortSecret { bytes });
        }
        Ok(Self::with_keys(vec![Key {
            id: None,
            decoding: DecodingKey::from_secret(secret),
            algorithms: vec![Algorithm::HS256],
        }]))
    }

    /// Reads tokens that are signed by one of the public keys of a JSON Web Key Set: RS256, ES256 or EdDSA.
    ///
    /// # Errors
    /// The file can't be read, is none, or has a key that can't be used.
    pub fn jwks_file(path: impl AsRef<Path>) -> Result<Self, JwtError> {
        let path = path.as_ref();
        let text = std::fs::read(path).map_err(|source| JwtError::Unreadable {
            path: path.into(),
            source,
        })?;
        let set: JwkSet = serde_json::from_slice(&text).map_err(|source| JwtError::NoKeySet {
            path: path.into(),
            source,
        })?;
        if set.keys.is_empty() {
            return Err(JwtError::NoKeys { path: path.into() });
        }
        let read = |(at, jwk): (usize, &Jwk)| {
            Key::from_jwk(jwk).map_err(|why| JwtError::BadKey {
                path: path.into(),
                number: at + 1,
                why,
            })
        };
        let keys: Result<_, _> = set.keys.iter().enumerate().map(read).collect();
        Ok(Self::with_keys(keys?))
    }

    fn with_keys(keys: Vec<Key>) -> Self {
        Self {
            keys,
            audience: None,
            issuer: None,
        }
    }

    /// Takes only tokens that are meant for `audience`. Without it, tokens that name an audience are refused.
    #[must_use]
    pub fn for_audience(self, audience: impl Into<String>) -> Self {
        Self {
            audience: Some(audience.into()),
            ..self
        }
    }

    /// Takes only tokens that `issuer` made.
    #[must_use]
    pub fn from_issuer(self, issuer: impl Into<String>) -> Self {
        Self {
            issuer: Some(issuer.into()),
            ..self
        }
    }

    /// What `token` says of its bearer.
    ///
    /// # Errors
    /// It is no token, no key of ours signed it, it has expired or isn't valid yet, it is for or from somebody
    /// else, or grants something that is no pattern.
    pub fn verify(&self, token: &str) -> Result<Identity, AuthError> {
        let header = decode_header(token).map_err(|error| refusal(&error))?;
        let mut last = AuthError::Invalid("no key here has signed it".into());
        for key in self.candidates(header.kid.as_deref(), header.alg) {
            match decode::<Claims>(token, &key.decoding, &self.validation(key)) {
                Ok(read) => return read.claims.into_identity(),
                Err(error) => last = refusal(&error),
            }
        }
        Err(last)
    }

    /// The keys that may have signed a token: where it names one, that one.
    fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| {
            let is_named = id.is_none() || key.id.is_none() || key.id.as_deref() == id;
            is_named && key.algorithms.contains(&algorithm)
        })
    }

    fn validation(&self, key: &Key) -> Validation {
        let mut validation = Validation::new(key.algorithms[0]);
        validation.algorithms.clone_from(&key.algorithms);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".into());
        }
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".into());
        }
        validation
    }
}

impl Key {
    fn from_jwk(jwk: &Jwk) -> Result<Self, String> {
        let decoding = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
        // A shared secret in a file of public keys, or a public key taken for a secret, is how tokens are forged.
        let algorithm = match decoding.family() {
            AlgorithmFamily::Rsa => Algorithm::RS256,
            AlgorithmFamily::Ec => Algorithm::ES256,
            AlgorithmFamily::Ed => Algorithm::EdDSA,
            AlgorithmFamily::Hmac => {
                return Err("a shared secret has no place among public keys".into());
            }
        };
        Ok(Self {
            id: jwk.common.key_id.clone(),
            decoding,
            algorithms: vec![algorithm],
        })
    }
}

fn refusal(error: &jsonwebtoken::errors::Error) -> AuthError {
    match error.kind() {
        ErrorKind::ExpiredSignature => AuthError::Expired,
        ErrorKind::InvalidAudience => AuthError::Invalid("it is meant for another audience".into()),
        ErrorKind::InvalidIssuer => AuthError::Invalid("another issuer made it".into()),
        ErrorKind::ImmatureSignature => AuthError::Invalid("it is not valid yet".into()),
        ErrorKind::InvalidSignature => AuthError::Invalid("no key here has signed it".into()),
        ErrorKind::MissingRequiredClaim(claim) => {
            AuthError::Invalid(format!("its claim `{claim}` is missing"))
        }
        _ => AuthError::Invalid(error.to_string()),
    }
}

impl Authenticate for JwtVerifier {
    fn authenticate(&self, credentials: Credentials) -> Authenticating<'_> {
        let token = credentials.token;
        Box::pin(std::future::ready(
            token
                .ok_or(AuthError::Missing)
                .and_then(|token| self.verify(&token)),
        ))
    }
}

/// Keys are secrets.
impl std::fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwtVerifier")
            .field("keys", &self.keys.len())
            .field("audience", &self.audience)
            .field("issuer", &self.issuer)
            .finish()
    }
}

#[cfg(test)]
mod tests;
