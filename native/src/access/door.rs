//! Decides who may connect: who a client is, how many clients there may be, and what each may do.

use std::any::Any;
use std::net::{IpAddr, Ipv6Addr};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt as _;
use tidegate_core::access::Grant;
use tidegate_core::admission::{Admission, Refusal};

use super::AccessConfig;
use super::ticket::Tickets;
use crate::auth::{AuthError, Authenticating, Credentials, Identity, JwtVerifier, KeySetHealth};

/// How long an application may take to authenticate a client.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Admission to a hub.
pub(crate) struct Door {
    pub(crate) config: AccessConfig,
    admission: Mutex<Admission<IpAddr, Arc<str>>>,
    pub(crate) tickets: Tickets,
    /// How many clients were refused, by [`REFUSALS`].
    refused: [AtomicU64; REFUSALS.len()],
    anyone: Arc<Grant>,
    any_browser: Arc<Grant>,
}

/// The names of the reasons for refusing a client, for operators.
const REFUSALS: [&str; 4] = ["total", "address", "user", "token"];

/// Why a client is refused; an index into [`REFUSALS`].
#[derive(Clone, Copy)]
pub(crate) enum Refused {
    Total,
    Address,
    User,
    Token,
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Total { .. } => Self::Total,
            Refusal::Address { .. } => Self::Address,
            Refusal::User { .. } => Self::User,
        }
    }
}

/// What is known of a client.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// Clients are not asked who they are, and all have this grant.
    Anyone(Arc<Grant>),
    /// It has authenticated.
    Someone(Identity),
    /// It has presented nothing yet.
    Nobody,
}

/// A connection that was admitted. It counts until this is dropped, however it ends.
pub(crate) struct Pass {
    door: Arc<Door>,
    pub(crate) address: Option<IpAddr>,
    user: Option<Arc<str>>,
}

impl Door {
    pub(crate) fn new(config: AccessConfig) -> Arc<Self> {
        let any_browser = Grant {
            publish: config.browsers_publish.clone(),
            ..Grant::everything()
        };
        Arc::new(Self {
            admission: Mutex::new(Admission::new(config.limits)),
            tickets: Tickets::new(config.ticket_secret.as_deref()),
            refused: Default::default(),
            anyone: Arc::new(Grant::everything()),
            any_browser: Arc::new(any_browser),
            config,
        })
    }

    /// Admits a connection.
    ///
    /// # Errors
    /// If a limit on the number of connections is reached.
    pub(crate) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Pass, Refusal> {
        let place = address.and_then(place);
        let entered = self.admission().enter(place);
        entered.inspect_err(|refusal| self.count_refusal(refusal.into()))?;
        Ok(Pass {
            door: Arc::clone(self),
            address,
            user: None,
        })
    }

    /// Returns what is known of a client with these credentials, and since when: since now, or since its ticket was
    /// made.
    ///
    /// # Errors
    /// If the credentials are invalid or no longer valid.
    pub(crate) async fn look_at(
        &self,
        shown: Credentials,
        ticket: Option<&str>,
        is_browser: bool,
    ) -> Result<(Known, Instant), AuthError> {
        let asked = Instant::now();
        let Some(answer) = self.ask(shown) else {
            let grant = if is_browser {
                &self.any_browser
            } else {
                &self.anyone
            };
            return Ok((Known::Anyone(grant.clone()), asked));
        };
        let known = match ticket {
            Some(ticket) => {
                let opened = self.tickets.open(ticket, SystemTime::now());
                opened.map(|(identity, age)| (identity, asked.checked_sub(age)))
            }
            None => answer.await.map(|identity| (identity, None)),
        };
        match known {
            Err(AuthError::Missing) => Ok((Known::Nobody, asked)),
            Err(error) => {
                self.count_refusal(Refused::Token);
                Err(error)
            }
            Ok((identity, made)) => Ok((Known::Someone(identity), made.unwrap_or(asked))),
        }
    }

