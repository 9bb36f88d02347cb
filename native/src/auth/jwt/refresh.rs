//! Decides when the keys of a URL are fetched: a machine without IO, which is told what happens and says what to do.
//!
//! ```text
//!           poll_output             fetched, and told anew meanwhile
//!    Due ───────────────▶ Fetching ───────────────────────────────────▶ Due
//!     ▲                     │   │
//!     │      fetched        │   │ failed
//!     │  ┌──────────────────┘   └──────────────┐
//!     │  ▼                                     ▼
//!     ├─ Fresh                              Failing
//!     │   until their time is over,            │ until a wait is over,
//!     │   an unknown key, or told              │ or told
//!     └────────────────────────────────────────┘
//! ```
//!
//! Anyone can make up a token that names a key that doesn't exist. So unknown keys cause one fetch in [`UNKNOWN_EVERY`] at the most, and
//! none while fetching fails, because it is retried anyway.

use std::time::Duration;

use tidegate_core::client::Backoff;
use tidegate_core::time::Instant;

/// How long keys are fresh if the response doesn't say.
pub(super) const AGE_DEFAULT: Duration = Duration::from_secs(10 * 60);

/// The shortest time for which keys are fresh, whatever the response says.
pub(super) const AGE_MIN: Duration = Duration::from_secs(60);

/// The longest such time: a key that was withdrawn may stay valid for this long.
pub(super) const AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest time between fetches because of unknown keys.
pub(super) const UNKNOWN_EVERY: Duration = Duration::from_secs(30);

/// The longest first wait after a failure.
const BACKOFF_BASE: Duration = Duration::from_secs(1);

/// The longest wait after failures. It is short, because nobody is let in until keys were fetched for the first time.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Decides when the keys of a URL are fetched. Call [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) is
/// reached, and [`poll_output`](Self::poll_output) after each call.
#[derive(Debug)]
pub(super) struct Refresh {
    state: State,
    /// From when on an unknown key causes a fetch.
    unknown_at: Instant,
    backoff: Backoff,
}

#[derive(Debug)]
enum State {
    /// They have to be fetched now.
    Due,
    /// They are being fetched.
    Fetching {
        /// Whether its result may be from before a change that was reported meanwhile.
        is_outdated: bool,
    },
    /// They were fetched.
    Fresh { until: Instant },
    /// They could not be fetched.
    Failing { until: Instant },
}

/// The output: fetch the keys, and report the result to [`Refresh::handle_fetched`] or [`Refresh::handle_failed`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fetch;

impl Refresh {
    /// A machine that requests the keys at once. Equal seeds give equal waits.
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            state: State::Due,
            unknown_at: Instant::ZERO,
            backoff: Backoff::new(seed, BACKOFF_BASE, BACKOFF_MAX),
        }
    }

    /// The keys were fetched, and are fresh for `age`, if the response says so.
    pub(super) fn handle_fetched(&mut self, now: Instant, age: Option<Duration>) {
        self.backoff.reset();
        let age = age.unwrap_or(AGE_DEFAULT).clamp(AGE_MIN, AGE_MAX);
        self.end_fetch(State::Fresh { until: now + age });
    }

    /// The keys could not be fetched. The earlier ones stay in use.
    pub(super) fn handle_failed(&mut self, now: Instant) {
        let until = now + self.backoff.next_wait();
        self.end_fetch(State::Failing { until });
    }

    fn end_fetch(&mut self, next: State) {
        self.state = match self.state {
            State::Fetching { is_outdated: true } => State::Due,
            State::Fetching { is_outdated: false } => next,
            State::Due | State::Fresh { .. } | State::Failing { .. } => {
                unreachable!("only one that was asked for ends")
            }
        };
    }

    /// A token names an unknown key. Returns whether it is worth waiting for the keys that are being fetched, or will be after the next
    /// [`poll_output`](Self::poll_output).
    pub(super) fn handle_unknown_key(&mut self, now: Instant) -> bool {
        match self.state {
            State::Due | State::Fetching { .. } => true,
            State::Fresh { .. } if self.unknown_at <= now => {
                self.unknown_at = now + UNKNOWN_EVERY;
                self.state = State::Due;
                true
            }
            State::Fresh { .. } | State::Failing { .. } => false,
        }
    }

    /// An operator reports that the keys may have changed.
    pub(super) const fn handle_request(&mut self) {
        self.state = match self.state {
            State::Due | State::Fresh { .. } | State::Failing { .. } => State::Due,
            State::Fetching { .. } => State::Fetching { is_outdated: true },
        };
    }

    /// The deadline was reached.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Fresh { until } | State::Failing { until } if until <= now => {
                self.state = State::Due;
            }
            State::Due | State::Fetching { .. } | State::Fresh { .. } | State::Failing { .. } => {}
        }
    }

    /// What to do now.
    pub(super) const fn poll_output(&mut self) -> Option<Fetch> {
        match self.state {
            State::Due => {
                self.state = State::Fetching { is_outdated: false };
                Some(Fetch)
            }
            State::Fetching { .. } | State::Fresh { .. } | State::Failing { .. } => None,
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Fresh { until } | State::Failing { until } => Some(until),
            State::Due | State::Fetching { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
