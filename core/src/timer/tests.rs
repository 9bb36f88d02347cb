use alloc::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Arm {
        key: u32,
        at: u64,
    },
    /// Moves a key's deadline earlier again and again, which leaves as many useless entries.
    Hasten {
        key: u32,
        at: u64,
        times: u64,
    },
    Disarm {
        key: u32,
    },
    Expire {
        now: u64,
    },
}

/// Near and far times, in microseconds.
fn any_time() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..40_u64,
        0..4_000_u64,
        (0..40_u64).prop_map(|at| at * 25_000)
    ]
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    // Few keys and few instants, so that keys are moved and deadlines coincide.
    let step = prop_oneof![
        6 => (0..60_u32, any_time()).prop_map(|(key, at)| Step::Arm { key, at }),
        1 => (0..60_u32, any_time(), 0..99_u64).prop_map(|(key, at, times)| Step::Hasten { key, at, times }),
        2 => (0..60_u32).prop_map(|key| Step::Disarm { key }),
        2 => any_time().prop_map(|now| Step::Expire { now }),
    ];
    prop::collection::vec(step, 0..if cfg!(miri) { 60 } else { 200 })
}

/// Checks the invariants of `Timers`.
fn check(timers: &Timers) {
    assert!(timers.next.iter().all(|entry| entry.at <= timers.reached));
    let mut all = timers.next.clone().into_vec();
    for (number, range) in (0..).zip(&timers.ranges) {
        let first = range.entries.iter().map(|entry| entry.at).min();
        assert_eq!(range.first, first.unwrap_or(NEVER));
        assert_eq!(timers.filled >> number & 1 == 1, first.is_some());
        for entry in &range.entries {
            assert!(entry.at > timers.reached);
            assert_eq!((entry.at ^ timers.reached).ilog2(), number);
        }
        all.extend(&range.entries);
    }
    assert_eq!(all.len(), timers.entries);
    assert!(timers.entries <= 2 * timers.keys.len() + USELESS_MIN + 1);
    for (number, key) in (0..).zip(&timers.keys) {
        let is_own = |entry: &Entry| entry.key == number && entry.at == key.entry;
        assert_eq!(key.entry != NEVER, all.iter().any(is_own));
        assert!(key.at >= key.entry);
    }
    let armed = timers.keys.iter().filter(|key| key.at != NEVER);
    assert_eq!(armed.count(), timers.len());
}

proptest! {
    #[test]
    fn timers_agree_with_a_sorted_set(steps in any_steps(), keys in 1..60_u32) {
        let mut timers = Timers::new();
        let mut deadlines: BTreeMap<u32, Instant> = BTreeMap::new();
        let mut sorted: BTreeSet<(Instant, u32)> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Arm { key, at } | Step::Hasten { key, at, .. } => {
                    let key = key % keys;
                    if let Step::Hasten { times, .. } = step {
                        for earlier in (1..times).rev() {
                            timers.arm(key, Instant::from_micros(at + earlier));
                        }
                    }
                    let at = Instant::from_micros(at);
                    timers.arm(key, at);
                    if let Some(old) = deadlines.insert(key, at) {
                        sorted.remove(&(old, key));
                    }
                    sorted.insert((at, key));
                }
                Step::Disarm { key } => {
                    let key = key % keys;
                    let old = deadlines.remove(&key);
                    prop_assert_eq!(timers.disarm(key), old.is_some());
                    old.map(|old| sorted.remove(&(old, key)));
                }
                Step::Expire { now } => {
                    let now = Instant::from_micros(now);
                    let due = sorted.first().filter(|(at, _)| *at <= now).copied();
                    prop_assert_eq!(timers.expire(now), due.map(|(_, key)| key));
                    prop_assert!(due.is_some() || timers.poll_timeout().is_none_or(|at| at > now));
                    if let Some(due) = due {
                        sorted.remove(&due);
                        deadlines.remove(&due.1);
                    }
                }
            }
            check(&timers);
            prop_assert_eq!((timers.len(), timers.is_empty()), (sorted.len(), sorted.is_empty()));
            let earliest = sorted.first().map(|(at, _)| *at);
            prop_assert_eq!(timers.poll_timeout().is_some(), earliest.is_some());
            prop_assert!(timers.poll_timeout() <= earliest);
            for key in 0..60 {
                prop_assert_eq!(timers.deadline(key), deadlines.get(&key).copied());
            }
        }
        for (_, key) in sorted {
            prop_assert_eq!(timers.expire(Instant::from_millis(1_000)), Some(key));
        }
        prop_assert!(timers.is_empty());
    }
}

#[test]
fn what_is_due_at_one_instant_comes_in_the_order_of_keys() {
    let mut timers = Timers::new();
    let at = Instant::from_millis(5);
    for key in [7, 2, 9, 0] {
        timers.arm(key, at);
    }
    assert_eq!(timers.expire(Instant::from_micros(4_999)), None);
    for key in [0, 2, 7, 9] {
        assert_eq!(timers.expire(at), Some(key));
    }
    assert_eq!(timers.expire(at), None);
    assert_eq!(timers.poll_timeout(), None);
}

#[test]
fn deadlines_that_move_earlier_and_later_for_ever_need_no_more_room() {
    let mut timers = Timers::new();
    // The last one moves the first key.
    let moves = if cfg!(miri) { 301 } else { 10_000 };
    for i in 0..moves {
        timers.arm((i % 3) as u32, Instant::from_millis(1_000_000 - i));
        assert!(!timers.disarm(7));
        check(&timers);
    }
    assert!(timers.memory_bytes() < 16_384);
    for key in [0, 2, 1] {
        assert_eq!(timers.expire(Instant::from_millis(1_000_000)), Some(key));
    }
    assert!(timers.is_empty());
}

#[test]
fn the_room_of_keys_and_entries_is_counted() {
    const KEYS: usize = if cfg!(miri) { 100 } else { 1_000 };
    let mut timers = Timers::new();
    for at in [Instant::ZERO, Instant::from_millis(1)] {
        for key in 0..KEYS {
            timers.arm(key as u32, at);
        }
        // 16 bytes for each key and for its entry, and room to grow.
        let bytes = timers.memory_bytes();
        assert!((32 * KEYS..80 * KEYS).contains(&bytes), "{bytes} bytes");
        while timers.expire(at).is_some() {}
    }
}

#[test]
#[cfg_attr(miri, ignore = "thousands of keys, whose bytes are counted")]
fn the_room_of_entries_that_have_come_is_given_back() {
    const KEYS: usize = 4_096;
    let mut timers = Timers::new();
    for key in 0..KEYS {
        timers.arm(key as u32, Instant::from_millis(key as u64));
    }
    while timers.expire(Instant::from_millis(KEYS as u64)).is_some() {}
    let bytes = timers.memory_bytes();
    assert!(
        bytes < 24 * KEYS,
        "{bytes} bytes, of which keys have 16 each"
    );
}

#[test]
fn the_end_of_all_time_is_a_deadline_like_any_other() {
    let mut timers = Timers::new();
    let end = Instant::from_micros(u64::MAX);
    timers.arm(3, end);
    assert_eq!(timers.expire(Instant::from_millis(1)), None);
    assert_eq!(timers.expire(end), Some(3));
    assert_eq!(timers.expire(end), None);
}

#[test]
#[should_panic(expected = "timer keys are below 2^32 - 1")]
fn the_largest_key_is_refused_before_memory_is_taken_for_it() {
    Timers::new().arm(u32::MAX, Instant::ZERO);
}