    /// Asks who presents these credentials, if clients are asked at all. An application's own rule that panics must end neither the thread
    /// that asks nor the connection, which other requests may share.
    pub(crate) fn ask(&self, shown: Credentials) -> Option<Authenticating<'static>> {
        let authenticate = self.config.authenticate.clone()?;
        let answer = async move {
            // The call itself may panic, too, before there is a future.
            let answer = authenticate.authenticate(shown);
            tokio::time::timeout(ANSWER_MAX, answer).await
        };
        let unavailable = |why: &str| Err(AuthError::Unavailable(why.into()));
        let answer = AssertUnwindSafe(answer).catch_unwind();
        Some(Box::pin(answer.map(move |answer| match answer {
            Ok(Ok(known)) => known,
            Ok(Err(_)) => unavailable("the check took too long"),
            Err(_) => unavailable("the check panicked"),
        })))
    }

    /// Whether authenticating usually completes at once, and never blocks.
    pub(crate) fn answers_at_once(&self) -> bool {
        self.verifier().is_some()
    }

    /// The state of the keys for tokens, if they are fetched from a URL.
    pub(crate) fn key_set(&self) -> Option<KeySetHealth> {
        self.verifier()?.key_set_health()
    }

    /// The verifier of tokens, unless authenticating is a rule of the application's own.
    fn verifier(&self) -> Option<&JwtVerifier> {
        let rule = self.config.authenticate.as_deref()?;
        (rule as &dyn Any).downcast_ref()
    }

    /// Counts a client that was refused.
    pub(crate) fn count_refusal(&self, why: Refused) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many clients were refused, and why.
    pub(crate) fn refused(&self) -> [(&'static str, u64); REFUSALS.len()] {
        std::array::from_fn(|at| (REFUSALS[at], self.refused[at].load(Ordering::Relaxed)))
    }

    fn admission(&self) -> MutexGuard<'_, Admission<IpAddr, Arc<str>>> {
        self.admission
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The grant for a single request, which is over before the grant could expire.
    ///
    /// # Errors
    /// If nothing was presented, and clients have to authenticate.
    pub(crate) fn grant_now(self) -> Result<Arc<Grant>, AuthError> {
        match self {
            Self::Anyone(grant) => Ok(grant),
            Self::Someone(identity) => Ok(Arc::new(identity.into_grant_now())),
            Self::Nobody => Err(AuthError::Missing),
        }
    }
}

impl Pass {
    /// Counts the connection as this user's.
    ///
    /// # Errors
    /// If the user has reached the limit.
    pub(crate) fn identify(&mut self, user: Option<&Arc<str>>) -> Result<(), Refusal> {
        if let (None, Some(user)) = (&self.user, user) {
            let identified = self.door.admission().identify(user.clone());
            identified.inspect_err(|refusal| self.door.count_refusal(refusal.into()))?;
            self.user = Some(user.clone());
        }
        Ok(())
    }

    /// The door that admitted it.
    pub(crate) fn door(&self) -> &Arc<Door> {
        &self.door
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let place = self.address.and_then(place);
        self.door
            .admission()
            .leave(place.as_ref(), self.user.as_ref());
    }
}

/// The address by which a client is counted. Those of this machine aren't counted, because proxies, tests and jobs
/// connect from there. IPv6 addresses count by their network of 64 bits, which is what one customer has.
pub(crate) fn place(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            Some(IpAddr::V6(Ipv6Addr::from(network)))
        }
        address @ IpAddr::V4(_) => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_count_together_and_this_machines_do_not() {
        let of = |text: &str| place(text.parse().expect("an address"));
        assert_eq!(of("127.0.0.1"), None);
        assert_eq!(of("::1"), None);
        assert_eq!(of("::ffff:127.0.0.1"), None);
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::4"), of("2001:db8:1:3::4"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    }

    #[test]
    fn whoever_is_let_in_is_let_out_by_being_dropped() {
        let mut config = AccessConfig::default();
        config.limits.total_max = 3;
        config.limits.per_user_max = 1;
        let door = Door::new(config);
        let ada: Arc<str> = "ada".into();
        for _ in 0..3 {
            let mut first = door.enter(Some(IpAddr::from([192, 0, 2, 7]))).unwrap();
            let mut second = door.enter(None).unwrap();
            assert_eq!(first.identify(Some(&ada)), Ok(()));
            assert_eq!(first.identify(Some(&ada)), Ok(()), "it is known already");
            assert_eq!(second.identify(Some(&ada)), Err(Refusal::User { limit: 1 }));
            let _third = door.enter(None).unwrap();
            assert_eq!(door.enter(None).err(), Some(Refusal::Total { limit: 3 }));
        }
        let admission = door.admission();
        assert_eq!((admission.total(), admission.distinct()), (0, (0, 0)));
    }
}
