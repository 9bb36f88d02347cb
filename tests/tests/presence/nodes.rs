//! Presences across nodes: who is seen where, and when someone whose server went away leaves.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::presence::{KeyChangeKind, NodeId, PresenceLimits, TrackId, TrackerConfig};
use tidegate_tests::presence_model::{Air, Cluster, key};
use tidegate_tests::{at, ms, secs, topic};

const TOPICS: [&str; 2] = ["room:1", "room:2"];
const KEYS: [&str; 3] = ["ada", "bob", "eve"];

#[derive(Clone, Debug)]
enum Step {
    Track {
        place: usize,
        track: TrackId,
        topic: usize,
        key: usize,
        meta: u8,
    },
    Untrack(usize, TrackId),
    Close(usize, u64),
    Watch(usize, usize),
    Kill(usize),
    ShutDown(usize),
    Start(usize),
    Cut(usize, bool),
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let place = || 0..3_usize;
    let track = || (0..3_u64, 0..2_u64).prop_map(|(session, number)| TrackId { session, number });
    let tracked = (
        place(),
        track(),
        0..TOPICS.len(),
        0..KEYS.len(),
        any::<u8>(),
    );
    let passed = prop_oneof![0..200_u64, 200..6_000_u64, 6_000..30_000_u64];
    prop_oneof![
        12 => tracked.prop_map(|(place, track, topic, key, meta)| Step::Track {
            place,
            track,
            topic,
            key,
            meta,
        }),
        5 => (place(), track()).prop_map(|(place, track)| Step::Untrack(place, track)),
        3 => (place(), 0..3_u64).prop_map(|(place, session)| Step::Close(place, session)),
        4 => (place(), 0..TOPICS.len()).prop_map(|(place, topic)| Step::Watch(place, topic)),
        1 => place().prop_map(Step::Kill),
        1 => place().prop_map(Step::ShutDown),
        3 => place().prop_map(Step::Start),
        2 => (place(), any::<bool>()).prop_map(|(place, is_cut)| Step::Cut(place, is_cut)),
        12 => passed.prop_map(Step::Pass),
    ]
}

fn any_air() -> impl Strategy<Value = Air> {
    (0..60_u64, 0..40_u64, 0..2_000_u64).prop_map(|(loss_percent, repeat_percent, delay)| Air {
        loss_percent,
        repeat_percent,
        delay_max: ms(delay),
    })
}

fn take(cluster: &mut Cluster, step: Step) {
    match step {
        Step::Track {
            place,
            track,
            topic: to,
            key: as_key,
            meta,
        } => {
            if cluster.places[place].tracker.is_some() {
                let presence = (topic(TOPICS[to]), key(KEYS[as_key]), Value::from(meta));
                cluster.track(place, track, presence).unwrap();
            }
        }
        Step::Untrack(place, track) => cluster.untrack(place, track),
        Step::Close(place, session) => cluster.close(place, session),
        Step::Watch(place, to) => cluster.watch(place, TOPICS[to]),
        Step::Kill(place) => cluster.kill(place),
        Step::ShutDown(place) => cluster.shut_down(place),
        Step::Start(place) => cluster.start(place),
        Step::Cut(place, is_cut) => cluster.places[place].is_cut = is_cut,
        Step::Pass(millis) => cluster.run_for(ms(millis)),
    }
}

