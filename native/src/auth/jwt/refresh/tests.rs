//! When keys are fetched, in virtual time.

use super::*;

const JUST: Duration = Duration::from_micros(1);

/// The machine, and the time.
struct Pair {
    refresh: Refresh,
    now: Instant,
    fetches: usize,
}

impl Pair {
    /// A machine that has not fetched yet.
    fn new() -> Self {
        Self {
            refresh: Refresh::new(7),
            now: Instant::from_millis(1),
            fetches: 0,
        }
    }

    /// A machine that has fetched keys of this age.
    fn fetched(age: Option<Duration>) -> Self {
        let mut pair = Self::new();
        assert!(pair.begins());
        pair.refresh.handle_fetched(pair.now, age);
        pair
    }

    /// Returns whether a fetch begins now.
    fn begins(&mut self) -> bool {
        let begins = self.refresh.poll_output().is_some();
        assert_eq!(self.refresh.poll_output(), None, "one at a time");
        self.fetches += usize::from(begins);
        begins
    }

    fn wait(&mut self, time: Duration) -> &mut Self {
        self.now = self.now + time;
        self.refresh.handle_timeout(self.now);
        self
    }

    /// Waits until the next deadline, and returns how long that was.
    fn wait_for_deadline(&mut self) -> Duration {
        let wait = self.refresh.poll_timeout().expect("a deadline") - self.now;
        assert!(wait > Duration::ZERO);
        if let Some(less) = wait.checked_sub(JUST) {
            assert!(!self.wait(less).begins(), "too early");
            self.wait(JUST);
        }
        wait
    }

    fn names_unknown_key(&mut self) -> bool {
        self.refresh.handle_unknown_key(self.now)
    }
}

#[test]
fn keys_are_fetched_at_once_and_again_when_their_time_is_over() {
    let minutes = |count: u64| Duration::from_secs(count * 60);
    for (said, good_for) in [
        (None, AGE_DEFAULT),
        (Some(minutes(30)), minutes(30)),
        (Some(Duration::ZERO), AGE_MIN),
        (Some(AGE_MAX * 2), AGE_MAX),
        (Some(Duration::MAX), AGE_MAX),
    ] {
        let mut pair = Pair::fetched(said);
        for _ in 0..3 {
            assert_eq!(pair.wait_for_deadline(), good_for, "{said:?}");
            assert!(pair.begins());
            assert_eq!(pair.refresh.poll_timeout(), None, "it is under way");
            pair.refresh.handle_fetched(pair.now, said);
        }
    }
}

#[test]
fn what_fails_is_tried_again_ever_later_but_not_too_late() {
    let mut pair = Pair::new();
    assert!(pair.begins());
    let mut waits = Vec::new();
    for _ in 0..200 {
        pair.refresh.handle_failed(pair.now);
        waits.push(pair.wait_for_deadline());
        assert!(pair.begins());
    }
    assert!(waits[0] <= BACKOFF_BASE);
    assert!(waits.iter().all(|wait| *wait <= BACKOFF_MAX));
    let mean = waits[100..].iter().sum::<Duration>() / 100;
    assert!(mean > BACKOFF_MAX / 3, "{mean:?}");
    // After a success, the next failure counts as the first.
    pair.refresh.handle_fetched(pair.now, None);
    assert_eq!(pair.wait_for_deadline(), AGE_DEFAULT);
    assert!(pair.begins());
    pair.refresh.handle_failed(pair.now);
    assert!(pair.wait_for_deadline() <= BACKOFF_BASE);
}

#[test]
fn an_unknown_key_has_the_set_fetched_at_once_and_all_that_come_meanwhile_wait_for_that() {
    let mut pair = Pair::fetched(None);
    assert!(pair.names_unknown_key());
    assert!(pair.names_unknown_key(), "it is about to be fetched");
    assert!(pair.begins());
    for _ in 0..100 {
        assert!(pair.names_unknown_key(), "it is being fetched");
        assert!(!pair.begins());
    }
    pair.refresh.handle_fetched(pair.now, None);
    assert_eq!(pair.fetches, 2);
}

#[test]
fn unknown_keys_that_are_made_up_have_the_set_fetched_twice_a_minute_at_the_most() {
    let mut pair = Pair::fetched(None);
    let began = pair.now;
    let mut worth_waiting = 0;
    while pair.now - began < Duration::from_secs(300) {
        worth_waiting += usize::from(pair.names_unknown_key());
        if pair.begins() {
            pair.refresh.handle_fetched(pair.now, None);
        }
        pair.wait(Duration::from_millis(10));
    }
    assert_eq!((worth_waiting, pair.fetches), (10, 1 + 10));
}

#[test]
fn unknown_keys_hurry_nothing_while_fetching_fails() {
    let mut pair = Pair::fetched(None);
    assert!(pair.names_unknown_key() && pair.begins());
    pair.refresh.handle_failed(pair.now);
    pair.now = pair.now + UNKNOWN_EVERY;
    for _ in 0..100 {
        assert!(!pair.names_unknown_key());
        assert!(!pair.begins());
    }
    // It was due meanwhile.
    pair.refresh.handle_timeout(pair.now);
    assert!(pair.names_unknown_key() && pair.begins());
}

#[test]
fn whoever_waits_for_the_first_keys_takes_nothing_from_later_ones() {
    let mut pair = Pair::new();
    assert!(pair.names_unknown_key() && pair.begins() && pair.names_unknown_key());
    pair.refresh.handle_fetched(pair.now, None);
    assert!(pair.names_unknown_key() && pair.begins());
}

#[test]
fn who_runs_the_server_has_them_fetched_at_any_time_and_after_what_is_under_way() {
    let mut pair = Pair::fetched(None);
    for _ in 0..3 {
        pair.refresh.handle_request();
        assert!(pair.begins());
        pair.refresh.handle_fetched(pair.now, None);
    }
    pair.refresh.handle_request();
    assert!(pair.begins());
    pair.refresh.handle_failed(pair.now);
    pair.refresh.handle_request();
    assert!(pair.begins(), "without the wait after a failure");
    pair.refresh.handle_request();
    pair.refresh.handle_request();
    assert!(!pair.begins());
    pair.refresh.handle_fetched(pair.now, None);
    assert!(pair.begins(), "what was fetched may be what was before");
    pair.refresh.handle_fetched(pair.now, None);
    assert!(!pair.begins());
}
