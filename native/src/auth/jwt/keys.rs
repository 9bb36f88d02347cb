//! The keys that tokens are signed with: a shared secret, those of a file, which may be read again, or those of a URL.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};

use super::remote::{KeySetUrl, Remote, Source};
use super::{JwtError, SECRET_BYTES_MIN};
use crate::client::Trust;

/// A key, and what it is for.
pub(super) struct Key {
    /// Its name, if a token may say which key it is signed with.
    pub(super) id: Option<String>,
    pub(super) decoding: DecodingKey,
    pub(super) algorithm: Algorithm,
}

/// Keys, by where they come from.
pub(super) enum Keys {
    /// They were given, and don't change.
    Fixed(Arc<[Key]>),
    File(File),
    Url(Remote),
}

/// The keys of a file.
pub(super) struct File {
    path: PathBuf,
    parse: Parse,
    /// What it contained when it was last read.
    read: Mutex<Vec<u8>>,
    keys: RwLock<Arc<[Key]>>,
}

/// Parses the keys in a file's text.
type Parse = fn(&Path, &[u8]) -> Result<Arc<[Key]>, JwtError>;

/// Why a key of a set can't be used here.
enum Unfit {
    /// It is for another use or of an unsupported kind. Such keys are normal in sets.
    ForOthers(String),
    /// It must not be in such a set, or is broken.
    Wrong(String),
}

impl Keys {
    /// A secret that is shared with the issuer.
    pub(super) fn secret(secret: &[u8]) -> Result<Self, JwtError> {
        shared(secret).map(Self::Fixed)
    }

    /// A secret in a file, without the white space at its end.
    pub(super) fn secret_file(path: &Path) -> Result<Self, JwtError> {
        Self::of_file(path, |_, text| shared(text.trim_ascii_end()))
    }

    /// The public keys of a set in a file.
    pub(super) fn set_file(path: &Path) -> Result<Self, JwtError> {
        Self::of_file(path, |path, text| {
            parse_set(&path.display().to_string(), text)
        })
    }

    /// The public keys of a set at a URL. Nothing is fetched yet.
    pub(super) fn set_url(url: &str, trust: Trust) -> Result<Self, JwtError> {
        let url = KeySetUrl::parse(url)?;
        Ok(Self::Url(Remote::new(Source::Set(url), trust)))
    }

    /// The public keys of the set that an OpenID Connect provider names.
    pub(super) fn set_of_issuer(issuer: &str, trust: Trust) -> Result<Self, JwtError> {
        Ok(Self::Url(Remote::new(Source::of_issuer(issuer)?, trust)))
    }

    fn of_file(path: &Path, parse: Parse) -> Result<Self, JwtError> {
        let text = read(path)?;
        Ok(Self::File(File {
            keys: RwLock::new(parse(path, &text)?),
            path: path.into(),
            parse,
            read: Mutex::new(text),
        }))
    }

    /// Reads the file again, if they are from one, and returns whether it contained anything new.
    pub(super) fn reload(&self) -> Result<bool, JwtError> {
        match self {
            Self::Fixed(_) | Self::Url(_) => Ok(false),
            Self::File(file) => file.reload(),
        }
    }

    /// The keys in use now.
    pub(super) fn now(&self) -> Arc<[Key]> {
        match self {
            Self::Fixed(keys) => Arc::clone(keys),
            Self::File(file) => file.now(),
            Self::Url(remote) => remote.keys(),
        }
    }

    /// What fetches them, if they are from a URL.
    pub(super) const fn remote(&self) -> Option<&Remote> {
        match self {
            Self::Fixed(_) | Self::File(_) => None,
            Self::Url(remote) => Some(remote),
        }
    }
}

impl File {
    fn reload(&self) -> Result<bool, JwtError> {
        let text = read(&self.path)?;
        let mut before = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if *before == text {
            return Ok(false);
        }
        let keys = (self.parse)(&self.path, &text)?;
        *before = text;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(true)
    }