/// Small enough that every way to tell of presences is taken.
fn tight_config() -> TrackerConfig {
    TrackerConfig {
        forget_after: secs(40),
        limits: PresenceLimits {
            message_bytes_max: 200,
            removals_max: 3,
            gaps_max: 3,
            ..PresenceLimits::default()
        },
        ..TrackerConfig::new(NodeId::new(0))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_happens_nodes_come_to_hold_the_live_sessions_and_nobody_else(
        seed in any::<u64>(),
        is_tight in any::<bool>(),
        air in any_air(),
        steps in prop::collection::vec(any_step(), 1..80),
    ) {
        let config = if is_tight { tight_config() } else { TrackerConfig::new(NodeId::new(0)) };
        let mut cluster = Cluster::new(seed, 3, config);
        (0..3).for_each(|place| cluster.start(place));
        cluster.air = air;
        for step in steps {
            take(&mut cluster, step);
        }
        cluster.air = Air { delay_max: ms(10), ..Air::default() };
        (0..3).for_each(|place| cluster.places[place].is_cut = false);
        cluster.run_for(air.delay_max + secs(16));
        cluster.check_converged(&TOPICS);
    }

    #[test]
    fn the_same_steps_say_the_same_words(
        seed in any::<u64>(),
        air in any_air(),
        steps in prop::collection::vec(any_step(), 1..40),
    ) {
        let run = || {
            let mut cluster = Cluster::new(seed, 3, TrackerConfig::new(NodeId::new(0)));
            (0..3).for_each(|place| cluster.start(place));
            cluster.air = air;
            steps.iter().for_each(|step| take(&mut cluster, step.clone()));
            format!("{cluster:?}")
        };
        prop_assert_eq!(run(), run());
    }
}

fn kinds_of(cluster: &Cluster, place: usize, of: &str) -> Vec<KeyChangeKind> {
    let told = &cluster.places[place].told;
    let own = told.iter().filter(|(_, _, who, _)| who.as_str() == of);
    own.map(|(_, _, _, kind)| *kind).collect()
}

fn last_told(cluster: &Cluster, place: usize) -> tidegate_core::time::Instant {
    cluster.places[place].told.last().unwrap().0
}

#[test]
fn a_user_joins_once_and_leaves_once_whatever_the_number_of_tabs_and_devices() {
    let mut cluster = Cluster::started(2);
    for place in 0..2 {
        for session in 0..5 {
            cluster.come(place, session, "room:1", "ada");
            cluster.run_for(secs(1));
        }
    }
    assert_eq!(cluster.present(1, "room:1").len(), 10, "each with its meta");
    for place in 0..2 {
        for session in 0..5 {
            cluster.close(place, session);
            cluster.run_for(secs(1));
        }
    }
    for place in 0..2 {
        let kinds = kinds_of(&cluster, place, "ada");
        let joins = kinds.iter().filter(|kind| **kind == KeyChangeKind::Joined);
        let leaves = kinds.iter().filter(|kind| **kind == KeyChangeKind::Left);
        assert_eq!((joins.count(), leaves.count(), kinds.len()), (1, 1, 20));
    }
}

#[test]
fn a_meta_that_is_replaced_is_neither_a_join_nor_a_leave() {
    let mut cluster = Cluster::started(2);
    cluster.come(0, 1, "room:1", "ada");
    cluster.run_for(secs(1));
    let track = TrackId {
        session: 1,
        number: 1,
    };
    let presence = (topic("room:1"), key("ada"), json!("away"));
    cluster.track(0, track, presence).unwrap();
    cluster.run_for(secs(1));
    assert_eq!(
        cluster.present(1, "room:1"),
        [("ada".to_owned(), json!("away"))]
    );
    for place in 0..2 {
        assert_eq!(
            kinds_of(&cluster, place, "ada"),
            [KeyChangeKind::Joined, KeyChangeKind::Updated]
        );
    }
}

#[test]
fn the_others_are_told_in_time_of_what_somebody_who_begins_to_watch_is_told_early() {
    let mut cluster = Cluster::started(2);
    cluster.come(0, 1, "room:1", "ada");
    cluster.come(0, 2, "room:1", "bob");
    cluster.watch(0, "room:1");
    assert_eq!(cluster.present(0, "room:1").len(), 2);
    cluster.run_for(ms(50));
    assert_eq!(cluster.present(1, "room:1").len(), 2);
}

#[test]
fn the_users_of_a_killed_server_leave_within_fifteen_seconds() {
    let mut cluster = Cluster::started(2);
    cluster.come(0, 1, "room:1", "ada");
    cluster.run_for(secs(7));
    let killed_at = cluster.now;
    cluster.kill(0);
    cluster.run_for(secs(15));
    assert_eq!(cluster.present(1, "room:1"), []);
    let waited = last_told(&cluster, 1) - killed_at;
    assert!(waited > secs(9) && waited <= secs(15), "{waited:?}");
}

#[test]
fn the_users_of_a_server_that_shuts_down_in_order_leave_at_once() {
    let mut cluster = Cluster::started(2);
    cluster.come(0, 1, "room:1", "ada");
    cluster.run_for(secs(7));
    cluster.air.delay_max = ms(20);
    cluster.shut_down(0);
    cluster.run_for(ms(20));
    assert_eq!(cluster.present(1, "room:1"), []);
}

#[test]
fn what_arrives_late_of_a_server_that_said_bye_brings_nobody_back() {
    let mut cluster = Cluster::started(2);
    cluster.air.delay_max = secs(2);
    cluster.come(0, 1, "room:1", "ada");
    cluster.air.delay_max = ms(0);
    cluster.shut_down(0);
    cluster.run_for(secs(30));
    assert_eq!(cluster.present(1, "room:1"), []);
    assert_eq!(kinds_of(&cluster, 1, "ada"), []);
}

#[test]
fn a_server_that_starts_gets_to_know_who_is_present_at_once() {
    let mut cluster = Cluster::new(1, 3, TrackerConfig::new(NodeId::new(0)));
    cluster.start(0);
    cluster.start(1);
    for session in 0..50 {
        cluster.come((session % 2) as usize, session, "room:1", "ada");
        cluster.run_for(ms(100));
    }
    cluster.start(2);
    cluster.run_for(ms(100));
    assert_eq!(cluster.present(2, "room:1").len(), 50);
}

#[test]
fn while_cut_off_a_server_shows_its_own_users_and_then_all_again_without_those_who_left() {
    let mut cluster = Cluster::started(2);
    cluster.come(0, 1, "room:1", "ada");
    cluster.come(0, 2, "room:1", "bob");
    cluster.come(1, 3, "room:1", "eve");
    cluster.run_for(secs(1));
    cluster.places[0].is_cut = true;
    cluster.run_for(secs(20));
    assert_eq!(cluster.present(1, "room:1"), [("eve".to_owned(), json!(3))]);
    cluster.close(0, 2);
    cluster.run_for(secs(1));
    cluster.places[0].is_cut = false;
    cluster
        .places
        .iter_mut()
        .for_each(|place| place.told.clear());
    cluster.run_for(secs(6));
    assert_eq!(kinds_of(&cluster, 1, "ada"), [KeyChangeKind::Joined]);
    assert_eq!(
        kinds_of(&cluster, 1, "bob"),
        [],
        "who went in between does not come back for a moment"
    );
    cluster.check_converged(&TOPICS);
}

#[test]
fn a_silent_server_is_heard_of_by_heartbeats_alone() {
    let mut cluster = Cluster::started(2);
    cluster.come(0, 1, "room:1", "ada");
    cluster.run_for(secs(1));
    let before = cluster.sent;
    cluster.run_for(secs(600));
    assert_eq!(kinds_of(&cluster, 1, "ada"), [KeyChangeKind::Joined]);
    assert_eq!(cluster.sent.1, before.1, "no presence is told again");
    assert!(cluster.sent.0 - before.0 <= 2 * 121, "one in 5 s each");
}

#[test]
fn what_changes_within_a_moment_is_told_at_once() {
    let mut cluster = Cluster::started(2);
    let before = cluster.sent.0;
    for session in 0..1_000 {
        cluster.come(0, session, "room:1", &format!("user-{session}"));
    }
    assert_eq!(
        cluster.present(0, "room:1").len(),
        1,
        "the first needs no wait"
    );
    cluster.run_for(ms(100));
    assert_eq!(cluster.present(1, "room:1").len(), 1_000);
    assert!(cluster.sent.0 - before <= 4, "{}", cluster.sent.0 - before);
}

#[test]
fn who_comes_and_goes_within_a_moment_is_not_told_of() {
    let mut cluster = Cluster::started(2);
    cluster.come(0, 1, "room:1", "ada");
    cluster.come(0, 2, "room:1", "bob");
    cluster.close(0, 2);
    cluster.run_for(secs(1));
    assert_eq!(kinds_of(&cluster, 0, "bob"), []);
    assert_eq!(kinds_of(&cluster, 1, "bob"), []);
}

#[test]
fn a_tracker_that_is_alone_sleeps() {
    let config = TrackerConfig::new(NodeId::new(1));
    let mut tracker = tidegate_core::presence::Tracker::new(config);
    let track = TrackId {
        session: 1,
        number: 1,
    };
    let meta = tidegate_tests::json::Json::from(1);
    tracker
        .handle_track(at(0), track, topic("room:1"), key("ada"), meta)
        .unwrap();
    assert_eq!(std::iter::from_fn(|| tracker.poll_output()).count(), 1);
    assert_eq!(tracker.poll_timeout(), None);
}
