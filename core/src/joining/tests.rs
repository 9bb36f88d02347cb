//! What a newcomer takes of repeated and of new publications: each one once, with a notice if any are lost.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::lifecycle::EndReason;

fn topic() -> Topic {
    Topic::new("job:1").unwrap()
}

fn at(epoch: u64, offset: u64) -> Publication<()> {
    Publication {
        topic: topic(),
        position: Position { epoch, offset },
        payload: (),
        end: None,
    }
}

fn since(epoch: u64, offset: u64) -> Start {
    Start::Since(Vec::from([TopicPosition {
        topic: topic(),
        position: Position { epoch, offset },
    }]))
}

/// The offsets that were taken, and those before which a loss was reported.
#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    offsets: Vec<u64>,
    resets: Vec<u64>,
}

impl Taken {
    fn of(offsets: impl IntoIterator<Item = u64>) -> Self {
        Self {
            offsets: offsets.into_iter().collect(),
            resets: Vec::new(),
        }
    }

    /// The same, except that a loss is reported before the first.
    fn after_a_loss(mut self) -> Self {
        self.resets.extend(self.offsets.first());
        self
    }

    fn take(&mut self, joining: &mut Joining, publication: &Publication<()>, novelty: Novelty) {
        let offset = publication.position.offset;
        match joining.take(publication, novelty) {
            Continuation::Nothing => return,
            Continuation::Latest => {}
            Continuation::Gap | Continuation::Reset => self.resets.push(offset),
        }
        self.offsets.push(offset);
    }
}

/// A topic that others have seen up to `seen`, that is repeated from `again` on, and that continues up to `last`.
#[derive(Clone, Copy, Debug)]
struct Course {
    again: u64,
    seen: u64,
    last: u64,
}

impl Course {
    /// What a newcomer takes of it; twice, if the connection is lost meanwhile and everything is repeated once more.
    fn taken_by(self, mut joining: Joining, to_cursor: bool, is_repeated: bool) -> Taken {
        let mut taken = Taken::default();
        for offset in self.again..=self.seen {
            taken.take(
                &mut joining,
                &at(1, offset),
                Novelty::repeated(offset == self.seen),
            );
        }
        assert_eq!(
            taken,
            Taken::default(),
            "what it waits for does not come yet"
        );
        joining.begin(to_cursor);
        for _ in 0..=u8::from(is_repeated) {
            for offset in self.again..=self.seen {
                taken.take(
                    &mut joining,
                    &at(1, offset),
                    Novelty::repeated(offset == self.seen),
                );
            }
        }
        for offset in self.seen + 1..=self.last {
            taken.take(&mut joining, &at(1, offset), Novelty::New);
        }
        taken
    }

    /// Where it begins for a newcomer that can't have what it missed: with the latest repeated publication, or with
    /// what is new.
    fn latest(self) -> u64 {
        if self.again <= self.seen {
            self.seen
        } else {
            self.seen + 1
        }
    }
}

fn any_course() -> impl Strategy<Value = Course> {
    (0..8_u64, 0..8_u64, 1..5_u64).prop_map(|(earlier, repeated, new)| Course {
        again: earlier + 1,
        seen: earlier + repeated,
        last: earlier + repeated + new,
    })
}

proptest! {
    #[test]
    fn who_knows_something_is_given_what_follows_or_told_that_it_is_lost(
        course in any_course(),
        known in 1..9_u64,
        is_exact: bool,
        is_repeated: bool,
    ) {
        let pattern = Pattern::new(if is_exact { "job:1" } else { "job:*" }).unwrap();
        let known = known.min(course.seen.max(1));
        let expected = if course.again <= known + 1 {
            Taken::of(known + 1..=course.last)
        } else {
            Taken::of(course.latest()..=course.last).after_a_loss()
        };
        let joining = Joining::new(&pattern, &since(1, known));
        prop_assert_eq!(course.taken_by(joining, false, is_repeated), expected);
        let of_another_epoch = Joining::new(&pattern, &since(2, known));
        let expected = Taken::of(course.latest()..=course.last).after_a_loss();
        prop_assert_eq!(course.taken_by(of_another_epoch, false, is_repeated), expected);
    }

    #[test]
    fn who_knows_nothing_is_given_what_it_starts_with(course in any_course(), is_repeated: bool) {
        let (one, several) = (Pattern::new("job:1").unwrap(), Pattern::new("job:*").unwrap());
        let new = Joining::new(&one, &Start::New);
        prop_assert_eq!(course.taken_by(new, false, is_repeated), Taken::of(course.seen + 1..=course.last));
        let nothing = Start::Since(Vec::new());
        let from_latest = Taken::of(course.latest()..=course.last);
        for (pattern, start) in [(&one, &Start::Latest), (&several, &Start::Latest), (&one, &nothing)] {
            let latest = Joining::new(pattern, start);
            prop_assert_eq!(&course.taken_by(latest, false, is_repeated), &from_latest);
        }
        let whole = |joining| {
            let taken = course.taken_by(joining, false, is_repeated);
            let expected = if course.again == 1 {
                Taken::of(1..=course.last)
            } else {
                Taken::of(course.latest()..=course.last).after_a_loss()
            };
            (taken, expected)
        };
        // A topic that it doesn't know among several, and one that had no publications.
        for joining in [Joining::new(&several, &nothing), Joining::new(&one, &since(0, 0))] {
            let (taken, expected) = whole(joining);
            prop_assert_eq!(taken, expected);
        }
    }

    #[test]
    fn a_device_is_given_once_whatever_comes_behind_its_cursor(course in any_course(), is_repeated: bool) {
        let taken = course.taken_by(Joining::at_cursor(), true, is_repeated);
        prop_assert_eq!(taken, Taken::of(course.again..=course.last));
    }
}

