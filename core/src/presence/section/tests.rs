//! Checks that the join is that of a semilattice, and of an observed-remove set.

use alloc::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What one node did: `true` adds a presence, `false` removes the oldest one left.
fn history() -> impl Strategy<Value = Vec<bool>> {
    prop::collection::vec(prop::bool::weighted(0.6), 1..30)
}

fn entry(clock: u64) -> Entry<u64> {
    Entry {
        topic: Topic::new("room:1").unwrap(),
        key: Key::new("ada").unwrap(),
        meta: clock,
    }
}

/// The part that contains the change at one clock, for each clock.
fn parts(history: &[bool]) -> Vec<Section<u64>> {
    let mut live = BTreeSet::new();
    let mut parts = Vec::new();
    for (clock, is_add) in (1..).zip(history) {
        let mut part = Section::default();
        part.seen.insert(clock - 1, clock);
        if *is_add {
            live.insert(clock);
            part.entries.insert(clock, entry(clock));
        } else if let Some(removed) = live.pop_first() {
            part.seen.insert(removed - 1, removed);
        }
        parts.push(part);
    }
    parts
}

fn joined(parts: impl IntoIterator<Item = Section<u64>>) -> Section<u64> {
    let mut all = Section::default();
    for part in parts {
        all.join(part);
    }
    all
}

/// A possible state of a node that has received some of the parts, some of them twice.
fn some_of(parts: &[Section<u64>], picks: &[prop::sample::Index]) -> Section<u64> {
    joined(picks.iter().map(|pick| pick.get(parts).clone()))
}

proptest! {
    #[test]
    fn joining_is_associative_commutative_and_idempotent(
        history in history(),
        picks in prop::array::uniform3(prop::collection::vec(any::<prop::sample::Index>(), 0..30)),
    ) {
        let parts = parts(&history);
        let [a, b, c] = picks.map(|picks| some_of(&parts, &picks));
        let both = |a: &Section<u64>, b: &Section<u64>| joined([a.clone(), b.clone()]);
        prop_assert_eq!(both(&both(&a, &b), &c), both(&a, &both(&b, &c)));
        prop_assert_eq!(both(&a, &b), both(&b, &a));
        prop_assert_eq!(both(&a, &a), a);
    }

    #[test]
    fn whatever_the_order_all_parts_make_the_whole(
        (history, order) in history().prop_flat_map(|history| {
            let indices: Vec<usize> = (0..history.len()).collect();
            (Just(history), Just(indices).prop_shuffle())
        }),
    ) {
        let parts = parts(&history);
        let mut live = BTreeSet::new();
        for (clock, is_add) in (1..).zip(&history) {
            if *is_add { live.insert(clock); } else { live.pop_first(); }
        }
        let whole = joined(order.into_iter().map(|index| parts[index].clone()));
        prop_assert_eq!(whole.entries.keys().copied().collect::<BTreeSet<_>>(), live);
        prop_assert_eq!(whole.seen.whole(), history.len() as u64);
    }

    #[test]
    fn what_came_less_what_went_is_the_difference(
        history in history(),
        first in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
        second in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let parts = parts(&history);
        let mut section = some_of(&parts, &first);
        let before: BTreeSet<u64> = section.entries.keys().copied().collect();
        let change = section.join(some_of(&parts, &second));
        let after: BTreeSet<u64> = section.entries.keys().copied().collect();
        prop_assert_eq!(change.came.into_iter().collect::<BTreeSet<_>>(), &after - &before);
        let went: BTreeSet<u64> = change.went.iter().map(|(clock, _)| *clock).collect();
        prop_assert_eq!(went, &before - &after);
    }
}

#[test]
fn a_presence_that_is_renewed_survives_a_removal_that_did_not_see_it() {
    // The second presence of the same key is added at clock 2, and the first is removed at clock 3.
    let parts = parts(&[true, true, false]);
    let late = joined([parts[2].clone(), parts[0].clone(), parts[1].clone()]);
    assert_eq!(late.entries.keys().copied().collect::<Vec<_>>(), [2]);
}
