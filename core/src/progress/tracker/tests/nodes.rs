//! What one node sends to others, and what it accepts from them.

use super::restless::said_by;
use super::*;

/// Node 2, linked and drained, long after that.
fn linked(limit: impl FnOnce(&mut ProgressConfig)) -> Tracker {
    let mut config = config(2);
    limit(&mut config);
    let mut tracker = Tracker::new(config);
    tracker.handle_linked(Instant::ZERO);
    tracker.handle_timeout(secs(1));
    outputs(&mut tracker);
    tracker
}

fn tell(tally: Tally, known: &[(u64, u64)]) -> ProgressBody {
    let known = known
        .iter()
        .map(|(node, version)| (NodeId::new(*node), *version));
    let known = known.collect();
    ProgressBody::Tell { tally, known }
}

/// A tally in which a node has counted for one session, one by one.
fn counted(node: u64, count: u64) -> Tally {
    Tally::from_counts(NodeId::new(node), [(key("bob"), count)])
}

fn asks(tracker: &mut Tracker) -> usize {
    let (said, _) = outputs(tracker);
    let is_ask = |body: &&ProgressBody| matches!(body, ProgressBody::Ask { .. });
    said.iter().filter(is_ask).count()
}

/// The tallies that it sends.
fn tells(tracker: &mut Tracker) -> Vec<Tally> {
    let (said, _) = outputs(tracker);
    let tallies = said.into_iter().filter_map(|body| match body {
        ProgressBody::Tell { tally, .. } => Some(tally),
        _ => None,
    });
    tallies.collect()
}

#[test]
fn what_is_not_said_to_a_node_is_not_heard() {
    let told = || tell(counted(3, 5), &[]);
    let other_work = ProgressMessage {
        work: Topic::new("task:8").unwrap(),
        ..said_by(1, told())
    };
    for message in [said_by(2, told()), other_work] {
        let mut tracker = linked(|_| ());
        tracker.handle_message(secs(2), message);
        assert_eq!(tracker.tally().done(), 0);
    }
    let mut alone = Tracker::new(config(2));
    alone.handle_message(secs(2), said_by(1, told()));
    assert_eq!(alone.tally().done(), 0);
    let mut tracker = linked(|_| ());
    tracker.handle_message(secs(2), said_by(1, told()));
    assert_eq!(tracker.tally().done(), 5);
}

#[test]
fn who_is_asked_answers_with_what_the_other_lacks_and_nobody_else_does() {
    let mut tracker = linked(|_| ());
    tracker.handle_message(secs(1), said_by(3, tell(counted(3, 4), &[])));
    tracker.handle_done(secs(1), &key("ada"), 2);
    tracker.handle_timeout(secs(2));
    outputs(&mut tracker);
    let ask = |of: u64, known: &[(u64, u64)]| {
        let known = known
            .iter()
            .map(|(node, version)| (NodeId::new(*node), *version));
        let (of, known) = (NodeId::new(of), known.collect());
        said_by(1, ProgressBody::Ask { of, known })
    };
    for (of, known, nodes) in [
        (3, &[][..], &[][..]),
        (2, &[], &[2, 3]),
        (2, &[(3, 4)], &[2]),
        (2, &[(2, 1)], &[3]),
        (2, &[(2, 1), (3, 4)], &[]),
    ] {
        tracker.handle_message(secs(2), ask(of, known));
        let told = tells(&mut tracker).into_iter();
        let told: Vec<u64> = told
            .flat_map(|tally| tally.shares.into_keys().map(NodeId::number))
            .collect();
        assert_eq!(told, nodes, "{of} {known:?}");
    }
}

#[test]
fn nodes_beyond_the_limit_are_not_listened_to_until_others_are_forgotten() {
    let mut tracker = linked(|config| config.limits.nodes_max = 1);
    tracker.handle_message(secs(2), said_by(1, ProgressBody::Hello {}));
    let forgotten = secs(2) + config(2).down_after * 16;
    let before = Instant::from_micros(forgotten.as_micros() - 1);
    for (now, done) in [(secs(2), 0), (before, 0), (forgotten, 5)] {
        tracker.handle_timeout(now);
        tracker.handle_message(now, said_by(3, tell(counted(3, 5), &[])));
        assert_eq!(tracker.tally().done(), done, "at {now:?}");
    }
}

#[test]
fn shares_beyond_the_limit_are_not_taken_nor_the_own_one() {
    let mut tracker = linked(|config| config.limits.nodes_max = 2);
    tracker.handle_done(secs(2), &key("ada"), 1);
    for (tally, done) in [
        (counted(1, 2), 3),
        (counted(3, 10), 3),
        (counted(2, 10), 3),
        (counted(1, 4), 5),
    ] {
        tracker.handle_message(secs(2), said_by(1, tell(tally, &[])));
        assert_eq!(tracker.tally().done(), done);
    }
}