#[test]
fn going_back_for_others_is_not_going_to_the_cursor() {
    let pattern = Pattern::new("job:1").unwrap();
    let mut device = Joining::at_cursor();
    let mut other = Joining::new(&pattern, &Start::Latest);
    for (to_cursor, is_at_cursor, steps) in [
        (false, false, [Continuation::Nothing, Continuation::Latest]),
        (true, true, [Continuation::Latest, Continuation::Nothing]),
    ] {
        device.begin(to_cursor);
        other.begin(to_cursor);
        assert_eq!(
            (device.is_at_cursor(), other.is_at_cursor()),
            (is_at_cursor, false)
        );
        let taken =
            [&mut device, &mut other].map(|joining| joining.take(&at(1, 3), Novelty::Latest));
        assert_eq!(taken, steps);
    }
}

#[test]
fn an_end_is_followed_by_another_epoch_and_nothing_is_lost_by_that() {
    let ended = Publication {
        end: Some(EndReason::Complete),
        ..at(1, 2)
    };
    let pattern = Pattern::new("job:*").unwrap();
    for start in [Start::Latest, since(1, 1)] {
        let mut joining = Joining::new(&pattern, &start);
        joining.begin(false);
        assert_eq!(joining.take(&ended, Novelty::Latest), Continuation::Latest);
        assert_eq!(joining.take(&at(2, 1), Novelty::New), Continuation::Latest);
        assert_eq!(
            joining.take(&at(4, 1), Novelty::New),
            Continuation::Reset,
            "no end before"
        );
    }
    let mut device = Joining::at_cursor();
    device.begin(true);
    assert_eq!(device.take(&ended, Novelty::Latest), Continuation::Latest);
    assert_eq!(device.take(&ended, Novelty::Latest), Continuation::Nothing);
    assert_eq!(device.take(&at(2, 1), Novelty::New), Continuation::Latest);
}

#[test]
fn who_has_seen_an_end_loses_what_is_missing_of_the_next_epoch() {
    let ended = Publication {
        end: Some(EndReason::Complete),
        ..at(1, 2)
    };
    let pattern = Pattern::new("job:*").unwrap();
    for (told, is_lost) in [
        (ended.position, false),
        (at(2, 0).position, false),
        (at(2, 1).position, false),
        (at(2, 5).position, true),
        // Something else is in place of the end.
        (at(1, 3).position, true),
    ] {
        let mut joining = Joining::new(&pattern, &Start::Latest);
        joining.begin(false);
        joining.take(&ended, Novelty::Latest);
        assert_eq!(joining.loses(&topic(), told), is_lost, "{told}");
    }
}

#[test]
fn after_a_loss_the_latest_follows_and_who_has_seen_more_is_ahead_of_it() {
    let pattern = Pattern::new("job:1").unwrap();
    let mut joining = Joining::new(&pattern, &since(1, 7));
    joining.begin(false);
    assert!(joining.topics().eq([&topic()]));
    for (latest, is_ahead) in [
        (at(1, 6), true),
        (at(1, 7), false),
        (at(1, 8), false),
        (at(2, 6), false),
    ] {
        assert_eq!(
            joining.is_ahead_of(&latest),
            is_ahead,
            "{}",
            latest.position
        );
    }
    joining.handle_reset(
        &topic(),
        Position {
            epoch: 1,
            offset: 3,
        },
    );
    assert_eq!(
        joining.take(&at(1, 2), Novelty::Latest),
        Continuation::Nothing
    );
    assert_eq!(
        joining.take(&at(1, 3), Novelty::Latest),
        Continuation::Latest
    );
    assert_eq!(joining.take(&at(1, 4), Novelty::New), Continuation::Latest);
}

#[test]
fn what_is_known_of_other_topics_does_not_count() {
    let pattern = Pattern::new("job:*").unwrap();
    let position = Position {
        epoch: 1,
        offset: 3,
    };
    let known = ["job:1", "user:1"].map(|text| TopicPosition {
        topic: Topic::new(text).unwrap(),
        position,
    });
    let matching = matching(&pattern, &known);
    assert!(matching.keys().eq([&topic()]));
}

#[test]
fn nobody_loses_what_has_not_begun_to_come_nor_what_only_a_device_misses() {
    let next = at(1, 9);
    let pattern = Pattern::new("job:1").unwrap();
    let mut plain = Joining::new(&pattern, &since(1, 3));
    assert!(!plain.loses(&topic(), next.position));
    plain.begin(false);
    assert!(plain.loses(&topic(), next.position));
    assert!(!plain.loses(&topic(), next.position), "that was told");

    let mut device = Joining::at_cursor();
    device.begin(true);
    assert_eq!(
        device.take(&at(1, 3), Novelty::Earlier),
        Continuation::Latest
    );
    assert!(!device.loses(&topic(), next.position));
}
