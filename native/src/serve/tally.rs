//! What the serving loop counts.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_core::admission::{Admission, AdmissionLimits, Refusal};

use super::{Peer, ServeConfig};
use crate::access::place;

/// Why a connection was not served, or not served further. Its number is an index into [`CUTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Total,
    Address,
    #[cfg_attr(
        not(feature = "tls"),
        expect(dead_code, reason = "no handshake fails where there is none")
    )]
    Tls,
    Head,
    HeadTooLarge,
    Malformed,
    Body,
    Write,
    Silent,
    Idle,
}

/// The names of these reasons, for operators.
const CUTS: [&str; 10] = [
    "total",
    "address",
    "tls",
    "head_timeout",
    "head_too_large",
    "malformed",
    "body_timeout",
    "write_timeout",
    "silent",
    "idle",
];

/// Counts of a serving loop. Requests that it serves carry them as an extension, in an `Arc`.
#[derive(Debug)]
pub struct Tally {
    admission: Mutex<Admission<IpAddr, ()>>,
    accepted: AtomicU64,
    accept_errors: AtomicU64,
    cuts: [AtomicU64; CUTS.len()],
    /// How many requests have no answer yet.
    unanswered: AtomicUsize,
}

/// A request that the application is working on. It is counted until this is dropped.
pub(super) struct Unanswered(Arc<Tally>);

/// A connection that the loop has. It is counted until this is dropped.
pub(super) struct Counted {
    tally: Arc<Tally>,
    place: Option<IpAddr>,
}

impl Tally {
    pub(super) fn new(config: &ServeConfig) -> Arc<Self> {
        let limits = AdmissionLimits {
            total_max: config.connections_max,
            per_address_max: config.per_address_max,
            per_user_max: 0,
        };
        Arc::new(Self {
            admission: Mutex::new(Admission::new(limits)),
            accepted: AtomicU64::new(0),
            accept_errors: AtomicU64::new(0),
            cuts: Default::default(),
            unanswered: AtomicUsize::new(0),
        })
    }

    /// The number of connections that the loop has: those in a handshake, sending a request, waiting for an answer, or
    /// idle.
    pub fn connections(&self) -> usize {
        self.admission().total()
    }

    /// The number of connections accepted so far, including those that were closed at once.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// How often a waiting connection could not be accepted, usually because of a lack of open files.
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.load(Ordering::Relaxed)
    }

    /// The number of connections that were cut, by reason: `total` and `address` at the limits, `tls` if the handshake
    /// failed or took too long, `head_timeout`, `head_too_large`, `malformed`, `body_timeout`, `write_timeout`,
    /// `silent` if nothing ever arrived, and `idle` if nothing more did, which is not a fault.
    pub fn cuts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.cuts.iter().map(|count| count.load(Ordering::Relaxed));
        CUTS.into_iter().zip(counts)
    }

    pub(super) fn count_cut(&self, why: Cut) {
        self.cuts[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_accept_error(&self) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that goes to the application.
    pub(super) fn begin_request(self: &Arc<Self>) -> Unanswered {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        Unanswered(Arc::clone(self))
    }

    /// Whether the application is working on a request. Answers that are being sent don't count, because a stream may
    /// go on for ever.
    pub(super) fn has_unanswered(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) > 0
    }

    /// Counts a connection, if there may be another one.
    ///
    /// # Errors
    /// If a limit on the number of connections is reached.
    pub(super) fn enter(
        self: &Arc<Self>,
        peer: Peer,
        config: &ServeConfig,
    ) -> Result<Counted, Refusal> {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let address = peer.ip();
        let place = address.and_then(place);
        let place = place.filter(|_| !config.proxies.include(address, false));
        if let Err(refusal) = self.admission().enter(place) {
            self.count_cut(match refusal {
                Refusal::Total { .. } => Cut::Total,
                Refusal::Address { .. } | Refusal::User { .. } => Cut::Address,
            });
            return Err(refusal);
        }
        Ok(Counted {
            tally: Arc::clone(self),
            place,
        })
    }

    fn admission(&self) -> MutexGuard<'_, Admission<IpAddr, ()>> {
        self.admission
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.unanswered.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.tally.admission().leave(self.place.as_ref(), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::Tcp(text.parse().expect("an address"))
    }

    #[test]
    fn an_address_has_its_share_and_this_machine_and_proxies_have_all() {
        let mut config = ServeConfig {
            connections_max: 8,
            per_address_max: 2,
            ..ServeConfig::default()
        };
        config.proxies.networks = vec!["10.0.0.0/8".parse().expect("a network")];
        let tally = Tally::new(&config);
        let enter = |peer| tally.enter(peer, &config);
        let held: Vec<_> = (1..=2)
            .map(|port| enter(peer(&format!("192.0.2.7:{port}"))))
            .collect();
        assert_eq!(
            enter(peer("192.0.2.7:3")).err(),
            Some(Refusal::Address { limit: 2 })
        );
        let near = [
            "127.0.0.1:1",
            "127.0.0.1:2",
            "127.0.0.1:3",
            "10.1.2.3:1",
            "10.1.2.3:2",
        ];
        let more: Vec<_> = near.map(|text| enter(peer(text))).into_iter().collect();
        assert!(more.iter().chain(&held).all(Result::is_ok));
        let last = enter(Peer::Unix);
        assert!(last.is_ok());
        assert_eq!(enter(Peer::Unix).err(), Some(Refusal::Total { limit: 8 }));
        assert_eq!((tally.connections(), tally.accepted()), (8, 10));
        let cuts: Vec<_> = tally.cuts().filter(|(_, count)| *count > 0).collect();
        assert_eq!(cuts, [("total", 1), ("address", 1)]);
        drop((held, more, last));
        assert_eq!(tally.connections(), 0);
    }
}
