use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::lifecycle::EndReason;
use crate::progress::window::Window;

/// What a node may do, and what it sends of that.
#[derive(Clone, Debug)]
enum Act {
    Done {
        node: u64,
        session: u8,
        count: u64,
    },
    Queued {
        node: u64,
        count: u64,
    },
    Wait {
        micros: u64,
    },
    Target {
        node: u64,
        value: u64,
    },
    Start {
        at_ms: u64,
    },
    End {
        at_ms: u64,
        reason: usize,
    },
    /// The node's share, complete or since some version, is sent.
    Tell {
        node: u64,
        since: u64,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let node = || 0..3_u64;
    prop_oneof![
        6 => (node(), 0..6_u8, 0..9_u64)
            .prop_map(|(node, session, count)| Act::Done { node, session, count }),
        2 => (node(), 0..9_u64).prop_map(|(node, count)| Act::Queued { node, count }),
        3 => (0..40_u64).prop_map(|micros| Act::Wait { micros }),
        1 => (node(), 0..500_u64).prop_map(|(node, value)| Act::Target { node, value }),
        1 => (0..50_u64).prop_map(|at_ms| Act::Start { at_ms }),
        1 => (0..50_u64, 0..3_usize).prop_map(|(at_ms, reason)| Act::End { at_ms, reason }),
        3 => (node(), 0..20_u64).prop_map(|(node, since)| Act::Tell { node, since }),
    ]
}

fn key(session: u8) -> Key {
    Key::new(&format!("s{session}")).expect("valid")
}

/// The final tallies of the nodes, each with only its own share, and everything that was sent on the way.
fn run(acts: &[Act]) -> (Vec<Tally>, Vec<Tally>) {
    let mut nodes: Vec<Tally> = (0..3).map(|_| Tally::default()).collect();
    let (mut told, mut clock, mut version) = (Vec::new(), 0, 0);
    for act in acts {
        match *act {
            Act::Done {
                node,
                session,
                count,
            } => {
                of(&mut nodes, node, clock).count_done(&key(session), count, 4);
            }
            Act::Queued { node, count } => of(&mut nodes, node, clock).count_queued(count),
            Act::Wait { micros } => clock += micros,
            Act::Target { node, value } => {
                version += 1;
                nodes[index(node)].target = Some(Target {
                    version,
                    node: NodeId::new(node),
                    value: Some(value),
                });
            }
            Act::Start { at_ms } => {
                let start = Tally {
                    started_ms: Some(at_ms),
                    ..Tally::default()
                };
                nodes[0].join(&start);
            }
            Act::End { at_ms, reason } => {
                let reason = EndReason::ALL[reason];
                let end = Tally {
                    ended: Some(Ended { at_ms, reason }),
                    ..Tally::default()
                };
                nodes[1].join(&end);
            }
            Act::Tell { node, since } => {
                told.extend(nodes[index(node)].parts(NodeId::new(node), since, 2));
            }
        }
    }
    (nodes, told)
}

fn index(node: u64) -> usize {
    usize::try_from(node).expect("small")
}

fn of(nodes: &mut [Tally], node: u64, clock: u64) -> &mut Share {
    let shares = &mut nodes[index(node)].shares;
    let share = shares
        .entry(NodeId::new(node))
        .or_insert_with(|| Share::begin(Window::new(10, 4)));
    share.advance(clock);
    share
}

fn joined(tallies: &[&Tally]) -> Tally {
    let mut sum = Tally::default();
    tallies.iter().for_each(|tally| sum.join(tally));
    sum
}

/// What matters: everything except how much is known to be complete.
fn content(tally: &Tally) -> (u64, u64, BTreeMap<Key, u64>, Vec<Option<Window>>) {
    let windows = tally.shares.values().map(|share| share.window().cloned());
    (
        tally.done(),
        tally.queued(),
        tally.sessions(),
        windows.collect(),
    )
}

proptest! {
    #[test]
    fn joining_is_associative_commutative_and_idempotent(acts in prop::collection::vec(act(), 0..60), cut in 0..60_usize) {
        // Tallies of different moments, complete ones and ones that others have joined.
        let (late, _) = run(&acts);
        let (early, _) = run(&acts[..cut.min(acts.len())]);
        let a = joined(&[&late[0], &early[1]]);
        let b = joined(&[&late[1], &early[2], &early[0]]);
        let c = joined(&[&late[2], &late[0]]);
        let left = joined(&[&joined(&[&a, &b]), &c]);
        let right = joined(&[&a, &joined(&[&b, &c])]);
        prop_assert_eq!(&left, &right);
        prop_assert_eq!(&left, &joined(&[&c, &b, &a]));
        prop_assert_eq!(&left, &joined(&[&left, &left, &a, &early[0], &b]));
        let all: Vec<&Tally> = late.iter().collect();
        prop_assert_eq!(&left, &joined(&all));
    }

    #[test]
    fn parts_count_nothing_twice_in_whatever_order_they_come(
        acts in prop::collection::vec(act(), 0..80),
        order in any::<prop::sample::Index>(),
    ) {
        let (nodes, mut told) = run(&acts);
        // Some arrive late, some twice.
        if !told.is_empty() {
            let at = order.index(told.len());
            told.rotate_left(at);
            let again = told[..at].to_vec();
            told.extend(again);
        }
        for (number, node) in nodes.iter().enumerate() {
            told.extend(node.parts(NodeId::new(number as u64), 0, 1));
        }
        let parts: Vec<&Tally> = told.iter().collect();
        let whole: Vec<&Tally> = nodes.iter().collect();
        prop_assert_eq!(content(&joined(&parts)), content(&joined(&whole)));
        let forth = joined(&parts).known();
        prop_assert_eq!(forth, joined(&whole).known());
    }

    #[test]
    fn what_has_changed_since_brings_up_to_date(acts in prop::collection::vec(act(), 0..60), cut in 0..60_usize) {
        let (late, _) = run(&acts);
        let (early, _) = run(&acts[..cut.min(acts.len())]);
        for (number, node) in late.iter().enumerate() {
            let id = NodeId::new(number as u64);
            let mut copy = early[number].clone();
            let since = copy.known().get(&id).copied().unwrap_or(0);
            node.parts(id, since, 1).iter().for_each(|part| copy.join(part));
            prop_assert_eq!(&copy, node);
            // The parts from the last to the first: each extends to where the next one begins.
            let parts = node.parts(id, 0, 1);
            let mut copy = Tally::default();
            parts.iter().rev().for_each(|part| copy.join(part));
            prop_assert_eq!(copy.known(), joined(&[node]).known());
        }
    }

    #[test]
    fn its_json_is_read_back(acts in prop::collection::vec(act(), 0..40)) {
        let (nodes, _) = run(&acts);
        let tally = joined(&nodes.iter().collect::<Vec<_>>());
        let text = serde_json::to_string(&tally).expect("it has a JSON form");
        prop_assert_eq!(serde_json::from_str::<Tally>(&text).expect("our own"), tally);
    }
}

proptest! {
    #[test]
    fn what_a_store_tells_makes_good_what_a_killed_node_did_not(
        stored in prop::collection::vec(0..4_u8, 0..30),
        counted in 0..30_usize,
        told in prop::collection::vec(0..30_usize, 0..4),
        read in prop::collection::vec(0..30_usize, 0..4),
    ) {
        // Each was stored before it was counted, and counted before it was sent; then the node was killed.
        let node = NodeId::new(0);
        let mut nodes = Vec::from([Tally::default()]);
        let mut heard = Tally::default();
        for (number, session) in stored.iter().take(counted).enumerate() {
            of(&mut nodes, 0, 0).count_done(&key(*session), 1, 4);
            if told.contains(&number) {
                let since = heard.known().get(&node).copied().unwrap_or(0);
                nodes[0].parts(node, since, 1).iter().for_each(|part| heard.join(part));
            }
        }
        let at = |count: usize| {
            let sessions = stored.iter().take(count).map(|session| (key(*session), 1));
            Tally::from_counts(node, sessions)
        };
        // Another node has received some of it, and has read the store several times, the last time at the end.
        let mut one = heard.clone();
        read.iter().for_each(|count| one.join(&at(*count)));
        one.join(&at(stored.len()));
        prop_assert_eq!(one.done(), stored.len() as u64);
        prop_assert_eq!(one.sessions(), at(stored.len()).sessions());
        // A node that asks it for what is missing gets to know as much, however much it had received before.
        let since = heard.known().get(&node).copied().unwrap_or(0);
        let mut other = heard;
        one.parts(node, since, 1).iter().for_each(|part| other.join(part));
        prop_assert_eq!((other.done(), other.sessions()), (one.done(), one.sessions()));
    }
}

#[test]
fn parts_hold_what_has_changed_and_no_more_sessions_than_allowed() {
    let mut nodes = Vec::from([Tally::default()]);
    for session in 0..6 {
        of(&mut nodes, 0, 0).count_done(&key(session), 1, 9);
    }
    for (since, most, sessions) in [
        (0, 9, &[6][..]),
        (0, 6, &[6]),
        (0, 4, &[4, 2]),
        (0, 3, &[3, 3]),
        (4, 9, &[2]),
        (4, 1, &[1, 1]),
        (6, 1, &[0]),
        (0, 0, &[1; 6]),
    ] {
        let parts = nodes[0].parts(NodeId::new(0), since, most);
        let counts: Vec<usize> = parts.iter().map(|part| part.sessions().len()).collect();
        assert_eq!(counts, sessions, "{since} {most}");
    }
}

#[test]
fn sessions_beyond_the_limit_count_in_all() {
    let mut nodes = Vec::from([Tally::default()]);
    for session in 0..10 {
        of(&mut nodes, 0, 0).count_done(&key(session), 2, 4);
    }
    assert_eq!(nodes[0].done(), 20);
    assert_eq!(nodes[0].sessions().len(), 4);
}

#[test]
fn what_a_hostile_node_says_breaks_nothing() {
    let text = r#"{"shares":{"7":{"since":9,"until":3,"done":18446744073709551615,
        "window":{"width_us":0,"clock_us":18446744073709551615,"counts":[]}},
        "8":{"until":18446744073709551615,"done":18446744073709551615,
        "window":{"width_us":1,"clock_us":1,"counts":[1]}}}}"#;
    let hostile: Tally = serde_json::from_str(text).expect("well-formed");
    let mut nodes = Vec::from([Tally::default()]);
    of(&mut nodes, 0, 0).count_done(&key(1), 1, 4);
    nodes[0].join(&hostile);
    nodes[0].join(&hostile);
    assert_eq!(nodes[0].done(), COUNT_MAX);
    assert!(nodes[0].parts(NodeId::new(7), 0, 1).len() == 1);
}
