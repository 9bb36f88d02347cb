//! Rows that the database refuses to let us take in. They are set aside for a while, so that they don't hold up others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// After how long a row is tried again.
pub(super) const ASIDE_FOR: Duration = Duration::from_secs(10);

/// The most rows that are set aside individually.
const ROWS_MAX: usize = 256;

/// Finding the refused rows costs transactions. Nothing is requested for this multiple of the time that they took.
const REST_FACTOR: u32 = 4;

/// Which rows are not requested for now.
#[derive(Debug, Default)]
pub(super) struct Aside {
    rows: BTreeMap<i64, Instant>,
    /// All rows up to this one, once there were too many individual ones.
    all_to: Option<(i64, Instant)>,
    rests_until: Option<Instant>,
}

impl Aside {
    /// Sets a row aside.
    pub(super) fn put(&mut self, now: Instant, id: i64) {
        let until = now + ASIDE_FOR;
        self.rows.insert(id, until);
        if self.rows.len() > ROWS_MAX
            && let Some((last, _)) = self.rows.pop_last()
        {
            self.rows.clear();
            self.all_to = Some((last.max(self.after()), until));
        }
    }

    /// Pauses requests after a search that began at `began` and has found refused rows.
    pub(super) fn rest_after(&mut self, began: Instant, now: Instant) {
        self.rest_until(now + now.duration_since(began) * REST_FACTOR);
    }

    /// Pauses requests until then.
    pub(super) fn rest_until(&mut self, until: Instant) {
        self.rests_until = Some(until);
    }

    /// Whether rows may be requested. Rows that have been aside for long enough are then tried again.
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        if self.rests_until.is_some_and(|until| now < until) {
            return false;
        }
        self.rows.retain(|_, until| now < *until);
        self.all_to = self.all_to.filter(|(_, until)| now < *until);
        true
    }

    /// The row after which rows are requested.
    pub(super) fn after(&self) -> i64 {
        self.all_to.map_or(i64::MIN, |(id, _)| id)
    }

    /// The rows that are not requested.
    pub(super) fn rows(&self) -> Vec<i64> {
        self.rows.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUST: Duration = Duration::from_micros(1);

    #[test]
    fn a_row_is_aside_for_a_while_and_alone() {
        let now = Instant::now();
        let mut aside = Aside::default();
        aside.put(now, 7);
        aside.put(now + JUST, -3);
        assert!(aside.may_ask(now + ASIDE_FOR - JUST));
        assert_eq!((aside.after(), aside.rows()), (i64::MIN, vec![-3, 7]));
        assert!(aside.may_ask(now + ASIDE_FOR));
        assert_eq!(aside.rows(), [-3]);
        assert!(aside.may_ask(now + ASIDE_FOR + JUST) && aside.rows().is_empty());
    }

    #[test]
    fn however_many_are_refused_no_more_than_so_many_are_remembered_and_none_is_asked_for() {
        let now = Instant::now();
        let mut aside = Aside::default();
        for id in 0..10_000 {
            aside.put(now, id);
            assert!(aside.rows().len() <= ROWS_MAX);
            let is_aside = |row: &i64| *row <= aside.after() || aside.rows().contains(row);
            assert!([0, id / 2, id].iter().all(is_aside), "{id}");
            assert!(aside.after() <= id);
        }
        assert!(aside.may_ask(now + ASIDE_FOR));
        assert_eq!((aside.after(), aside.rows()), (i64::MIN, Vec::new()));
    }

    #[test]
    fn a_row_below_those_that_are_aside_does_not_bring_them_back() {
        let now = Instant::now();
        let mut aside = Aside::default();
        for id in (0..).take(ROWS_MAX + 1) {
            aside.put(now, 1_000 + id);
        }
        let after = aside.after();
        for id in (0..).take(ROWS_MAX + 1) {
            aside.put(now, id);
        }
        assert_eq!(aside.after(), after);
    }

    #[test]
    fn the_search_for_refused_rows_takes_a_fifth_of_the_time_at_most() {
        let began = Instant::now();
        let mut aside = Aside::default();
        let ended = began + Duration::from_millis(100);
        aside.rest_after(began, ended);
        let rested = ended + Duration::from_millis(400);
        assert!(!aside.may_ask(rested - JUST) && aside.may_ask(rested));
    }
}
