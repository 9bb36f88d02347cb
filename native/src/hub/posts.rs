//! Limits on requests to publish over HTTP: how many bytes at a time, and how often.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant as Clock;

use tidegate_core::limits::PUBLISHERS_MAX;
use tidegate_core::protocol::WireError;
use tidegate_core::rate::Buckets;
use tidegate_core::session::publishes_too_often;
use tidegate_core::time::Instant;

use super::Config;
use super::bodies::Bodies;

/// What all requests to publish share.
pub(super) struct Posts {
    pub(super) bodies: Arc<Bodies>,
    /// `None` if there is no limit on the rate.
    publishers: Option<Mutex<Buckets<Publisher>>>,
    started: Clock,
}

/// Whose requests count together. They are not counted by connection, because a client over HTTP may open any number of
/// them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Publisher {
    User(Arc<str>),
    /// A client without a name.
    Address(IpAddr),
    /// A client without a name and without an address, as on a Unix socket.
    Unknown,
}

impl Posts {
    pub(super) fn new(config: &Config, body_bytes_max: usize) -> Self {
        let buckets = |rate| Mutex::new(Buckets::new(rate, PUBLISHERS_MAX));
        Self {
            bodies: Bodies::new(config.bodies_bytes_max, body_bytes_max),
            publishers: config.server.session.publish_rate.map(buckets),
            started: Clock::now(),
        }
    }

    /// Counts publications against the rate of their publisher.
    ///
    /// # Errors
    /// If that is too often: how many of them, from the first one on, are allowed, and why the rest is not.
    pub(super) fn count(
        &self,
        publisher: &Publisher,
        publishes: usize,
    ) -> Result<(), (usize, WireError)> {
        let Some(publishers) = &self.publishers else {
            return Ok(());
        };
        let micros = self.started.elapsed().as_micros();
        let now = Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let mut publishers = publishers.lock().unwrap_or_else(PoisonError::into_inner);
        for taken in 0..publishes {
            let one = publishers.take(now, publisher);
            one.map_err(|wait| (taken, publishes_too_often(wait)))?;
        }
        Ok(())
    }
}
