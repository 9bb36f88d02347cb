//! What one node publishes, and when.

use super::restless::said_by;
use super::*;
use crate::progress::Before;

/// The kinds of notices that were published.
fn kinds(tracker: &mut Tracker) -> Vec<&'static str> {
    let (_, told) = outputs(tracker);
    let kind = |notice: &Notice| match notice {
        Notice::Done(_) => "done",
        Notice::Progress(_) => "progress",
        Notice::Users { .. } => "users",
        Notice::Queue { .. } => "queue",
        Notice::Ended(..) => "ended",
    };
    told.iter().map(kind).collect()
}

fn hello(node: u64) -> ProgressMessage {
    said_by(node, ProgressBody::Hello {})
}

/// Handles its deadlines until `end`. Returns what was published, and when.
fn run(tracker: &mut Tracker, end: Instant) -> Vec<(Instant, &'static str)> {
    let mut told = Vec::new();
    while let Some(at) = tracker.poll_timeout().filter(|at| *at <= end) {
        tracker.handle_timeout(at);
        told.extend(kinds(tracker).into_iter().map(|kind| (at, kind)));
    }
    told
}

#[test]
fn whoever_knows_of_something_tells_everything_at_first() {
    type Begin = fn(&mut Tracker, Instant);
    let all = ["progress", "users", "queue"];
    let cases: [(Begin, &[&str]); 6] = [
        (|tracker, now| tracker.handle_queued(now, 1), &all),
        (|tracker, now| tracker.handle_start(now, 7), &all),
        (|tracker, now| tracker.handle_joined(now, key("ada")), &all),
        (
            |tracker, now| {
                let (done, queued) = (1, 0);
                tracker.handle_stored(now, Tally::from_before(Before { done, queued }));
            },
            &all,
        ),
        (
            |tracker, now| {
                let (done, queued) = (0, 1);
                tracker.handle_stored(now, Tally::from_before(Before { done, queued }));
            },
            &["progress", "queue"],
        ),
        (
            |tracker, now| tracker.handle_target(now, Some(5)),
            &["progress", "queue"],
        ),
    ];
    for (begin, told) in cases {
        let mut tracker = Tracker::new(config(2));
        begin(&mut tracker, secs(1));
        assert_eq!(kinds(&mut tracker), told);
    }
}

#[test]
fn everything_is_told_again_when_another_node_is_heard_and_not_when_it_is_heard_again() {
    let mut tracker = Tracker::new(config(2));
    tracker.handle_linked(Instant::ZERO);
    tracker.handle_queued(Instant::ZERO, 1);
    assert_eq!(kinds(&mut tracker), ["progress", "users", "queue"]);
    assert_eq!(run(&mut tracker, secs(60)), []);
    tracker.handle_message(secs(60), hello(3));
    assert_eq!(kinds(&mut tracker), ["progress", "users", "queue"]);
    for now in [70, 80, 90, 100].map(secs) {
        tracker.handle_message(now, hello(3));
        assert_eq!(run(&mut tracker, now), []);
    }
    // The other node falls silent, and comes back.
    assert_eq!(run(&mut tracker, secs(160)), []);
    tracker.handle_message(secs(160), hello(3));
    assert_eq!(kinds(&mut tracker), ["progress", "users", "queue"]);
}

#[test]
fn what_others_say_is_told_once() {
    let mut tracker = Tracker::new(config(2));
    tracker.handle_linked(Instant::ZERO);
    tracker.handle_message(Instant::ZERO, hello(3));
    run(&mut tracker, secs(2));
    let with = |change: fn(&mut Tally)| {
        let mut tally = Tally::default();
        change(&mut tally);
        tally
    };
    let changes = [
        Tally::from_counts(NodeId::new(3), [(key("bob"), 1)]),
        with(|tally| tally.before.queued = 3),
        with(|tally| tally.started_ms = Some(7)),
    ];
    let mut now = secs(2);
    for tally in changes {
        for is_new in [true, false] {
            now = now + Duration::from_secs(2);
            let known = BTreeMap::new();
            let tally = tally.clone();
            tracker.handle_message(now, said_by(3, ProgressBody::Tell { tally, known }));
            let progress = kinds(&mut tracker).contains(&"progress");
            assert_eq!(progress, is_new, "at {now:?}");
        }
    }
}

