//! JSON Web Tokens (RFC 7519), signed with a shared secret or by a key of a set (RFC 7517).

mod keys;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};

use keys::Keys;

use super::claims::Claims;
use super::{AuthError, Authenticate, Authenticating, Credentials, Identity};

/// The shortest secret that HMAC-SHA-256 is safe with (RFC 7518, 3.2), in bytes.
const SECRET_BYTES_MIN: usize = 32;

/// By how much the issuer's clock may be off, in seconds.
const LEEWAY_S: u64 = 5;

/// Verifies JSON Web Tokens, whose claims say who the client is and what it may do.
///
/// | claim | meaning |
/// |---|---|
/// | `sub` | the user: a text, or a number |
/// | `subscribe` | patterns that may be subscribed to |
/// | `publish` | patterns of topics that may be published to |
/// | `exp` | when the token ends, in seconds since 1970; required |
/// | `nbf` | before when it isn't valid |
/// | `aud`, `iss` | must be what [`JwtVerifier::for_audience`] and [`JwtVerifier::from_issuer`] say |
///
/// Clones share their keys, also after those are [read again](JwtVerifier::reload).
#[derive(Clone)]
pub struct JwtVerifier {
    keys: Arc<Keys>,
    audience: Option<String>,
    issuer: Option<String>,
}

/// Why a secret or a set of keys can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwtError {
    /// The secret is so short that it could be guessed.
    #[error(
        "the secret has {bytes} bytes; HS256 needs at least {SECRET_BYTES_MIN}, as `openssl rand -hex 32` makes"
    )]
    ShortSecret {
        /// Its length.
        bytes: usize,
    },
    /// The file with the secret or the keys can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a JSON Web Key Set.
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
    /// The file contains no key.
    #[error("{} has no keys", path.display())]
    NoKeys {
        /// The file.
        path: PathBuf,
    },
}

impl JwtVerifier {
    /// Verifies tokens that are signed with HS256 and `secret`.
    ///
    /// # Errors
    /// If the secret is shorter than 32 bytes.
    pub fn hs256(secret: &[u8]) -> Result<Self, JwtError> {
        Keys::secret(secret).map(Self::with_keys)
    }

    /// Like [`JwtVerifier::hs256`], with the secret in a file. White space at its end is not part of the secret.
    ///
    /// # Errors
    /// If the file can't be read, or the secret is shorter than 32 bytes.
    pub fn hs256_file(path: impl AsRef<Path>) -> Result<Self, JwtError> {
        Keys::secret_file(path.as_ref()).map(Self::with_keys)
    }

    /// Verifies tokens that are signed with one of the public keys in a JSON Web Key Set: RS256, ES256 (P-256) or EdDSA
    /// (Ed25519). Keys of other kinds, and keys for other uses than signatures, are ignored.
    ///
    /// # Errors
    /// If the file can't be read, is not a key set, or contains no usable key, or one that must not be there.
    pub fn jwks_file(path: impl AsRef<Path>) -> Result<Self, JwtError> {
        Keys::set_file(path.as_ref()).map(Self::with_keys)
    }

    fn with_keys(keys: Keys) -> Self {
        Self {
            keys: Arc::new(keys),
            audience: None,
            issuer: None,
        }
    }

    /// Reads the file of keys again, if there is one, and returns whether it contains anything new. From then on,
    /// tokens are verified with it; clients that have connected already stay until their tokens expire.
    ///
    /// # Errors
    /// As for [`JwtVerifier::jwks_file`]. The current keys then stay in use.
    pub fn reload(&self) -> Result<bool, JwtError> {
        self.keys.reload()
    }

    /// Accepts only tokens for this audience. Without it, tokens that name an audience are refused.
    #[must_use]
    pub fn for_audience(self, audience: impl Into<String>) -> Self {
        Self {
            audience: Some(audience.into()),
            ..self
        }
    }

    /// Accepts only tokens of this issuer.
    #[must_use]
    pub fn from_issuer(self, issuer: impl Into<String>) -> Self {
        Self {
            issuer: Some(issuer.into()),
            ..self
        }
    }

    /// Verifies a token, and returns what it says about its bearer.
    ///
    /// # Errors
    /// If it is not a token, is not signed with one of the keys, has expired or isn't valid yet, has a different
    /// audience or issuer, or grants something that is not a pattern.
    pub fn verify(&self, token: &str) -> Result<Identity, AuthError> {
        let header = decode_header(token).map_err(|error| refusal(&error))?;
        // Who doesn't understand what the signer says must be understood, must not go by the token (RFC 7515, 4.1.11).
        if let Some(names) = &header.crit {
            let names = names.join(", ");
            return Err(AuthError::Invalid(format!(
                "its header demands by `crit` that this be understood, which is not: {names}"
            )));
        }
        let keys = self.keys.now();
        let may_have = keys
            .iter()
            .filter(|key| key.may_have_signed(header.kid.as_deref(), header.alg));
        for key in may_have {
            match decode::<Claims>(token, &key.decoding, &self.validation(key.algorithm)) {
                Ok(read) => return read.claims.into_identity(),
                Err(error) if is_of_key(error.kind()) => {}
                // It is this one's: what is wrong is what the token says.
                Err(error) => return Err(refusal(&error)),
            }
        }
        Err(AuthError::Invalid("no key here has signed it".into()))
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
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

/// Whether an error only says that a token isn't signed by this key, which another one may have done.
const fn is_of_key(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidSignature
            | ErrorKind::InvalidEcdsaKey
            | ErrorKind::InvalidEddsaKey
            | ErrorKind::InvalidRsaKey(_)
            | ErrorKind::InvalidKeyFormat
    )
}

fn refusal(error: &jsonwebtoken::errors::Error) -> AuthError {
    match error.kind() {
        ErrorKind::ExpiredSignature => AuthError::Expired,
        ErrorKind::InvalidAudience => AuthError::Invalid("it is meant for another audience".into()),
        ErrorKind::InvalidIssuer => AuthError::Invalid("another issuer made it".into()),
        ErrorKind::ImmatureSignature => AuthError::Invalid("it is not valid yet".into()),
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
            .field("keys", &self.keys.now().len())
            .field("audience", &self.audience)
            .field("issuer", &self.issuer)
            .finish()
    }
}

#[cfg(test)]
mod tests;
