//! A node that is woken when it asks to be, and one that is woken after each step, too: their outputs must be the same.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::{config, key};
use crate::presence::NodeId;
use crate::progress::message::{ProgressBody, ProgressMessage, ProgressMessageType};
use crate::progress::{ProgressOutput, Tally, Tracker};
use crate::time::Instant;

/// What happens to a node.
#[derive(Clone, Debug)]
enum Act {
    Done(u64),
    Queued(u64),
    Target(Option<u64>),
    Started,
    Joined(u8),
    Left(u8),
    Linked,
    /// The node with this number sends what it has counted; nothing, if that is 0.
    Told(u64, u64),
    Bye(u64),
    Run(Duration),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..5_u64).prop_map(Act::Done),
        1 => (1..5_u64).prop_map(Act::Queued),
        1 => prop::option::of(1..50_u64).prop_map(Act::Target),
        1 => Just(Act::Started),
        2 => (0..3_u8).prop_map(Act::Joined),
        2 => (0..3_u8).prop_map(Act::Left),
        2 => Just(Act::Linked),
        4 => (1..4_u64, 0..4_u64).prop_map(|(node, done)| Act::Told(node, done)),
        1 => (1..4_u64).prop_map(Act::Bye),
        4 => (1..20_000_u64).prop_map(|millis| Act::Run(Duration::from_millis(millis))),
    ]
}

pub(super) fn said_by(node: u64, body: ProgressBody) -> ProgressMessage {
    ProgressMessage {
        kind: ProgressMessageType::Progress,
        work: config(node).work,
        node: NodeId::new(node),
        body,
    }
}

fn carry_out(tracker: &mut Tracker, now: Instant, act: Act) {
    match act {
        Act::Done(count) => tracker.handle_done(now, &key("ada"), count),
        Act::Queued(count) => tracker.handle_queued(now, count),
        Act::Target(target) => tracker.handle_target(now, target),
        Act::Started => tracker.handle_start(now, 7),
        Act::Joined(who) => tracker.handle_joined(now, key(&alloc::format!("s{who}"))),
        Act::Left(who) => tracker.handle_left(now, &key(&alloc::format!("s{who}"))),
        Act::Linked => tracker.handle_linked(now),
        // The node itself is the second one, so that others come before and after it.
        Act::Told(2, _) | Act::Bye(2) | Act::Run(_) => {}
        Act::Told(node, done) => {
            let counts = [(key("bob"), done)];
            let tally = if done > 0 {
                Tally::from_counts(NodeId::new(node), counts)
            } else {
                Tally::default()
            };
            let known = BTreeMap::new();
            tracker.handle_message(now, said_by(node, ProgressBody::Tell { tally, known }));
        }
        Act::Bye(node) => tracker.handle_message(now, said_by(node, ProgressBody::Bye {})),
    }
}

/// All outputs of a node that is woken when it asks to be and, if it `is_restless`, after each step, too.
fn course(acts: &[Act], is_restless: bool) -> Vec<(Instant, ProgressOutput)> {
    let mut tracker = Tracker::new(config(2));
    let (mut now, mut told) = (Instant::ZERO, Vec::new());
    for act in acts {
        let end = match act {
            Act::Run(time) => now + *time,
            _ => now,
        };
        carry_out(&mut tracker, now, act.clone());
        loop {
            told.extend(core::iter::from_fn(|| tracker.poll_output()).map(|output| (now, output)));
            if is_restless {
                let deadline = tracker.poll_timeout();
                tracker.handle_timeout(now);
                assert_eq!(tracker.poll_timeout(), deadline);
                assert_eq!(tracker.poll_output(), None);
            }
            let Some(at) = tracker.poll_timeout().filter(|at| *at <= end) else {
                break;
            };
            now = now.max(at);
            tracker.handle_timeout(now);
        }
        now = end;
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 128 }))]

    #[test]
    fn what_is_told_does_not_depend_on_being_woken(acts in prop::collection::vec(act(), 0..if cfg!(miri) { 8 } else { 40 })) {
        prop_assert_eq!(course(&acts, true), course(&acts, false));
    }
}
