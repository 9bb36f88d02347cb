//! How a node sends its presences, in parts of bounded size, and what another one makes of them.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use proptest::prelude::*;

use super::message::Part;
use super::own::{JOIN_OVERHEAD_BYTES, LEAVE_BYTES, Own};
use super::peer::Peer;
use super::section::{Entry, Section};
use super::{Key, NodeId, PresenceLimits, TrackId, TrackerConfig};
use crate::payload::opaque::Opaque;
use crate::time::Instant;
use crate::topic::Topic;

/// A meta that has only a size.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Meta(usize);

impl Opaque for Meta {
    fn bytes(&self) -> usize {
        self.0
    }
}

fn entry(bytes: usize) -> Entry<Meta> {
    Entry {
        topic: Topic::new("room:1").unwrap(),
        key: Key::new("ada").unwrap(),
        meta: Meta(bytes),
    }
}

fn track(number: usize) -> TrackId {
    let number = number as u64;
    TrackId { session: 1, number }
}

/// A node that remembers `removals_max` removals, after these steps: a size adds a presence, `None` removes the oldest.
fn own(steps: &[Option<usize>], removals_max: usize) -> Own<Meta> {
    let limits = PresenceLimits {
        removals_max,
        ..PresenceLimits::default()
    };
    let mut own = Own::new(&limits);
    let mut live = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        if let Some(bytes) = step {
            own.add(track(number), entry(*bytes));
            live.push(number);
        } else if !live.is_empty() {
            own.remove(track(live.remove(0)));
        }
        assert_eq!(own.len(), live.len());
    }
    own
}

fn any_steps() -> impl Strategy<Value = Vec<Option<usize>>> {
    prop::collection::vec(prop::option::weighted(0.6, 0..300_usize), 1..40)
}

/// The clocks of the presences that are left after these steps, and of each removal with what it removed.
fn course(steps: &[Option<usize>]) -> (VecDeque<u64>, Vec<(u64, u64)>) {
    let (mut clock, mut live, mut removals) = (0, VecDeque::new(), Vec::new());
    for step in steps {
        if step.is_some() {
            clock += 1;
            live.push_back(clock);
        } else if let Some(removed) = live.pop_front() {
            clock += 1;
            removals.push((clock, removed));
        }
    }
    (live, removals)
}

/// The presences that a node has.
fn left(own: &Own<Meta>) -> BTreeMap<u64, Entry<Meta>> {
    own.parts(0, usize::MAX)
        .remove(0)
        .joins
        .into_iter()
        .collect()
}

fn join_bytes(entry: &Entry<Meta>) -> usize {
    "room:1".len() + "ada".len() + entry.meta.0 + JOIN_OVERHEAD_BYTES
}

fn bytes(part: &Part<Meta>) -> usize {
    let joins = part.joins.iter().map(|(_, entry)| join_bytes(entry));
    joins.sum::<usize>() + part.leaves.len() * LEAVE_BYTES
}

/// The size of a part's first change. Changes are ordered by their clocks; a part begins with a removal only if its
/// first clock is not a join's.
fn first_bytes(part: &Part<Meta>) -> usize {
    match part.joins.first() {
        Some((clock, entry)) if *clock == part.since + 1 => join_bytes(entry),
        _ => LEAVE_BYTES,
    }
}

