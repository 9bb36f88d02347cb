//! JSON Web Tokens (RFC 7519), signed with a shared secret or by a key of a set (RFC 7517).

mod keys;
mod refresh;
mod remote;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};

use keys::{Key, Keys};
pub(crate) use remote::KeySetHealth;
use remote::Remote;

use super::claims::Claims;
use super::{AuthError, Authenticate, Authenticating, Credentials, Identity};
use crate::client::Trust;

/// The shortest secret that HMAC-SHA-256 is safe with (RFC 7518, 3.2), in bytes.
const SECRET_BYTES_MIN: usize = 32;

/// The algorithms with public keys.
const PUBLIC: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

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
/// Clones share their keys, also after those are [read](JwtVerifier::reload) or fetched again.
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
    /// Keys can't be fetched from this address.
    #[error("{url:?} is not an address to fetch keys from: {why}")]
    BadUrl {
        /// What was given, without what may be a password.
        url: String,
        /// Why.
        why: String,
    },
    /// The file, or the answer of the URL, is not a JSON Web Key Set.
    #[error("{place} is not a JSON Web Key Set: {source}")]
    NoKeySet {
        /// The file or URL.
        place: String,
        /// Why.
        source: serde_json::Error,
    },
    /// One of the keys can't be used.
    #[error("key {number} in {place}: {why}")]
    BadKey {
        /// The file or URL.
        place: String,
        /// Which one, from 1.
        number: usize,
        /// Why.
        why: String,
    },
    /// The file or the set contains no key.
    #[error("{place} has no keys")]
    NoKeys {
        /// The file or URL.
        place: String,
    },
}

/// Why a token is not accepted.
enum Fault {
    /// A fault of the token, whatever keys there may be.
    Token(AuthError),
    /// There is no key with the name that it gives, but there may be one at the URL of the keys.
    UnknownKey,
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

    /// Like [`JwtVerifier::jwks_file`], with the set at a URL, such as `https://id.example/.well-known/jwks.json`, where an identity
    /// provider publishes the keys
    /// that it signs with, and changes them from time to time. `http://` is accepted for this machine only.
    ///
    /// Nothing is fetched yet: [`fetch_keys`](Self::fetch_keys) begins with it, or the first token, on the tokio runtime that it arrives
    /// on. The set is fetched again when the time in its `Cache-Control: max-age` is over (at least a minute, at most 24 hours; 10 minutes
    /// without), and for a token that names a key which isn't in the set; the token waits for that for up to five seconds. Made-up
    /// names cause one fetch in 30 seconds at the most.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), tidegate::auth::JwtError> {
    /// use tidegate::auth::JwtVerifier;
    ///
    /// let tokens = JwtVerifier::jwks_url("https://id.example/.well-known/jwks.json")?
    ///     .from_issuer("https://id.example/")
    ///     .for_audience("https://live.example");
    /// tokens.fetch_keys();
    /// # Ok(()) }
    /// ```
    ///
    /// Until the set has been fetched for the first time, tokens are refused as [`Unavailable`](AuthError::Unavailable). If it can't be
    /// fetched again (within ten seconds, at most 256 KiB, without redirections), the keys stay in use, the log says so, and it is tried again
    /// after waits of up to 30 seconds. A key that is missing from the newest set is no longer accepted.
    ///
    /// # Errors
    /// If `url` is not an address, or one where somebody on the way could put keys of their own into the set.
    pub fn jwks_url(url: &str) -> Result<Self, JwtError> {
        Self::jwks_url_trusting(url, Trust::default())
    }

    /// Like [`JwtVerifier::jwks_url`], from a server whose certificate is signed by other authorities than the system's.
    ///
    /// # Errors
    /// As for [`JwtVerifier::jwks_url`].
    pub fn jwks_url_trusting(url: &str, trust: Trust) -> Result<Self, JwtError> {
        Keys::set_url(url, trust).map(Self::with_keys)
    }

    /// Like [`JwtVerifier::jwks_url`], with the set that an OpenID Connect provider names in its document,
    /// `/.well-known/openid-configuration`. Accepts only tokens [from](Self::from_issuer) this issuer, which is its URL exactly as the
    /// tokens have it in `iss`.
    ///
    /// # Errors
    /// As for [`JwtVerifier::jwks_url`].
    pub fn oidc_issuer(issuer: &str) -> Result<Self, JwtError> {
        Self::oidc_issuer_trusting(issuer, Trust::default())
    }

