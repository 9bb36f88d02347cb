use alloc::format;
use alloc::string::String;

use super::*;
use crate::publication::Position;

/// A payload that has only a size, with the size of the patch that leads to it from any other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Large {
    whole: usize,
    patch: usize,
}

impl Payload for Large {
    fn merge(&self, newer: &Self) -> Self {
        newer.clone()
    }

    fn sum(&self, newer: &Self) -> Self {
        newer.clone()
    }

    fn diff(&self, newer: &Self) -> Option<Self> {
        let (whole, patch) = (newer.patch, 0);
        Some(Self { whole, patch })
    }

    fn text_field(&self, _field: &str) -> Option<String> {
        None
    }

    fn size(&self) -> usize {
        self.whole
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// Requests a delta of this size between two publications of a topic. Returns whether it was computed.
fn make_one(deltas: &mut Deltas<Large>, number: usize, patch: usize) -> bool {
    let whole = patch + DELTA_FRAME_BYTES + 1;
    let [from, to] = [1, 2].map(|offset| {
        Arc::new(Publication {
            topic: Topic::new(&format!("t:{number}")).expect("valid"),
            position: Position { epoch: 7, offset },
            payload: Large { whole, patch },
            end: None,
        })
    });
    deltas.get(&from, &to).is_some()
}

fn is_kept(deltas: &Deltas<Large>, number: usize) -> bool {
    let topic = Topic::new(&format!("t:{number}")).expect("valid");
    deltas.made.contains_key(&(topic, 1, 2))
}

fn check(deltas: &Deltas<Large>) {
    let kept = deltas.made.values().filter_map(|made| made.delta.as_ref());
    let bytes: usize = kept.map(|delta| delta.payload.whole).sum();
    assert_eq!(deltas.bytes, bytes);
    assert_eq!(deltas.order.len(), deltas.made.len());
}

#[test]
#[cfg_attr(miri, ignore = "thousands of deltas")]
fn as_many_are_kept_as_may_be_and_the_last_of_them() {
    let mut deltas = Deltas::new();
    for number in 0..=DELTAS_KEPT_MAX {
        assert_eq!(deltas.made.len(), number);
        make_one(&mut deltas, number, 1);
    }
    assert_eq!(deltas.made.len(), DELTAS_KEPT_MAX);
    assert!(!is_kept(&deltas, 0));
    assert!(is_kept(&deltas, 1));
    check(&deltas);
}

#[test]
fn as_much_is_kept_as_may_be() {
    let mut deltas = Deltas::new();
    for number in 0..9 {
        make_one(&mut deltas, number, DELTAS_KEPT_BYTES_MAX / 4);
        check(&deltas);
        assert_eq!(deltas.made.len(), (number + 1).min(4));
        assert!(is_kept(&deltas, number));
    }
}

#[test]
fn what_takes_the_place_of_another_is_counted_alone() {
    let mut deltas = Deltas::new();
    for patch in [5, 700, 20] {
        make_one(&mut deltas, 1, patch);
        check(&deltas);
        assert_eq!(deltas.bytes, patch);
    }
}

#[test]
fn a_delta_is_made_where_its_frame_is_shorter() {
    for (whole, expected) in [(10, false), (35, false), (36, false), (37, true)] {
        let payload = Large { whole, patch: 10 };
        let [from, to] = [1, 2].map(|offset| Publication {
            topic: Topic::new("t").expect("valid"),
            position: Position { epoch: 7, offset },
            payload: payload.clone(),
            end: None,
        });
        assert_eq!(make(&from, &to).is_some(), expected, "{whole}");
    }
}