proptest! {
    #[test]
    fn parts_follow_each_other_and_are_as_large_as_they_may(
        steps in any_steps(),
        since in 0..40_u64,
        bytes_max in 1..1_000_usize,
    ) {
        let own = own(&steps, 1_000);
        let since = since.min(own.clock());
        let parts = own.parts(since, bytes_max);
        prop_assert_eq!(parts[0].since, since);
        prop_assert_eq!(parts.last().unwrap().until, own.clock());
        for part in &parts {
            let changes = part.joins.len() + part.leaves.len();
            prop_assert!(changes <= 1 || bytes(part) <= bytes_max);
        }
        for two in parts.windows(2) {
            prop_assert_eq!(two[0].until, two[1].since);
            prop_assert!(bytes(&two[0]) + first_bytes(&two[1]) > bytes_max);
        }
    }

    #[test]
    fn what_is_told_is_what_has_changed(
        steps in any_steps(),
        since in 0..40_u64,
        bytes_max in 1..1_000_usize,
    ) {
        let own = own(&steps, 1_000);
        let since = since.min(own.clock());
        let (mut live, removals) = course(&steps);
        live.retain(|clock| *clock > since);
        let parts = own.parts(since, bytes_max);
        let joins = parts.iter().flat_map(|part| &part.joins);
        prop_assert!(joins.map(|(clock, _)| clock).eq(&live));
        for part in &parts {
            // A presence that was added and removed within a part is not among its joins, which says enough.
            let is_told = |(clock, removed): &(u64, u64)| {
                part.since < *clock && *clock <= part.until && *removed <= part.since
            };
            let leaves = removals.iter().filter(|removal| is_told(removal));
            prop_assert!(leaves.map(|(_, removed)| removed).eq(&part.leaves));
        }
    }

    #[test]
    fn who_hears_all_parts_holds_what_the_node_has(
        steps in any_steps(),
        bytes_max in 1..1_000_usize,
        removals_max in 1..5_usize,
        goes_on in any::<bool>(),
    ) {
        let early = own(&steps[..steps.len() / 2], removals_max);
        let late = own(&steps, removals_max);
        let mut peer: Peer<Meta> = Peer::new(Instant::ZERO);
        for part in early.parts(0, bytes_max) {
            peer.take(part, usize::MAX);
        }
        let since = if goes_on { peer.section.seen.whole() } else { 0 };
        for part in late.parts(since, bytes_max) {
            peer.take(part, usize::MAX);
        }
        prop_assert_eq!(&peer.section.entries, &left(&late));
        prop_assert_eq!(peer.section.seen.whole(), late.clock());
    }

    #[test]
    fn who_has_seen_a_change_knows_what_it_did(
        steps in any_steps(),
        told in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..40_u64, 1..600_usize, any::<u64>()),
            1..8,
        ),
        removals_max in 1..5_usize,
        gaps_max in 0..4_usize,
        is_shuffled in any::<bool>(),
    ) {
        // The node sends parts now and then, from any clock on, and some of them arrive.
        let mut parts = Vec::new();
        for (after, since, bytes_max, chances) in &told {
            let own = own(&steps[..=after.index(steps.len())], removals_max);
            let told = own.parts(*since, *bytes_max).into_iter().enumerate();
            parts.extend(told.filter_map(|(number, part)| {
                let chance = chances.rotate_left(u32::try_from(number * 7 % 64).unwrap());
                (chance % 4 != 0).then_some((chance, part))
            }));
        }
        if is_shuffled {
            parts.sort_by_key(|(chance, _)| *chance);
        }
        let (live, removals) = course(&steps);
        let mut peer: Peer<Meta> = Peer::new(Instant::ZERO);
        for (_, part) in parts {
            peer.take(part, gaps_max);
            let Section { seen, entries } = &peer.section;
            for (clock, removed) in &removals {
                prop_assert!(!seen.contains(*clock) || !entries.contains_key(removed));
            }
            for clock in &live {
                prop_assert!(!seen.contains(*clock) || entries.contains_key(clock));
            }
        }
        // A node that asks for the rest gets everything, if nothing more is lost.
        let late = own(&steps, removals_max);
        for part in late.parts(peer.section.seen.whole(), 100) {
            peer.take(part, usize::MAX);
        }
        prop_assert_eq!(&peer.section.entries, &left(&late));
    }

    #[test]
    fn joins_outside_of_its_clocks_are_no_part_of_a_part(
        since in 0..20_u64,
        span in 0..20_u64,
        clocks in prop::collection::vec(0..50_u64, 0..20),
    ) {
        let until = since + span;
        let joins = clocks.iter().map(|clock| (*clock, entry(1))).collect();
        let part = Part { since, until, clock: until, joins, leaves: Vec::new(), is_of_all: false };
        let section = part.into_section();
        let mut within = clocks;
        within.retain(|clock| (since + 1..=until).contains(clock));
        within.sort_unstable();
        within.dedup();
        prop_assert_eq!(section.entries.into_keys().collect::<Vec<_>>(), within);
    }
}

#[test]
fn a_part_is_as_large_as_it_may_be_and_holds_one_change_at_least() {
    let own = own(&[Some(100), Some(200)], 1);
    let bytes = join_bytes(&entry(100)) + join_bytes(&entry(200));
    for (bytes_max, changes) in [(bytes, &[2][..]), (bytes - 1, &[1, 1]), (1, &[1, 1])] {
        let parts = own.parts(0, bytes_max);
        assert!(
            parts
                .iter()
                .map(|part| part.joins.len())
                .eq(changes.iter().copied())
        );
    }
}

#[test]
fn as_many_removals_are_remembered_as_there_is_room_for() {
    for count in 1..=6 {
        let steps = [[Some(1), None]; 6];
        let own = own(&steps.as_flattened()[..2 * count], 3);
        // Each removal has an even clock. A node that has missed a forgotten one is sent everything.
        let forgotten = count.saturating_sub(3) as u64;
        let whole = own.parts(2 * forgotten, usize::MAX).remove(0);
        assert_eq!(whole.since, 2 * forgotten);
        if forgotten > 0 {
            let anew = own.parts(2 * forgotten - 1, usize::MAX).remove(0);
            assert_eq!(anew.since, 0, "{count}");
        }
    }
}

#[test]
fn a_node_is_asked_again_only_after_a_while() {
    let config = TrackerConfig::new(NodeId(1));
    let mut peer: Peer<Meta> = Peer::new(Instant::ZERO);
    assert_eq!(peer.ask(Instant::ZERO, 5, &config), Some(0));
    let half = Instant::ZERO + config.ask_again / 2;
    assert_eq!(peer.ask(half, 5, &config), None);
    assert_eq!(
        peer.ask(Instant::ZERO + config.ask_again, 5, &config),
        Some(0)
    );
    assert_eq!(
        peer.ask(Instant::ZERO + config.ask_again * 3, 0, &config),
        None
    );
}
