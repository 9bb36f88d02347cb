mod cluster;
mod nodes;
mod publishing;
mod restless;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use cluster::Cluster;

use super::*;
use crate::topic::Topic;

const MINUTE: Duration = Duration::from_secs(60);

fn key(text: &str) -> Key {
    Key::new(text).expect("valid")
}

fn config(node: u64) -> ProgressConfig {
    ProgressConfig::new(Topic::new("task:7").expect("valid"), NodeId::new(node))
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of rounds of what other tests do a few times")]
fn two_servers_count_together_and_one_tells() {
    let mut cluster = Cluster::started(2, 1);
    cluster.at(0, |tracker, now| tracker.handle_target(now, Some(500)));
    for _ in 0..47 {
        cluster.at(0, |tracker, now| tracker.handle_done(now, &key("ada"), 1));
        cluster.at(1, |tracker, now| tracker.handle_done(now, &key("bob"), 1));
        cluster.run_for(Duration::from_millis(100));
    }
    cluster.run_for(MINUTE);
    let snapshot = cluster.last_progress();
    assert_eq!(
        (snapshot.done, snapshot.target, snapshot.remaining),
        (94, Some(500), Some(406))
    );
    assert_eq!(
        snapshot.sessions,
        BTreeMap::from([(key("ada"), 47), (key("bob"), 47)])
    );
    let speakers: Vec<usize> = cluster
        .told
        .iter()
        .filter(|(at, _, notice)| {
            *at > Instant::from_millis(1_000) && matches!(notice, Notice::Progress(_))
        })
        .map(|(_, server, _)| *server)
        .collect();
    assert!(speakers.iter().all(|server| *server == 0), "{speakers:?}");
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of rounds of what other tests do a few times")]
fn each_kind_is_told_at_its_own_pace() {
    let mut cluster = Cluster::started(1, 1);
    for round in 0..600_u64 {
        let name = alloc::format!("s{round}");
        cluster.at(0, |tracker, now| {
            tracker.handle_queued(now, 2);
            tracker.handle_joined(now, key(&name));
            tracker.handle_done(now, &key(&name), 1);
        });
        cluster.run_for(Duration::from_millis(100));
    }
    let times = |is: fn(&Notice) -> bool| {
        let told = cluster.told.iter().filter(|(.., notice)| is(notice));
        told.map(|(at, ..)| *at).collect::<Vec<_>>()
    };
    assert_eq!(times(|notice| matches!(notice, Notice::Done(_))).len(), 600);
    type Kind = fn(&Notice) -> bool;
    let paced: [(Kind, u64, usize); 3] = [
        (|notice| matches!(notice, Notice::Progress(_)), 1, 60),
        (|notice| matches!(notice, Notice::Users { .. }), 5, 12),
        (|notice| matches!(notice, Notice::Queue { .. }), 30, 2),
    ];
    for (is, seconds, about) in paced {
        let times = times(is);
        let pace = Duration::from_secs(seconds);
        assert!(
            times
                .windows(2)
                .all(|two| two[1].saturating_since(two[0]) >= pace)
        );
        assert!(
            (about..=about + 1).contains(&times.len()),
            "{} of {about}",
            times.len()
        );
    }
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of rounds of what other tests do a few times")]
fn the_speed_is_that_of_all_servers_and_falls_when_nothing_is_done() {
    let mut cluster = Cluster::started(2, 1);
    cluster.at(1, |tracker, now| tracker.handle_target(now, Some(1_000)));
    for _ in 0..150 {
        cluster.at(0, |tracker, now| tracker.handle_done(now, &key("ada"), 1));
        cluster.at(1, |tracker, now| tracker.handle_done(now, &key("bob"), 2));
        cluster.run_for(Duration::from_secs(6));
    }
    let now = cluster.now;
    let per_hour: Vec<u64> = cluster
        .servers
        .iter()
        .filter_map(|server| Some(server.tracker.as_ref()?.velocity(now).per_hour()))
        .collect();
    // Three in six seconds are 1,800 in an hour.
    assert!(
        per_hour.iter().all(|rate| (1_750..=1_850).contains(rate)),
        "{per_hour:?}"
    );
    let snapshot = cluster.last_progress();
    let eta = snapshot.eta_ms.expect("it goes on");
    assert_eq!(snapshot.remaining, Some(550));
    assert!((1_000_000..1_200_000).contains(&eta), "{eta}");
    assert!(snapshot.eta_earliest_ms < Some(eta) && snapshot.eta_latest_ms > Some(eta));
    cluster.run_for(11 * MINUTE);
    assert_eq!(
        (
            cluster.last_progress().per_hour,
            cluster.last_progress().eta_ms
        ),
        (0, None)
    );
}

#[test]
fn what_a_killed_server_had_stored_and_not_told_is_known_to_all_once_one_has_read_it() {
    let mut cluster = Cluster::started(3, 1);
    cluster.at(0, |tracker, now| tracker.handle_done(now, &key("ada"), 1));
    cluster.run_for(Duration::from_secs(1));
    cluster.servers[0].is_cut = true;
    cluster.at(0, |tracker, now| tracker.handle_done(now, &key("bob"), 1));
    cluster.kill(0);
    let node = NodeId::new(1);
    for _ in 0..3 {
        cluster.at(2, |tracker, now| {
            let stored = [(key("ada"), 1), (key("bob"), 2)];
            tracker.handle_stored(now, Tally::from_counts(node, stored));
        });
        cluster.run_for(Duration::from_secs(8));
    }
    assert_eq!(cluster.last_progress().done, 3);
    for tally in cluster.tallies() {
        assert_eq!(
            tally.sessions(),
            BTreeMap::from([(key("ada"), 1), (key("bob"), 2)])
        );
    }
}

#[test]
fn another_server_tells_when_the_one_that_told_is_killed() {
    let mut cluster = Cluster::started(3, 1);
    cluster.at(0, |tracker, now| tracker.handle_done(now, &key("ada"), 5));
    cluster.run_for(Duration::from_secs(1));
    cluster.kill(0);
    cluster.at(2, |tracker, now| tracker.handle_done(now, &key("bob"), 3));
    cluster.run_for(Duration::from_secs(20));
    assert_eq!(cluster.last_progress().done, 8);
    assert_eq!(cluster.told.last().map(|(_, server, _)| *server), Some(1));
}

#[test]
fn a_server_that_starts_late_learns_of_those_that_are_dead() {
    let mut cluster = Cluster::started(2, 1);
    cluster.at(0, |tracker, now| tracker.handle_done(now, &key("ada"), 5));
    cluster.run_for(Duration::from_secs(1));
    cluster.kill(0);
    cluster.run_for(MINUTE);
    cluster.start(0);
    cluster.run_for(Duration::from_secs(10));
    assert!(cluster.tallies().iter().all(|tally| tally.done() == 5));
    assert_eq!(
        cluster.last_progress().sessions,
        BTreeMap::from([(key("ada"), 5)])
    );
}

#[test]
fn what_was_stored_is_counted_once_whoever_reads_it() {
    let mut cluster = Cluster::started(2, 1);
    cluster.at(0, |tracker, now| tracker.handle_done(now, &key("ada"), 7));
    cluster.run_for(Duration::from_secs(1));
    let stored = cluster.tallies()[1].clone();
    let mut cluster = Cluster::started(2, 2);
    cluster.next_node = 10;
    (0..2).for_each(|server| cluster.start(server));
    for server in [0, 1, 0] {
        let stored = stored.clone();
        cluster.at(server, |tracker, now| tracker.handle_stored(now, stored));
        cluster.run_for(Duration::from_secs(7));
    }
    assert!(cluster.tallies().iter().all(|tally| tally.done() == 7));
    assert_eq!(
        cluster.last_progress().per_hour,
        0,
        "speed is of the moment"
    );
}

#[test]
fn the_last_word_is_said_once_and_knows_what_others_counted_until_then() {
    let mut cluster = Cluster::started(2, 1);
    cluster.at(1, |tracker, now| tracker.handle_done(now, &key("bob"), 3));
    cluster.at(0, |tracker, now| {
        tracker.handle_end(now, 1_000, EndReason::Complete)
    });
    cluster.run_for(MINUTE);
    let last: Vec<_> = cluster
        .told
        .iter()
        .filter_map(|(.., notice)| match notice {
            Notice::Ended(snapshot, reason) => Some((snapshot.done, *reason)),
            _ => None,
        })
        .collect();
    assert_eq!(last, [(3, EndReason::Complete)]);
}

/// What a node sends to others, and what it publishes.
fn outputs(tracker: &mut Tracker) -> (Vec<ProgressBody>, Vec<Notice>) {
    let (mut said, mut told) = (Vec::new(), Vec::new());
    while let Some(output) = tracker.poll_output() {
        match output {
            ProgressOutput::Send(message) => said.push(message.body),
            ProgressOutput::Publish(notice) => told.push(notice),
        }
    }
    (said, told)
}

fn secs(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1_000)
}

#[test]
fn who_is_at_work_is_a_set_within_its_limit() {
    let mut limited = config(1);
    limited.limits.active_max = 3;
    let mut tracker = Tracker::new(limited);
    for name in ["a", "b", "a", "c", "d"] {
        tracker.handle_joined(Instant::ZERO, key(name));
    }
    assert_eq!(tracker.snapshot(Instant::ZERO).active, 3);
    tracker.handle_left(Instant::ZERO, &key("a"));
    tracker.handle_left(Instant::ZERO, &key("a"));
    assert_eq!(tracker.snapshot(Instant::ZERO).active, 2);
}

#[derive(Clone, Debug)]
enum Event {
    Done {
        server: usize,
        session: u8,
        count: u64,
    },
    Run {
        millis: u64,
    },
    Cut {
        server: usize,
    },
    Mend,
    Restart {
        server: usize,
    },
    Loss {
        percent: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..3_usize, 0..5_u8, 1..5_u64)
            .prop_map(|(server, session, count)| Event::Done { server, session, count }),
        4 => (1..3_000_u64).prop_map(|millis| Event::Run { millis }),
        1 => (0..3_usize).prop_map(|server| Event::Cut { server }),
        1 => Just(Event::Mend),
        1 => (0..3_usize).prop_map(|server| Event::Restart { server }),
        1 => (0..80_u64).prop_map(|percent| Event::Loss { percent }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    #[cfg_attr(miri, ignore = "minutes of what other tests do for seconds")]
    fn all_agree_in_the_end_on_what_any_of_them_has_heard(seed in any::<u64>(), events in prop::collection::vec(event(), 0..60)) {
        let mut cluster = Cluster::started(3, seed);
        let mut counted = 0;
        for event in events {
            match event {
                Event::Done { server, session, count } => {
                    counted += count;
                    let name = alloc::format!("s{session}");
                    cluster.at(server, |tracker, now| tracker.handle_done(now, &key(&name), count));
                }
                Event::Run { millis } => cluster.run_for(Duration::from_millis(millis)),
                Event::Cut { server } => cluster.servers[server].is_cut = true,
                Event::Mend => cluster.servers.iter_mut().for_each(|server| server.is_cut = false),
                Event::Restart { server } => {
                    // No server is cut off with something that only it knows, and everything is sent: then a kill loses
                    // nothing.
                    cluster.servers.iter_mut().for_each(|server| server.is_cut = false);
                    cluster.loss_percent = 0;
                    cluster.run_for(Duration::from_secs(8));
                    cluster.kill(server);
                    cluster.start(server);
                }
                Event::Loss { percent } => cluster.loss_percent = percent,
            }
        }
        cluster.servers.iter_mut().for_each(|server| server.is_cut = false);
        cluster.loss_percent = 0;
        cluster.run_for(2 * MINUTE);
        for tally in cluster.tallies() {
            prop_assert_eq!(tally.done(), counted);
            prop_assert_eq!(tally.sessions(), cluster.tallies()[0].sessions());
            prop_assert_eq!(tally.sessions().values().sum::<u64>(), counted);
        }
        if counted > 0 {
            prop_assert_eq!(cluster.last_progress().done, counted);
        }
    }
}
