use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::flow::Flow;
use crate::lifecycle::EndReason;
use crate::publication::Position;

/// A payload with members named by letters, which counts the comparisons of all payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Doc {
    members: BTreeMap<char, Option<u32>>,
    filling: usize,
}

std::thread_local! {
    static DIFFS: Cell<usize> = const { Cell::new(0) };
}

extern crate std;

impl Payload for Doc {
    fn merge(&self, newer: &Self) -> Self {
        newer.clone()
    }

    fn sum(&self, newer: &Self) -> Self {
        newer.clone()
    }

    fn diff(&self, newer: &Self) -> Option<Self> {
        DIFFS.set(DIFFS.get() + 1);
        let mut members = BTreeMap::new();
        for (name, value) in &newer.members {
            if self.members.get(name) != Some(value) {
                members.insert(*name, *value);
            }
        }
        for name in self.members.keys() {
            if !newer.members.contains_key(name) {
                members.insert(*name, None);
            }
        }
        Some(Self {
            members,
            filling: 0,
        })
    }

    fn text_field(&self, _field: &str) -> Option<String> {
        None
    }

    fn size(&self) -> usize {
        self.members.len() * 4 + self.filling
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

fn doc(number: u32, filling: usize) -> Doc {
    let members = BTreeMap::from([('n', Some(number)), ('s', Some(7))]);
    Doc { members, filling }
}

fn publication(topic: &str, offset: u64, payload: Doc) -> Arc<Publication<Doc>> {
    Arc::new(Publication {
        topic: Topic::new(topic).expect("valid"),
        position: Position { epoch: 7, offset },
        payload,
        end: None,
    })
}

/// A connection that is sent deltas, with what it was sent of each publication: the base and the size.
struct Connection {
    bases: Bases<Doc>,
    pattern: Pattern,
}

impl Connection {
    fn subscribed(deltas: &mut Deltas<Doc>, pattern: &str) -> Self {
        let pattern = Pattern::new(pattern).expect("valid");
        let mut bases = Bases::new();
        let subscribed = ServerFrame::Subscribed {
            pattern: pattern.clone(),
            position: None,
            recovered: false,
            flow: Flow::IMMEDIATE.with_delta(true),
        };
        bases.send(deltas, subscribed);
        Self { bases, pattern }
    }

    fn send(
        &mut self,
        deltas: &mut Deltas<Doc>,
        publication: &Arc<Publication<Doc>>,
    ) -> (Option<u64>, Arc<Publication<Doc>>) {
        let publication = Arc::clone(publication);
        let via = (!self.pattern.is_exact()).then(|| self.pattern.clone());
        let frame = ServerFrame::Publication { publication, via };
        match self.bases.send(deltas, frame) {
            ServerFrame::Publication { publication, .. } => (None, publication),
            ServerFrame::Delta {
                publication, base, ..
            } => (Some(base), publication),
            frame => panic!("a publication became {frame:?}"),
        }
    }
}

#[test]
fn what_has_changed_is_made_once_for_all_with_the_same_base() {
    let mut deltas = Deltas::new();
    let mut connections: Vec<Connection> = (0..100)
        .map(|_| Connection::subscribed(&mut deltas, "a"))
        .collect();
    let first = publication("a", 1, doc(1, 100));
    let second = publication("a", 2, doc(2, 100));
    let before = DIFFS.get();
    let mut made = Vec::new();
    for connection in &mut connections {
        assert_eq!(connection.send(&mut deltas, &first).0, None);
        let (base, delta) = connection.send(&mut deltas, &second);
        assert_eq!(base, Some(1));
        made.push(delta);
    }
    assert_eq!(DIFFS.get() - before, 1);
    assert!(made.iter().all(|delta| Arc::ptr_eq(delta, &made[0])));
    assert_eq!(made[0].position, second.position);
}

#[test]
fn the_whole_is_sent_where_it_is_shorter_and_that_is_remembered() {
    let mut deltas = Deltas::new();
    let (first, second) = (
        publication("a", 1, doc(1, 5)),
        publication("a", 2, doc(2, 5)),
    );
    let before = DIFFS.get();
    for _ in 0..3 {
        let mut connection = Connection::subscribed(&mut deltas, "a");
        connection.send(&mut deltas, &first);
        assert_eq!(connection.send(&mut deltas, &second).0, None);
    }
    assert_eq!(DIFFS.get() - before, 1);
}

#[test]
fn each_subscription_is_sent_what_has_changed_since_its_own_last_one() {
    let mut deltas = Deltas::new();
    let all: Vec<_> = (1..=5)
        .map(|n| publication("job:1", n, doc(1, 100)))
        .collect();
    let mut every = Connection::subscribed(&mut deltas, "job:1");
    let mut some = Connection::subscribed(&mut deltas, "job:*");
    let bases: Vec<_> = all
        .iter()
        .map(|one| every.send(&mut deltas, one).0)
        .collect();
    assert_eq!(bases, [None, Some(1), Some(2), Some(3), Some(4)]);
    let bases: Vec<_> = [0, 2, 4]
        .map(|at| some.send(&mut deltas, &all[at]).0)
        .into();
    assert_eq!(bases, [None, Some(1), Some(3)]);
}

#[test]
fn a_publication_of_the_same_offset_that_was_combined_is_another() {
    let mut deltas = Deltas::new();
    let first = publication("a", 1, doc(1, 100));
    let as_published = publication("a", 2, doc(2, 100));
    let combined = publication("a", 2, doc(3, 100));
    for (second, expected) in [(&as_published, 2), (&combined, 3), (&as_published, 2)] {
        let mut connection = Connection::subscribed(&mut deltas, "a");
        connection.send(&mut deltas, &first);
        let (_, delta) = connection.send(&mut deltas, second);
        assert_eq!(delta.payload.members[&'n'], Some(expected));
    }
}

#[test]
fn a_reset_an_epoch_an_end_and_another_subscription_begin_with_the_whole() {
    let mut deltas = Deltas::new();
    let mut connection = Connection::subscribed(&mut deltas, "a");
    let mut offset = 0;
    let mut next = |connection: &mut Connection, deltas: &mut Deltas<Doc>| {
        offset += 1;
        connection
            .send(deltas, &publication("a", offset, doc(1, 100)))
            .0
    };
    assert_eq!(next(&mut connection, &mut deltas), None);
    assert_eq!(next(&mut connection, &mut deltas), Some(1));
    let reset = ServerFrame::Reset {
        topic: Topic::new("a").expect("valid"),
        position: Position {
            epoch: 7,
            offset: 9,
        },
        via: None,
    };
    connection.bases.send(&mut deltas, reset);
    assert_eq!(next(&mut connection, &mut deltas), None);
    let mut anew = (*publication("a", 4, doc(2, 100))).clone();
    anew.position.epoch = 8;
    assert_eq!(
        connection.send(&mut deltas, &Arc::new(anew.clone())).0,
        None
    );
    anew.position.offset = 5;
    anew.end = Some(EndReason::Complete);
    assert_eq!(
        connection.send(&mut deltas, &Arc::new(anew)).0,
        None,
        "an end is whole"
    );
    let mut again = Connection::subscribed(&mut deltas, "a");
    assert_eq!(next(&mut again, &mut deltas), None);
}

#[test]
#[cfg_attr(miri, ignore = "more topics than are remembered, which are thousands")]
fn no_more_is_remembered_than_the_limits_allow() {
    let mut deltas = Deltas::new();
    let mut connection = Connection::subscribed(&mut deltas, "t:*");
    for round in 1..=2 {
        for number in 0..2 * DELTA_TOPICS_MAX {
            let topic = format!("t:{number}");
            let payload = doc(round, 300 + number % 300);
            connection.send(&mut deltas, &publication(&topic, u64::from(round), payload));
            assert!(connection.bases.bytes <= DELTA_BYTES_MAX);
        }
    }
    let (base, _) = connection.send(&mut deltas, &publication("t:2047", 3, doc(3, 300)));
    assert_eq!(base, Some(2), "what was sent last is known");
    let (base, _) = connection.send(&mut deltas, &publication("t:0", 3, doc(3, 300)));
    assert_eq!(base, None, "what was sent long ago is not");
    connection.send(
        &mut deltas,
        &publication("t:huge", 1, doc(1, DELTA_BYTES_MAX)),
    );
    let huge = publication("t:huge", 2, doc(2, DELTA_BYTES_MAX));
    assert_eq!(connection.send(&mut deltas, &huge).0, None);
    connection.bases.set(&connection.pattern, false);
    assert_eq!(
        (connection.bases.bytes, connection.bases.is_empty()),
        (0, true)
    );
}

#[derive(Clone, Debug)]
enum Step {
    Subscribe(usize),
    Unsubscribe(usize),
    Send(usize, usize, usize),
    Reset(usize, usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let (pattern, topic) = (|| 0..2_usize, || 0..4_usize);
    let filling = prop_oneof![0..500_usize, 0..DELTA_BYTES_MAX];
    prop_oneof![
        1 => pattern().prop_map(Step::Subscribe),
        1 => pattern().prop_map(Step::Unsubscribe),
        9 => (pattern(), topic(), filling).prop_map(|(to, of, filling)| Step::Send(to, of, filling)),
        2 => (pattern(), topic()).prop_map(|(to, of)| Step::Reset(to, of)),
    ]
}

proptest! {
    #[test]
    fn what_is_remembered_is_counted(steps in prop::collection::vec(any_step(), 1..if cfg!(miri) { 10 } else { 60 })) {
        let mut deltas = Deltas::new();
        let patterns = ["t:*", "*:1"].map(|text| Pattern::new(text).expect("valid"));
        let topic = |number| Topic::new(&format!("t:{number}")).expect("valid");
        let mut bases: Bases<Doc> = Bases::new();
        for (offset, step) in (1..).zip(steps) {
            let frame = match step {
                Step::Subscribe(to) => ServerFrame::Subscribed {
                    pattern: patterns[to].clone(),
                    position: None,
                    recovered: false,
                    flow: Flow::IMMEDIATE.with_delta(true),
                },
                Step::Unsubscribe(to) => ServerFrame::Unsubscribed { pattern: patterns[to].clone() },
                Step::Send(to, of, filling) => ServerFrame::Publication {
                    publication: publication(&format!("t:{of}"), offset, doc(1, filling)),
                    via: Some(patterns[to].clone()),
                },
                Step::Reset(to, of) => ServerFrame::Reset {
                    topic: topic(of),
                    position: Position { epoch: 7, offset },
                    via: Some(patterns[to].clone()),
                },
            };
            bases.send(&mut deltas, frame);
            let all = bases.by_pattern.values().flat_map(|bases| bases.iter());
            let bytes: usize = all.map(|(topic, base)| base.payload.size() + topic.as_str().len() + 128).sum();
            prop_assert_eq!(bases.bytes, bytes);
            prop_assert!(bytes <= DELTA_BYTES_MAX);
        }
    }
}

#[test]
fn what_just_fits_is_remembered() {
    let mut deltas = Deltas::new();
    for more in [0, 1] {
        let mut connection = Connection::subscribed(&mut deltas, "a");
        let filling = DELTA_BYTES_MAX - 128 - 1 - doc(1, 0).size() + more;
        connection.send(&mut deltas, &publication("a", 1, doc(1, filling)));
        let base = connection
            .send(&mut deltas, &publication("a", 2, doc(2, 300)))
            .0;
        assert_eq!(base, (more == 0).then_some(1));
    }
}