#[test]
fn what_is_said_again_of_the_past_is_no_speed() {
    let mut tracker = linked(|_| ());
    let mut other = Tracker::new(config(1));
    other.handle_done(secs(2), &key("bob"), 5);
    let past = other.tally().clone();
    let later = secs(2 + 11 * 60);
    for now in [secs(2), later] {
        let speed = if now == later { 0 } else { 5 };
        tracker.handle_message(now, said_by(1, tell(past.clone(), &[])));
        assert_eq!(tracker.velocity(now).done, speed, "at {now:?}");
    }
    other.handle_done(later, &key("bob"), 3);
    tracker.handle_message(later, said_by(1, tell(other.tally().clone(), &[])));
    assert_eq!(tracker.velocity(later).done, 3);
}

#[test]
fn a_node_asks_for_what_others_know_and_it_does_not_and_not_at_once_again() {
    let mut tracker = linked(|_| ());
    let known = |known: &[(u64, u64)]| said_by(1, tell(Tally::default(), known));
    tracker.handle_message(secs(2), said_by(1, tell(counted(3, 4), &[])));
    outputs(&mut tracker);
    for nothing in [
        &[][..],
        &[(3, 4)],
        &[(2, 99)],
        &[(1, 0)],
        &[(3, 4), (2, 99)],
    ] {
        tracker.handle_message(secs(2), known(nothing));
        assert_eq!(asks(&mut tracker), 0, "{nothing:?}");
    }
    let ask_again = config(2).ask_again;
    let asked = secs(3);
    let before = Instant::from_micros((asked + ask_again).as_micros() - 1);
    for (now, count) in [(asked, 1), (asked, 0), (before, 0), (asked + ask_again, 1)] {
        tracker.handle_message(now, known(&[(3, 5)]));
        assert_eq!(asks(&mut tracker), count, "at {now:?}");
    }
}

#[test]
fn a_node_that_comes_is_told_everything() {
    let mut tracker = linked(|_| ());
    tracker.handle_done(secs(2), &key("ada"), 1);
    assert_eq!(tells(&mut tracker).len(), 1);
    tracker.handle_message(secs(3), said_by(1, ProgressBody::Hello {}));
    let [told] = &tells(&mut tracker)[..] else {
        panic!("all of it, once");
    };
    assert_eq!(told.sessions(), tracker.tally().sessions());
}

#[test]
fn changes_are_gathered_and_it_is_known_whether_all_are_told() {
    let mut tracker = Tracker::new(config(2));
    tracker.handle_done(secs(1), &key("ada"), 1);
    assert!(tracker.is_told(), "there is nobody to tell");
    tracker.handle_linked(secs(1));
    assert!(tracker.is_told());
    assert_eq!(tells(&mut tracker).len(), 1);
    let gathered = secs(1) + config(2).gather;
    let before = Instant::from_micros(gathered.as_micros() - 1);
    for now in [secs(1), before] {
        tracker.handle_queued(now, 3);
        assert!(!tracker.is_told());
        assert_eq!(tells(&mut tracker), []);
    }
    assert_eq!(tracker.poll_timeout(), Some(gathered));
    tracker.handle_timeout(gathered);
    assert!(tracker.is_told());
    let told = tells(&mut tracker);
    assert_eq!((told.len(), told[0].queued()), (1, 6));
}

#[test]
fn a_node_that_goes_says_what_it_has_not_said_and_then_nothing() {
    let mut tracker = linked(|_| ());
    tracker.handle_done(secs(2), &key("ada"), 1);
    tracker.handle_done(secs(2), &key("ada"), 1);
    outputs(&mut tracker);
    assert!(!tracker.is_told());
    tracker.handle_shutdown(secs(2));
    let (said, _) = outputs(&mut tracker);
    let [ProgressBody::Tell { tally, .. }, ProgressBody::Bye {}] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(tally.done(), 2);
    tracker.handle_done(secs(3), &key("ada"), 1);
    tracker.handle_linked(secs(4));
    tracker.handle_shutdown(secs(5));
    assert_eq!(outputs(&mut tracker).0, []);
    assert!(tracker.is_told());

    let mut told = linked(|_| ());
    told.handle_shutdown(secs(2));
    assert_eq!(outputs(&mut told).0, [ProgressBody::Bye {}]);
    let mut alone = Tracker::new(config(2));
    alone.handle_done(secs(2), &key("ada"), 1);
    alone.handle_shutdown(secs(2));
    assert_eq!(outputs(&mut alone).0, []);
}