#[test]
fn a_falling_speed_is_told_until_it_is_none_and_nothing_after_the_end() {
    let progress = |told: Vec<(Instant, &'static str)>| -> Vec<Instant> {
        let told = told.into_iter().filter(|(_, kind)| *kind == "progress");
        told.map(|(at, _)| at).collect()
    };
    let mut tracker = Tracker::new(config(2));
    tracker.handle_queued(Instant::ZERO, 1);
    outputs(&mut tracker);
    assert_eq!(
        progress(run(&mut tracker, secs(9_000))),
        [],
        "nothing is done"
    );
    let begin = 9_000;
    tracker.handle_done(secs(begin), &key("ada"), 1);
    assert!(kinds(&mut tracker).contains(&"progress"));
    // The last one says that it is over.
    let times = (1..=60).map(|number| secs(begin + number * 10));
    let told = progress(run(&mut tracker, secs(20_000)));
    assert_eq!(told, Vec::from_iter(times));

    tracker.handle_done(secs(20_000), &key("ada"), 1);
    outputs(&mut tracker);
    tracker.handle_end(secs(20_003), 9, EndReason::Complete);
    assert!(
        kinds(&mut tracker).contains(&"ended"),
        "nobody else could know more"
    );
    assert_eq!(progress(run(&mut tracker, secs(30_000))), []);
    tracker.handle_done(secs(30_000), &key("ada"), 1);
    assert!(!kinds(&mut tracker).contains(&"progress"));
}

#[test]
fn an_end_is_told_a_while_later_where_others_may_know_more() {
    let mut tracker = Tracker::new(config(2));
    tracker.handle_linked(Instant::ZERO);
    tracker.handle_message(Instant::ZERO, hello(3));
    run(&mut tracker, secs(2));
    tracker.handle_end(secs(2), 9, EndReason::Complete);
    assert!(!kinds(&mut tracker).contains(&"ended"));
    let told = run(&mut tracker, secs(60));
    let at = secs(2) + config(2).linger;
    let ended: Vec<_> = told.iter().filter(|(_, kind)| *kind == "ended").collect();
    assert_eq!(ended, [&(at, "ended")]);
}

#[test]
fn what_waits_to_be_told_is_not_told_beside_the_one_who_tells() {
    let mut tracker = Tracker::new(config(2));
    tracker.handle_linked(Instant::ZERO);
    for _ in 0..2 {
        tracker.handle_queued(secs(1), 1);
        tracker.handle_joined(secs(1), key("ada"));
        tracker.handle_left(secs(1), &key("ada"));
    }
    assert_eq!(kinds(&mut tracker).len(), 3);
    tracker.handle_message(secs(1), hello(1));
    for now in [5, 14].map(secs) {
        assert_eq!(run(&mut tracker, now), []);
        tracker.handle_message(now, hello(1));
    }
    assert_eq!(run(&mut tracker, secs(28)), []);
    let silent_at = secs(14) + config(2).down_after;
    let told = run(&mut tracker, silent_at);
    let told: Vec<_> = told
        .iter()
        .map(|(at, kind)| (*at == silent_at, *kind))
        .collect();
    assert!(
        told.contains(&(true, "progress")),
        "now it is this one's part: {told:?}"
    );
}

#[test]
fn a_snapshot_says_what_is_known() {
    let mut limited = config(2);
    limited.limits.sessions_told_max = 2;
    let mut tracker = Tracker::new(limited);
    let now = secs(1);
    tracker.handle_done(now, &key("ada"), 2);
    let snapshot = tracker.snapshot(now);
    assert_eq!(
        (snapshot.remaining, snapshot.queued, snapshot.target),
        (None, 0, None)
    );
    assert_eq!((snapshot.started_ms, snapshot.ended_ms), (None, None));
    outputs(&mut tracker);

    tracker.handle_queued(now, 8);
    let snapshot = tracker.snapshot(now);
    assert_eq!((snapshot.remaining, snapshot.queued), (Some(6), 6));
    tracker.handle_target(now, Some(20));
    let snapshot = tracker.snapshot(now);
    assert_eq!((snapshot.remaining, snapshot.queued), (Some(18), 6));
    assert_eq!(snapshot.target, Some(20));
    let before = tracker.tally().clone();
    tracker.handle_target(now, Some(20));
    assert_eq!(*tracker.tally(), before);
    tracker.handle_target(now, None);
    assert_eq!(tracker.snapshot(now).remaining, Some(6));
    let (_, told) = outputs(&mut tracker);
    assert_eq!(told, [], "all is told at its pace");
    let later = secs(40);
    tracker.handle_timeout(later);
    let (_, told) = outputs(&mut tracker);
    let (queued, remaining) = (6, Some(6));
    assert!(
        told.contains(&Notice::Queue { queued, remaining }),
        "{told:?}"
    );

    tracker.handle_start(now, 7);
    tracker.handle_start(now, 9);
    tracker.handle_end(now, 11, EndReason::Complete);
    let snapshot = tracker.snapshot(now);
    assert_eq!(
        (snapshot.started_ms, snapshot.ended_ms),
        (Some(7), Some(11))
    );

    // The sessions that have done the most; of equals, those that come first by name.
    tracker.handle_done(now, &key("eve"), 1);
    tracker.handle_done(now, &key("bob"), 1);
    let snapshot = tracker.snapshot(now);
    let most = BTreeMap::from([(key("ada"), 2), (key("bob"), 1)]);
    assert_eq!((snapshot.sessions, snapshot.others), (most, 1));
}
