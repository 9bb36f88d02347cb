//! What requests to publish over HTTP may take: so much at once, and so often.

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
    /// Where there is a limit.
    publishers: Option<Mutex<Buckets<Publisher>>>,
    started: Clock,
}

/// Whose requests count together: over HTTP, connections come and go as their client likes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Publisher {
    User(Arc<str>),
    /// Whoever has no name.
    Address(IpAddr),
    /// Whoever has no address either, as it is by a Unix socket.
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

    /// Somebody is about to publish so many times: how many of them, from the first one on, they may.
    ///
    /// # Errors
    /// Beside how many they may: why not the rest, where there is one.
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
