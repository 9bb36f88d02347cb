//! Whether the link is up, which calls are in flight, and when to give up on them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use super::{CallId, UplinkConfig};
use crate::client::Backoff;
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

/// What a call in flight is for, to handle its answer.
#[derive(Debug)]
pub(crate) enum PendingCall {
    Open,
    Follow(Vec<Pattern>),
    Unfollow,
    Read(Topic),
    List(Pattern),
    /// With the number of publications.
    Publish(usize),
    Renew(Topic),
    /// With the number of calls about cursors.
    Cursors(usize),
    Lookup,
    Probe,
}

impl PendingCall {
    /// How long a call may take before the link is considered lost; `None` for no limit. Lookups have none: any client may
    /// request one that takes long, and that must not cost all others the link. They are given up one by one instead.
    fn timeout(&self, config: &UplinkConfig) -> Option<Duration> {
        match self {
            Self::Lookup => None,
            Self::List(_) => Some(config.listing_timeout()),
            Self::Open
            | Self::Follow(_)
            | Self::Unfollow
            | Self::Read(_)
            | Self::Publish(_)
            | Self::Renew(_)
            | Self::Cursors(_)
            | Self::Probe => Some(config.call_timeout),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down { until: Instant },
    Opening,
    Up { since: Instant, probe_at: Instant },
}

/// ```text
///         wait over             answered
///  Down ─────────────▶ Opening ───────────▶ Up
///   ▲                     │                  │
///   └── failed, late ─────┴── failed, late, lost
/// ```
///
/// The ceiling of the wait doubles with each attempt, until the link has been up for as long as the longest wait. So a
/// link that is lost again and again soon after it opens is reopened as rarely as one that doesn't open at all.
#[derive(Debug)]
pub(crate) struct Link {
    state: State,
    backoff: Backoff,
    /// The calls in flight, with their deadlines if they have one.
    calls: BTreeMap<CallId, (Option<Instant>, PendingCall)>,
    deadlines: BTreeSet<(Instant, CallId)>,
    last_call: CallId,
    is_probing: bool,
    config: UplinkConfig,
}

impl Link {
    /// A link that has to be opened at once.
    pub(crate) fn new(config: &UplinkConfig) -> Self {
        Self {
            state: State::Down {
                until: Instant::ZERO,
            },
            backoff: Backoff::new(config.seed, config.backoff_base, config.backoff_max),
            calls: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            last_call: 0,
            is_probing: false,
            config: config.clone(),
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Returns whether to open the link now; if so, it counts as being opened.
    pub(crate) fn start_opening(&mut self, now: Instant) -> bool {
        let is_due = matches!(self.state, State::Down { until } if until <= now);
        if is_due {
            self.state = State::Opening;
        }
        is_due
    }

    /// Returns whether to send a probe now; if so, it counts as in flight.
    pub(crate) fn start_probing(&mut self, now: Instant) -> bool {
        let is_due =
            !self.is_probing && matches!(self.state, State::Up { probe_at, .. } if probe_at <= now);
        self.is_probing |= is_due;
        is_due
    }

    /// Registers a call and returns its number.
    pub(crate) fn call(&mut self, now: Instant, pending: PendingCall) -> CallId {
        self.last_call += 1;
        let until = pending.timeout(&self.config).map(|timeout| now + timeout);
        self.deadlines
            .extend(until.map(|until| (until, self.last_call)));
        self.calls.insert(self.last_call, (until, pending));
        self.last_call
    }

    /// Returns what an answered call was for; `None` if it is from before the link was lost.
    pub(crate) fn handle_answer(&mut self, now: Instant, call: CallId) -> Option<PendingCall> {
        let pending = self.remove(call)?;
        match pending {
            PendingCall::Open => {
                self.state = State::Up {
                    since: now,
                    probe_at: now + self.config.probe_every,
                };
            }
            PendingCall::Probe => {
                self.is_probing = false;
                if let State::Up { probe_at, .. } = &mut self.state {
                    *probe_at = now + self.config.probe_every;
                }
            }
            PendingCall::Follow(_)
            | PendingCall::Unfollow
            | PendingCall::Read(_)
            | PendingCall::List(_)
            | PendingCall::Publish(_)
            | PendingCall::Cursors(_)
            | PendingCall::Lookup
            | PendingCall::Renew(_) => {}
        }
        Some(pending)
    }

    /// Forgets a call that has failed without losing the link, and returns what it was for.
    pub(crate) fn remove(&mut self, call: CallId) -> Option<PendingCall> {
        let (until, pending) = self.calls.remove(&call)?;
        if let Some(until) = until {
            self.deadlines.remove(&(until, call));
        }
        Some(pending)
    }

    /// The link is lost: calls in flight are void, and it is reopened after a wait.
    pub(crate) fn lose(&mut self, now: Instant) {
        match self.state {
            State::Down { .. } => return,
            State::Up { since, .. } if since + self.config.backoff_max <= now => {
                self.backoff.reset();
            }
            State::Opening | State::Up { .. } => {}
        }
        self.calls.clear();
        self.deadlines.clear();
        self.is_probing = false;
        self.state = State::Down {
            until: now + self.backoff.next_wait(),
        };
    }

    /// Returns whether a call has taken too long.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.oldest().is_some_and(|until| until <= now)
    }

    fn oldest(&self) -> Option<Instant> {
        self.deadlines.first().map(|(until, _)| *until)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let own = match self.state {
            State::Down { until } => Some(until),
            State::Up { probe_at, .. } if !self.is_probing => Some(probe_at),
            State::Opening | State::Up { .. } => None,
        };
        [own, self.oldest()].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUST: Duration = Duration::from_micros(1);

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// A link that was opened at this time.
    fn up(now: Instant, config: &UplinkConfig) -> Link {
        let mut link = Link::new(config);
        assert!(link.start_opening(now) && !link.is_up());
        assert!(!link.start_opening(now), "it is being opened");
        let call = link.call(now, PendingCall::Open);
        assert!(matches!(
            link.handle_answer(now, call),
            Some(PendingCall::Open)
        ));
        assert!(link.is_up());
        link
    }

    #[test]
    fn a_call_is_overdue_from_its_time_on_until_it_is_answered_or_has_failed() {
        let config = UplinkConfig::new(1);
        let mut link = up(at(1), &config);
        let calls = [1, 2].map(|now| link.call(at(now), PendingCall::Publish(1)));
        for (call, now) in calls.into_iter().zip([1, 2]) {
            let due = at(now) + config.call_timeout;
            assert!(!link.is_overdue(at(now)) && link.is_overdue(due));
            if call == calls[0] {
                assert!(matches!(
                    link.handle_answer(due, call),
                    Some(PendingCall::Publish(1))
                ));
            } else {
                assert!(matches!(link.remove(call), Some(PendingCall::Publish(1))));
            }
            assert!(link.handle_answer(due, call).is_none() && link.remove(call).is_none());
        }
        assert!(!link.is_overdue(at(1) + config.call_timeout * 2));
    }

    #[test]
    fn what_may_take_long_does_not_speak_against_a_link_as_soon_as_all_else() {
        let config = UplinkConfig::new(1);
        let mut link = up(at(1), &config);
        let lookup = link.call(at(1), PendingCall::Lookup);
        let list = link.call(
            at(2),
            PendingCall::List(Pattern::new("**").expect("a pattern")),
        );
        let time = config.listing_timeout();
        let due = at(2) + time;
        assert!(!link.is_overdue(at(1) + time) && link.is_overdue(due));
        let probe = link.call(at(3), PendingCall::Probe);
        assert!(link.is_overdue(at(3) + config.call_timeout));
        assert!(
            link.handle_answer(due, probe).is_some() && link.handle_answer(due, list).is_some()
        );
        assert!(!link.is_overdue(due + time * 100));
        assert!(matches!(
            link.handle_answer(due, lookup),
            Some(PendingCall::Lookup)
        ));
    }

    #[test]
    fn a_link_is_asked_for_a_sign_of_life_one_by_one() {
        let config = UplinkConfig::new(1);
        let mut link = up(at(1), &config);
        let mut due = at(1) + config.probe_every;
        for _ in 0..3 {
            assert_eq!(link.poll_timeout(), Some(due));
            assert!(!link.start_probing(at(1)) && link.start_probing(due));
            assert!(!link.start_probing(due), "one is under way");
            let call = link.call(due, PendingCall::Probe);
            assert_eq!(link.poll_timeout(), Some(due + config.call_timeout));
            assert!(link.handle_answer(due + JUST, call).is_some());
            due = due + JUST + config.probe_every;
        }
    }

    #[test]
    fn what_was_asked_of_a_lost_link_is_void_and_it_is_opened_again_after_a_wait() {
        let config = UplinkConfig::new(1);
        let mut link = up(at(1), &config);
        let late = at(1) + config.probe_every;
        assert!(link.start_probing(late));
        let probe = link.call(late, PendingCall::Probe);
        link.lose(late);
        assert!(!link.is_up() && link.handle_answer(late, probe).is_none());
        let again = link.poll_timeout().unwrap();
        assert!(again <= late + config.backoff_base);
        link.lose(again);
        assert_eq!(link.poll_timeout(), Some(again), "it was lost before");
        assert!(!link.start_opening(at(1)) && link.start_opening(again));
        assert_eq!(link.poll_timeout(), None, "its call is yet to be made");
        let open = link.call(again, PendingCall::Open);
        assert!(open > probe && link.handle_answer(again, open).is_some());
        assert!(link.start_probing(again + config.probe_every));
    }

    /// Loses a link that is up and reopens it; returns the time at which it is up again.
    fn lost_and_back(link: &mut Link, now: Instant) -> Instant {
        link.lose(now);
        let again = link.poll_timeout().unwrap();
        assert!(again > now && link.start_opening(again));
        let call = link.call(again, PendingCall::Open);
        assert!(link.handle_answer(again, call).is_some());
        again
    }

    #[test]
    fn what_stood_for_long_is_opened_again_as_soon_as_what_was_lost_for_the_first_time() {
        let config = UplinkConfig::new(1);
        let mut link = up(at(1), &config);
        let mut since = at(1);
        for _ in 0..20 {
            let now = since + config.backoff_max;
            since = lost_and_back(&mut link, now);
            assert!(since <= now + config.backoff_base);
        }
    }

    #[test]
    fn what_is_lost_whenever_it_is_opened_is_opened_ever_more_seldom() {
        const TURNS: u32 = 200;
        for seed in 0..5 {
            let config = UplinkConfig::new(seed);
            let mut link = up(at(1), &config);
            let stands_for = config.backoff_max.saturating_sub(JUST);
            let mut waited = Duration::ZERO;
            let mut since = at(1);
            for _ in 0..TURNS {
                let now = since + stands_for;
                since = lost_and_back(&mut link, now);
                waited += since - now;
            }
            // With full jitter, the mean is half of the longest wait.
            let mean = waited / TURNS;
            assert!(mean > config.backoff_max / 3, "seed {seed}: {mean:?}");
            // It stays up this time, so the next loss counts as the first.
            let now = since + config.backoff_max;
            assert!(lost_and_back(&mut link, now) <= now + config.backoff_base);
        }
    }
}