    fn now(&self) -> Arc<[Key]> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&keys)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, JwtError> {
    std::fs::read(path).map_err(|source| JwtError::Unreadable {
        path: path.into(),
        source,
    })
}

fn shared(secret: &[u8]) -> Result<Arc<[Key]>, JwtError> {
    if secret.len() < SECRET_BYTES_MIN {
        let bytes = secret.len();
        return Err(JwtError::ShortSecret { bytes });
    }
    Ok([Key {
        id: None,
        decoding: DecodingKey::from_secret(secret),
        algorithm: Algorithm::HS256,
    }]
    .into())
}

/// Parses the keys of a set from `place`, a file or a URL.
pub(super) fn parse_set(place: &str, text: &[u8]) -> Result<Arc<[Key]>, JwtError> {
    let place = || place.to_owned();
    let set: JwkSet = serde_json::from_slice(text).map_err(|source| JwtError::NoKeySet {
        place: place(),
        source,
    })?;
    let mut keys = Vec::new();
    let mut passed_over = None;
    for (at, jwk) in set.keys.iter().enumerate() {
        let bad = |why| JwtError::BadKey {
            place: place(),
            number: at + 1,
            why,
        };
        match Key::from_jwk(jwk) {
            Ok(key) => keys.push(key),
            Err(Unfit::Wrong(why)) => return Err(bad(why)),
            Err(Unfit::ForOthers(why)) => passed_over = passed_over.or(Some(bad(why))),
        }
    }
    match (keys.is_empty(), passed_over) {
        (false, _) => Ok(keys.into()),
        (true, Some(why)) => Err(why),
        (true, None) => Err(JwtError::NoKeys { place: place() }),
    }
}

impl Key {
    /// Whether a token with this key name and algorithm may be signed with it.
    pub(super) fn may_have_signed(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        let is_named = id.is_none() || self.id.is_none() || self.id.as_deref() == id;
        is_named && self.algorithm == algorithm
    }

    /// Whether it has this name.
    pub(super) fn is(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id)
    }

    fn from_jwk(jwk: &Jwk) -> Result<Self, Unfit> {
        let algorithm = algorithm(jwk)?;
        let common = &jwk.common;
        let is_to_sign =
            !matches!(&common.public_key_use, Some(other) if *other != PublicKeyUse::Signature);
        let operations = common.key_operations.as_ref();
        let is_to_verify = operations.is_none_or(|all| all.contains(&KeyOperations::Verify));
        if !is_to_sign || !is_to_verify {
            return Err(Unfit::ForOthers(
                "its use (`use`, `key_ops`) is not to check signatures".into(),
            ));
        }
        if common
            .key_algorithm
            .is_some_and(|named| named != KeyAlgorithm::from(algorithm))
        {
            return Err(Unfit::ForOthers(format!(
                "it is for another algorithm than {algorithm:?}"
            )));
        }
        Ok(Self {
            id: common.key_id.clone(),
            decoding: DecodingKey::from_jwk(jwk)
                .map_err(|error| Unfit::Wrong(error.to_string()))?,
            algorithm,
        })
    }
}

/// The supported algorithm for a key: each curve belongs to one algorithm only.
fn algorithm(jwk: &Jwk) -> Result<Algorithm, Unfit> {
    let curve = |curve: &EllipticCurve, ours: EllipticCurve, algorithm: Algorithm| {
        let is_ours = *curve == ours;
        is_ours.then_some(algorithm).ok_or_else(|| {
            Unfit::ForOthers(format!(
                "its curve is {curve:?}; {algorithm:?} is on {ours:?}"
            ))
        })
    };
    match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Ok(Algorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) => {
            curve(&key.curve, EllipticCurve::P256, Algorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) => {
            curve(&key.curve, EllipticCurve::Ed25519, Algorithm::EdDSA)
        }
        // Confusing shared secrets with public keys is how tokens are forged.
        AlgorithmParameters::OctetKey(_) => Err(Unfit::Wrong(
            "a shared secret has no place among public keys".into(),
        )),
        _ => Err(Unfit::ForOthers(
            "its type or curve is not supported".into(),
        )),
    }
}
