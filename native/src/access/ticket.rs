//! Tickets: a client that has presented a token can get one, and pass it in a URL, where a token must not be.
//!
//! URLs are logged by proxies and kept by browsers. So a ticket is valid for half a minute, and no longer than the token that it was made
//! for. It only opens connections, and above all yields no further ticket. And only a server can make one.

use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use tidegate_core::topic::Pattern;

use crate::auth::{AuthError, Identity};

/// How long a ticket is valid.
pub(crate) const TICKET_LIFE: Duration = Duration::from_secs(30);

/// The audience of tickets, which tells them from tokens of the application.
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
    /// When it was made, in milliseconds since 1970.
    made_ms: u64,
    user: Option<String>,
    subscribe: Vec<Pattern>,
    publish: Vec<Pattern>,
    /// When its bearer has to authenticate again, in milliseconds since 1970.
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

    /// Makes a ticket for an identity, and returns how long it is valid.
    ///
    /// # Errors
    /// If the identity has expired.
    pub(crate) fn make(
        &self,
        identity: &Identity,
        now: SystemTime,
    ) -> Result<(String, Duration), AuthError> {
        let left = identity.expires.map_or(Ok(TICKET_LIFE), |until| {
            until.duration_since(now).map_err(|_| AuthError::Expired)
        })?;
        let life = left.min(TICKET_LIFE);
        let ticket = Ticket {
            aud: AUDIENCE.to_owned(),
            exp: since_1970(now + life).as_secs(),
            user: identity.user.clone(),
            subscribe: identity.subscribe.clone(),
            publish: identity.publish.clone(),
            made_ms: millis(now),
            until_ms: identity.expires.map(millis),
        };
        let sealed = encode(&Header::new(Algorithm::HS256), &ticket, &self.encoding)
            .expect("texts and numbers have a JSON form");
        Ok((sealed, life))
    }

    /// Returns whose a ticket is, and how long ago it was made.
    ///
    /// # Errors
    /// If it is not a ticket, is too old, or the token that it was made for is.
    pub(crate) fn open(
        &self,
        ticket: &str,
        now: SystemTime,
    ) -> Result<(Identity, Duration), AuthError> {
        let mut validation = Validation::new(Algorithm::HS256);
        // It is compared with `now` below.
        validation.validate_exp = false;
        validation.set_audience(&[AUDIENCE]);
        validation.required_spec_claims.insert("aud".into());
        let read = decode::<Ticket>(ticket, &self.decoding, &validation)
            .map_err(|_| AuthError::Invalid("this is no ticket of this server".into()))?;
        let Ticket {
            exp,
            made_ms,
            user,
            subscribe,
            publish,
            until_ms,
            ..
        } = read.claims;
        let expires =
            until_ms.and_then(|ms| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms)));
        if since_1970(now).as_secs() > exp || expires.is_some_and(|until| until <= now) {
            return Err(AuthError::Expired);
        }
        let identity = Identity {
            user,
            subscribe,
            publish,
            expires,
        };
        // The clock of the server that made it may be ahead.
        let age = Duration::from_millis(millis(now).saturating_sub(made_ms));
        Ok((identity, age))
    }
}

fn millis(at: SystemTime) -> u64 {
    u64::try_from(since_1970(at).as_millis()).unwrap_or(u64::MAX)
}

fn since_1970(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at_ms(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
    }

    fn ada(until_ms: Option<u64>) -> Identity {
        Identity {
            user: Some("ada".into()),
            subscribe: vec![Pattern::new("job:*").expect("a pattern")],
            publish: Vec::new(),
            expires: until_ms.map(at_ms),
        }
    }

    #[test]
    fn a_ticket_says_what_the_token_said_to_those_who_have_its_secret() {
        let now = SystemTime::now();
        let identity = ada(Some(4_000_000_000_123));
        let tickets = Tickets::new(None);
        let (ticket, life) = tickets.make(&identity, now).expect("a ticket");
        assert_eq!(life, TICKET_LIFE);
        let opened = (identity.clone(), Duration::ZERO);
        assert_eq!(tickets.open(&ticket, now), Ok(opened.clone()));
        assert!(Tickets::new(None).open(&ticket, now).is_err());
        let (one, twin) = (Tickets::new(Some(b"k")), Tickets::new(Some(b"k")));
        let (ticket, _) = one.make(&identity, now).expect("a ticket");
        assert_eq!(twin.open(&ticket, now), Ok(opened));
        assert!(tickets.open("", now).is_err());
    }

    proptest! {
        #[test]
        fn no_ticket_outlives_its_half_minute_or_its_token(
            made_ms in 1_000_000_000_000..2_000_000_000_000_u64,
            token_ms in proptest::option::of(0..60_000_u64),
            opened_ms in 0..60_000_u64,
        ) {
            let tickets = Tickets::new(None);
            let identity = ada(token_ms.map(|left| made_ms + left));
            let (ticket, life) = tickets.make(&identity, at_ms(made_ms)).expect("a token that stands");
            let left_ms = token_ms.unwrap_or(u64::MAX).min(30_000);
            prop_assert_eq!(life, Duration::from_millis(left_ms));
            let opened = tickets.open(&ticket, at_ms(made_ms + opened_ms));
            if token_ms.is_some_and(|left| opened_ms >= left) {
                prop_assert_eq!(opened, Err(AuthError::Expired));
            } else if opened_ms + 1_000 <= left_ms {
                prop_assert_eq!(opened, Ok((identity, Duration::from_millis(opened_ms))));
            } else if opened_ms >= left_ms + 1_000 {
                // Its end is given in whole seconds.
                prop_assert_eq!(opened, Err(AuthError::Expired));
            }
        }
    }

    #[test]
    fn who_has_shown_what_is_over_gets_no_ticket() {
        let made = Tickets::new(None).make(&ada(Some(5)), at_ms(6));
        assert_eq!(made, Err(AuthError::Expired));
    }
}
