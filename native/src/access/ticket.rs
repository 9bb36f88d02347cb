//! Tickets: who has shown a token can have one, and give it in an address, where a token must not be.
//!
//! Addresses are logged by proxies and kept by browsers. A ticket is good for half a minute, and nobody can make one
//! but a server.

use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use tidegate_core::topic::Pattern;

use crate::auth::{AuthError, Identity};

/// How long a ticket may take to be used.
pub(crate) const TICKET_LIFE: Duration = Duration::from_secs(30);

/// What tickets are for. A token of the application is none.
const AUDIENCE: &str = "tidegate-ticket";

/// Makes and reads tickets.
pub(crate) struct Tickets {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

#[derive(Serialize, Deserialize)]
struct Ticket {
    aud: String,
    exp: u64,
    user: Option<String>,
    subscribe: Vec<Pattern>,
    publish: Vec<Pattern>,
    /// When its bearer has to show another token, in milliseconds since 1970.
    until_ms: Option<u64>,
}

impl Tickets {
    pub(super) fn new(secret: Option<&[u8]>) -> Self {
        let own: [u64; 4] = std::array::from_fn(|_| crate::random_seed());
        let own: Vec<u8> = own.into_iter().flat_map(u64::to_le_bytes).collect();
        let secret = secret.unwrap_or(&own);
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
        }
    }

    /// A ticket for somebody.
    pub(crate) fn make(&self, identity: &Identity, now: SystemTime) -> String {
        let ticket = Ticket {
            aud: AUDIENCE.to_owned(),
            exp: since_1970(now + TICKET_LIFE).as_secs(),
            user: identity.user.clone(),
            subscribe: identity.subscribe.clone(),
            publish: identity.publish.clone(),
            until_ms: identity
                .expires
                .map(|at| u64::try_from(since_1970(at).as_millis()).unwrap_or(u64::MAX)),
        };
        encode(&Header::new(Algorithm::HS256), &ticket, &self.encoding)
            .expect("texts and numbers have a JSON form")
    }

    /// Whose a ticket is.
    ///
    /// # Errors
    /// It is none, or too old.
    pub(crate) fn open(&self, ticket: &str) -> Result<Identity, AuthError> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_audience(&[AUDIENCE]);
        validation.required_spec_claims.insert("aud".into());
        let read = decode::<Ticket>(ticket, &self.decoding, &validation).map_err(|error| {
            use jsonwebtoken::errors::ErrorKind;
            match error.kind() {
                ErrorKind::ExpiredSignature => AuthError::Expired,
                _ => AuthError::Invalid("this is no ticket of this server".into()),
            }
        })?;
        let Ticket {
            user,
            subscribe,
            publish,
            until_ms,
            ..
        } = read.claims;
        Ok(Identity {
            user,
            subscribe,
            publish,
            expires: until_ms
                .and_then(|ms| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms))),
        })
    }
}

fn since_1970(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_says_what_the_token_said_to_its_own_server_and_for_its_time() {
        let now = SystemTime::now();
        let whole = SystemTime::UNIX_EPOCH + Duration::from_millis(4_000_000_000_123);
        let identity = Identity {
            user: Some("ada".into()),
            subscribe: vec![Pattern::new("job:*").expect("a pattern")],
            publish: Vec::new(),
            expires: Some(whole),
        };
        let tickets = Tickets::new(None);
        let ticket = tickets.make(&identity, now);
        assert_eq!(tickets.open(&ticket), Ok(identity.clone()));
        assert!(Tickets::new(None).open(&ticket).is_err());
        let (one, twin) = (Tickets::new(Some(b"k")), Tickets::new(Some(b"k")));
        assert_eq!(twin.open(&one.make(&identity, now)), Ok(identity.clone()));
        let old = tickets.make(&identity, now - TICKET_LIFE * 2);
        assert_eq!(tickets.open(&old), Err(AuthError::Expired));
        assert!(tickets.open("").is_err());
    }
}