    /// Like [`JwtVerifier::oidc_issuer`], from a server whose certificate is signed by other authorities than the system's.
    ///
    /// # Errors
    /// As for [`JwtVerifier::jwks_url`].
    pub fn oidc_issuer_trusting(issuer: &str, trust: Trust) -> Result<Self, JwtError> {
        let keys = Keys::set_of_issuer(issuer, trust)?;
        Ok(Self::with_keys(keys).from_issuer(issuer))
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

    /// Fetches the keys now, if they come from a URL: at the start, so that the first client doesn't have to wait for them, and whenever
    /// you know that they have changed. Returns at once. Does nothing outside of a tokio runtime.
    pub fn fetch_keys(&self) {
        if let Some(remote) = self.keys.remote() {
            remote.fetch_now();
        }
    }

    /// Whether the keys come from a URL.
    pub fn fetches_keys(&self) -> bool {
        self.keys.remote().is_some()
    }

    /// The state of the keys, if they come from a URL.
    pub(crate) fn key_set_health(&self) -> Option<KeySetHealth> {
        self.keys.remote().map(Remote::health)
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

    /// Verifies a token with the keys that are known now, without fetching any, and returns what it says about its bearer.
    ///
    /// # Errors
    /// If it is not a token, is not signed with one of the keys, has expired or isn't valid yet, has a different
    /// audience or issuer, or grants something that is not a pattern; or [`AuthError::Unavailable`], if it may be signed with a key that
    /// could not be fetched.
    pub fn verify(&self, token: &str) -> Result<Identity, AuthError> {
        self.check(token).map_err(|fault| self.auth_error(fault))
    }

    /// Verifies a token like [`Self::verify`], but waits for keys that have to be fetched.
    async fn verify_by_all(&self, token: &str) -> Result<Identity, AuthError> {
        match (self.check(token), self.keys.remote()) {
            (Err(Fault::UnknownKey), Some(remote)) => {
                remote.fetch_for_unknown().await;
                self.verify(token)
            }
            (checked, _) => checked.map_err(|fault| self.auth_error(fault)),
        }
    }

    fn check(&self, token: &str) -> Result<Identity, Fault> {
        let header = decode_header(token).map_err(|error| refusal(&error))?;
        // A verifier that doesn't support an extension that the signer marks as critical must reject the token (RFC 7515, 4.1.11).
        if let Some(names) = &header.crit {
            let names = names.join(", ");
            return Err(Fault::Token(AuthError::Invalid(format!(
                "its header requires extensions (`crit`) that this server does not support: {names}"
            ))));
        }
        let keys = self.keys.now();
        let may_have = keys
            .iter()
            .filter(|key| key.may_have_signed(header.kid.as_deref(), header.alg));
        for key in may_have {
            match decode::<Claims>(token, &key.decoding, &self.validation(key.algorithm)) {
                Ok(read) => return Ok(read.claims.into_identity()?),
                Err(error) if is_of_key(error.kind()) => {}
                // It is signed with this key, but what it says is wrong.
                Err(error) => return Err(refusal(&error).into()),
            }
        }
        if self.may_be_of_another_key(&header, &keys) {
            return Err(Fault::UnknownKey);
        }
        Err(Fault::Token(unsigned()))
    }

    /// Whether a token with this header can have been signed with a key that isn't here, but may be at the URL of the keys.
    fn may_be_of_another_key(&self, header: &Header, keys: &[Key]) -> bool {
        let is_public = PUBLIC.contains(&header.alg);
        let is_missing = |id: &String| !keys.iter().any(|key| key.is(id));
        let is_unknown = keys.is_empty() || header.kid.as_ref().is_some_and(is_missing);
        self.keys.remote().is_some() && is_public && is_unknown
    }

    /// The error for the bearer of a token.
    fn auth_error(&self, fault: Fault) -> AuthError {
        match (fault, self.keys.remote()) {
            (Fault::Token(error), _) => error,
            (Fault::UnknownKey, Some(remote)) if !remote.is_sure() => {
                AuthError::Unavailable("the keys to check tokens with could not be fetched".into())
            }
            (Fault::UnknownKey, _) => unsigned(),
        }
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

/// Whether an error only means that a token isn't signed with this key, but perhaps with another one.
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

fn unsigned() -> AuthError {
    AuthError::Invalid("its signature matches none of the server's keys".into())
}

impl From<AuthError> for Fault {
    fn from(error: AuthError) -> Self {
        Self::Token(error)
    }
}

fn refusal(error: &jsonwebtoken::errors::Error) -> AuthError {
    match error.kind() {
        ErrorKind::ExpiredSignature => AuthError::Expired,
        ErrorKind::InvalidAudience => AuthError::Invalid("it is meant for another audience".into()),
        ErrorKind::InvalidIssuer => AuthError::Invalid("it is from another issuer".into()),
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
        Box::pin(async move {
            let token = token.ok_or(AuthError::Missing)?;
            self.verify_by_all(&token).await
        })
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
