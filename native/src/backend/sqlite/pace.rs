//! How often to check the file for what other processes wrote.

use std::time::Duration;

/// The wait between two checks while others write.
pub(super) const WAIT_MIN: Duration = Duration::from_millis(1);

/// The wait between two checks while nothing happens: the longest time that another process's publication goes
/// unnoticed.
pub(super) const WAIT_MAX: Duration = Duration::from_millis(25);

/// How long to wait for the next check, after one that waited for `waited` and found a change or didn't.
///
/// The shortest wait after a change, and a quarter more after each check in vain. So a writer's next publication is
/// found at once, and 120 ms after its last one, the longest wait is reached.
pub(super) fn next_wait(waited: Duration, has_changed: bool) -> Duration {
    if has_changed {
        WAIT_MIN
    } else {
        (waited + waited / 4).clamp(WAIT_MIN, WAIT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The waits from a change until the longest is reached.
    fn waits_after_a_change() -> Vec<Duration> {
        let mut waits = vec![next_wait(WAIT_MAX, true)];
        while let Some(last) = waits.last()
            && *last < WAIT_MAX
        {
            waits.push(next_wait(*last, false));
        }
        waits
    }

    #[test]
    fn a_change_brings_the_shortest_wait() {
        assert_eq!(next_wait(WAIT_MAX, true), WAIT_MIN);
        assert_eq!(next_wait(WAIT_MIN, true), WAIT_MIN);
    }

    #[test]
    fn without_changes_all_is_quiet_within_a_fifth_of_a_second() {
        let waits = waits_after_a_change();
        assert!(waits.len() < 20, "{waits:?}");
        assert!(waits.iter().sum::<Duration>() < Duration::from_millis(200));
        assert_eq!(next_wait(WAIT_MAX, false), WAIT_MAX);
    }

    proptest! {
        #[test]
        fn every_wait_is_in_range_and_grows_in_vain_only(micros in 0_u64..100_000, has_changed: bool) {
            let waited = Duration::from_micros(micros);
            let next = next_wait(waited, has_changed);
            prop_assert!((WAIT_MIN..=WAIT_MAX).contains(&next));
            prop_assert!(has_changed || next >= waited.min(WAIT_MAX));
        }
    }
}
