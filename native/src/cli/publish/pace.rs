//! Paces the publishing of lines: no faster than the server accepts them, because a refused line would be missing, and repeating it would
//! put it out of order.

use tidegate::Client;
use tidegate::client::Status;
use tidegate::core::rate::{Bucket, Rate};
use tidegate::core::time::Instant;
use tokio::sync::watch;
use tokio::time::Instant as Clock;

/// How many publications may be in flight, if the server accepts as many.
const IN_FLIGHT_MAX: usize = 256;

/// Decides when the next line may be published.
pub(super) struct Pace {
    status: watch::Receiver<Status>,
    published: Bucket,
    started: Clock,
}

impl Pace {
    pub(super) fn new(client: &Client) -> Self {
        Self::of(client.status())
    }

    fn of(status: watch::Receiver<Status>) -> Self {
        Self {
            status,
            published: Bucket::new(),
            started: Clock::now(),
        }
    }

    /// How many publications may be in flight. After a lost connection, all of them are sent again, and have to pass the limit again.
    pub(super) fn in_flight_max(&self) -> usize {
        let burst = self.rate().map(|rate| rate.burst.get());
        burst.map_or(IN_FLIGHT_MAX, |burst| {
            IN_FLIGHT_MAX.min(burst.try_into().unwrap_or(usize::MAX))
        })
    }

    /// Waits until one more may be published. Cancel-safe.
    pub(super) async fn ready(&self) {
        while let Some(rate) = self.rate() {
            let mut published = self.published;
            match published.take(self.now(), rate) {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Counts one more publication.
    pub(super) fn count(&mut self) {
        if let Some(rate) = self.rate() {
            // If it is too early, the server reports it.
            let _ = self.published.take(self.now(), rate);
        }
    }

    fn rate(&self) -> Option<Rate> {
        let rate = self.status.borrow().publish_rate;
        rate.map(Rate::with_half_burst)
    }

    fn now(&self) -> Instant {
        let micros = self.started.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn half_of_a_burst_leaves_at_once_and_the_rest_at_the_rate() {
        let rate = |per_second, burst| Rate {
            per_second: NonZeroU32::new(per_second).expect("not 0"),
            burst: NonZeroU32::new(burst).expect("not 0"),
        };
        let client = Client::start("http://127.0.0.1:1").expect("an address");
        let mut told = client.status().borrow().clone();
        let (status, told_to) = watch::channel(told.clone());
        let mut pace = Pace::of(told_to);
        assert_eq!(pace.in_flight_max(), IN_FLIGHT_MAX);
        told.publish_rate = Some(rate(10, 8));
        status.send_replace(told);
        assert_eq!(pace.in_flight_max(), 4);
        let mut waited = Vec::new();
        for _ in 0..6 {
            let asked = Clock::now();
            pace.ready().await;
            pace.count();
            waited.push(asked.elapsed());
        }
        assert_eq!(waited[..4], [Duration::ZERO; 4]);
        // A paused clock has a resolution of milliseconds, and the bucket lags a little behind it.
        for wait in &waited[4..] {
            assert!((99..=101).contains(&wait.as_millis()), "{waited:?}");
        }
    }
}
