//! Presences as clients see them: over connections that break, with servers that restart.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::client::PresenceEvent;
use tidegate_core::hub::ServerConfig;
use tidegate_core::presence::{
    KeyChange, KeyChangeKind, NodeId, PresenceDiff, PresenceId, PresenceState, Present, Roster,
};
use tidegate_core::protocol::{ErrorCode, ServerFrame};
use tidegate_tests::bench::Bench;
use tidegate_tests::json::Json;
use tidegate_tests::network::{Cut, Network, Quality};
use tidegate_tests::presence_model::key;
use tidegate_tests::{ms, secs, topic};

const QUALITY: Quality = Quality::delayed(ms(20));

fn track(network: &mut Network, peer: usize, to: &str, as_key: &str, meta: Value) -> u64 {
    network.with_hub(peer, |hub, now| {
        hub.handle_track(now, topic(to), key(as_key), Json(meta))
    })
}

fn watch(network: &mut Network, peer: usize, to: &str) {
    network.with_hub(peer, |hub, now| hub.handle_watch(now, &topic(to)));
}

/// The presences that a client knows: keys and metas.
fn seen_by(network: &Network, peer: usize, to: &str) -> Vec<(String, Value)> {
    pairs(network.peers[peer].hub.roster(&topic(to)))
}

fn held(network: &Network, to: &str) -> Vec<(String, Value)> {
    pairs(network.server.presence(&topic(to)))
}

fn pairs(roster: Option<&Roster<Json>>) -> Vec<(String, Value)> {
    let present = roster.into_iter().flat_map(Roster::present);
    present
        .map(|present| (present.key.to_string(), present.meta.0))
        .collect()
}

/// The changes of keys that a client got since the last call.
fn told(network: &mut Network, peer: usize) -> Vec<(String, KeyChangeKind)> {
    let pair = |change: KeyChange<Json>| (change.key.to_string(), change.kind);
    network.peers[peer]
        .presence_events
        .drain(..)
        .flat_map(changes)
        .map(pair)
        .collect()
}

fn changes(event: PresenceEvent<Json>) -> Vec<KeyChange<Json>> {
    match event {
        PresenceEvent::State { changes, .. } | PresenceEvent::Changed { changes, .. } => changes,
        PresenceEvent::TrackRefused { .. } | PresenceEvent::WatchRefused { .. } => Vec::new(),
    }
}

#[test]
fn whoever_watches_sees_others_and_itself() {
    let mut network = Network::new(1);
    let (a, b) = (
        network.connected_peer(QUALITY),
        network.connected_peer(QUALITY),
    );
    watch(&mut network, a, "room:1");
    network.run_for(secs(1));
    assert!(
        matches!(
            network.peers[a].presence_events[..],
            [PresenceEvent::State { .. }]
        ),
        "even that nobody is there is told"
    );
    track(&mut network, b, "room:1", "bob", json!(1));
    network.run_for(secs(1));
    track(&mut network, a, "room:1", "ada", json!(2));
    network.run_for(secs(1));
    let joined = |who: &str| (who.to_owned(), KeyChangeKind::Joined);
    assert_eq!(told(&mut network, a), [joined("bob"), joined("ada")]);
    assert_eq!(
        seen_by(&network, a, "room:1"),
        [("ada".to_owned(), json!(2)), ("bob".to_owned(), json!(1))]
    );
}

#[test]
fn what_is_tracked_and_watched_before_a_connection_is_there_waits_for_it() {
    let mut network = Network::new(1);
    let peer = network.add_peer(QUALITY);
    network.connect(peer);
    track(&mut network, peer, "room:1", "ada", json!(1));
    watch(&mut network, peer, "room:1");
    network.run_for(secs(1));
    assert_eq!(told(&mut network, peer).len(), 1);
    assert_eq!(held(&network, "room:1").len(), 1);
}

#[test]
fn a_lost_connection_changes_nothing_for_who_is_present_all_along() {
    for cut in Cut::ALL {
        let mut network = Network::new(1);
        let (a, b) = (
            network.connected_peer(QUALITY),
            network.connected_peer(QUALITY),
        );
        track(&mut network, a, "room:1", "ada", json!(1));
        track(&mut network, b, "room:1", "bob", json!(2));
        watch(&mut network, a, "room:1");
        network.run_for(secs(1));
        told(&mut network, a);
        network.cut(a, cut);
        network.run_for(secs(120));
        let told = told(&mut network, a);
        let is_own_renewal =
            |(who, kind): &(String, KeyChangeKind)| who == "ada" && *kind == KeyChangeKind::Updated;
        assert!(told.iter().all(is_own_renewal), "{cut:?}: {told:?}");
        assert_eq!(seen_by(&network, a, "room:1"), held(&network, "room:1"));
        assert_eq!(held(&network, "room:1").len(), 2, "{cut:?}");
    }
}

#[test]
fn what_happened_while_the_connection_was_lost_is_told_as_what_differs() {
    let mut network = Network::new(1);
    let (a, b) = (
        network.connected_peer(QUALITY),
        network.connected_peer(QUALITY),
    );
    let bob = track(&mut network, b, "room:1", "bob", json!(1));
    track(&mut network, b, "room:1", "eve", json!(2));
    watch(&mut network, a, "room:1");
    network.run_for(secs(1));
    told(&mut network, a);
    network.cut(a, Cut::Both);
    network.with_hub(b, |hub, now| hub.handle_untrack(now, bob));
    track(&mut network, b, "room:1", "ada", json!(3));
    network.run_for(secs(60));
    let expected = [
        ("ada".to_owned(), KeyChangeKind::Joined),
        ("bob".to_owned(), KeyChangeKind::Left),
    ];
    assert_eq!(told(&mut network, a), expected);
}

#[test]
fn a_meta_is_replaced_by_its_number() {
    let mut network = Network::new(1);
    let peer = network.connected_peer(QUALITY);
    let number = track(&mut network, peer, "room:1", "ada", json!("here"));
    watch(&mut network, peer, "room:1");
    network.run_for(secs(1));
    network.with_hub(peer, |hub, now| {
        hub.handle_retrack(now, number, Json(json!("away")));
    });
    network.run_for(secs(1));
    let expected = [
        ("ada".to_owned(), KeyChangeKind::Joined),
        ("ada".to_owned(), KeyChangeKind::Updated),
    ];
    assert_eq!(told(&mut network, peer), expected);
    assert_eq!(
        seen_by(&network, peer, "room:1"),
        [("ada".to_owned(), json!("away"))]
    );
}

#[test]
fn several_who_watch_a_topic_cost_one_watch_until_the_last_has_gone() {
    let mut network = Network::new(1);
    let peer = network.connected_peer(QUALITY);
    for _ in 0..3 {
        watch(&mut network, peer, "room:1");
    }
    network.run_for(secs(1));
    for left in (0..3).rev() {
        network.with_hub(peer, |hub, now| hub.handle_unwatch(now, &topic("room:1")));
        network.run_for(secs(1));
        let is_watched = network.peers[peer].hub.roster(&topic("room:1")).is_some();
        assert_eq!(is_watched, left > 0);
    }
    network.with_hub(peer, |hub, now| hub.handle_unwatch(now, &topic("room:1")));
    assert_eq!(network.peers[peer].presence_events.len(), 1, "one state");
}

#[test]
fn what_the_server_refuses_is_over() {
    let mut config = ServerConfig::new(1);
    config.presence.limits.session_tracks_max = 1;
    let mut network = Network::with_config(config);
    let peer = network.connected_peer(QUALITY);
    track(&mut network, peer, "room:1", "ada", json!(1));
    let second = track(&mut network, peer, "room:1", "ada", json!(2));
    network.run_for(secs(1));
    let [PresenceEvent::TrackRefused { number, error }] = &network.peers[peer].presence_events[..]
    else {
        panic!("{:?}", network.peers[peer].presence_events);
    };
    assert_eq!((*number, error.code), (second, ErrorCode::TooManyPresences));
    network.cut(peer, Cut::Both);
    network.run_for(secs(60));
    assert_eq!(network.peers[peer].presence_events.len(), 1, "for good");
    assert_eq!(held(&network, "room:1").len(), 1);
}

#[test]
fn who_disconnects_for_good_leaves_and_is_told_that_nothing_is_tracked_any_more() {
    let mut network = Network::new(1);
    let peer = network.connected_peer(QUALITY);
    track(&mut network, peer, "room:1", "ada", json!(1));
    watch(&mut network, peer, "room:1");
    network.run_for(secs(1));
    network.peers[peer].presence_events.clear();
    network.disconnect(peer);
    assert!(matches!(
        network.peers[peer].presence_events[..],
        [
            PresenceEvent::TrackRefused { .. },
            PresenceEvent::WatchRefused { .. }
        ]
    ));
    network.run_for(secs(1));
    assert_eq!(held(&network, "room:1"), []);
}

#[test]
fn a_diff_that_comes_before_the_state_is_not_taken() {
    let mut bench = Bench::subscribed();
    let to = topic("room:1");
    let joins = |clock| {
        ServerFrame::PresenceDiff(Arc::new(PresenceDiff {
            topic: topic("room:1"),
            joins: vec![Present {
                id: PresenceId {
                    node: NodeId::new(1),
                    clock,
                },
                key: key("ada"),
                meta: Json::from(clock),
            }],
            leaves: Vec::new(),
        }))
    };
    let nobody = || {
        ServerFrame::PresenceState(Arc::new(PresenceState {
            topic: topic("room:1"),
            present: Vec::new(),
        }))
    };
    let is_known = |bench: &Bench| bench.client.roster(&topic("room:1")).map(Roster::metas_len);
    bench.client.handle_watch(bench.now, &to);
    bench.receive(joins(1));
    assert_eq!(is_known(&bench), Some(0), "it belongs to an earlier watch");
    bench.receive(nobody());
    bench.receive(joins(2));
    assert_eq!(is_known(&bench), Some(1));
    bench.reopen();
    bench.receive(joins(3));
    assert_eq!(is_known(&bench), Some(1), "nor on the next connection");
    bench.receive(nobody());
    assert_eq!(is_known(&bench), Some(0));
    bench.client.handle_unwatch(&to);
    bench.receive(joins(4));
    assert_eq!(is_known(&bench), None);
}

#[test]
fn nothing_is_said_of_who_leaves_while_there_is_no_connection() {
    let mut bench = Bench::subscribed();
    let (now, room) = (bench.now, topic("room:1"));
    let ada = bench
        .client
        .handle_track(now, room, key("ada"), Json::from(1));
    bench.lose();
    bench.sent();
    bench.client.handle_untrack(ada);
    assert_eq!(bench.sent(), []);
}

#[derive(Clone, Debug)]
enum Step {
    Track(usize, usize),
    Retrack(usize, prop::sample::Index),
    Untrack(usize, prop::sample::Index),
    Watch(usize),
    Unwatch(usize),
    Cut(usize, Cut),
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let peer = || 0..3_usize;
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (peer(), 0..3_usize).prop_map(|(peer, key)| Step::Track(peer, key)),
        2 => (peer(), index()).prop_map(|(peer, index)| Step::Retrack(peer, index)),
        3 => (peer(), index()).prop_map(|(peer, index)| Step::Untrack(peer, index)),
        3 => peer().prop_map(Step::Watch),
        1 => peer().prop_map(Step::Unwatch),
        2 => (peer(), prop::sample::select(Cut::ALL.to_vec()))
            .prop_map(|(peer, cut)| Step::Cut(peer, cut)),
        6 => prop_oneof![0..100_u64, 100..3_000_u64, 3_000..60_000_u64].prop_map(Step::Pass),
    ]
}

fn take(network: &mut Network, tracked: &mut [Vec<u64>], round: u64, step: &Step) {
    match step {
        Step::Track(peer, which) => {
            let name = ["ada", "bob", "eve"][*which];
            let number = track(network, *peer, "room:1", name, json!(round));
            tracked[*peer].push(number);
        }
        Step::Retrack(peer, index) if !tracked[*peer].is_empty() => {
            let number = *index.get(&tracked[*peer]);
            network.with_hub(*peer, |hub, now| {
                hub.handle_retrack(now, number, Json(json!(round)));
            });
        }
        Step::Untrack(peer, index) if !tracked[*peer].is_empty() => {
            let number = tracked[*peer].swap_remove(index.index(tracked[*peer].len()));
            network.with_hub(*peer, |hub, now| hub.handle_untrack(now, number));
        }
        Step::Retrack(..) | Step::Untrack(..) => {}
        Step::Watch(peer) => watch(network, *peer, "room:1"),
        Step::Unwatch(peer) => {
            network.with_hub(*peer, |hub, now| hub.handle_unwatch(now, &topic("room:1")));
            if network.peers[*peer].hub.roster(&topic("room:1")).is_none() {
                network.peers[*peer].presence_events.clear();
            }
        }
        Step::Cut(peer, cut) => network.cut(*peer, *cut),
        Step::Pass(millis) => network.run_for(ms(*millis)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_breaks_clients_come_to_hold_who_is_present_and_keys_join_and_leave_in_turn(
        steps in prop::collection::vec(any_step(), 1..50),
    ) {
        let mut network = Network::new(1);
        let mut tracked = vec![Vec::new(); 3];
        (0..3).for_each(|_| { network.connected_peer(QUALITY); });
        for (round, step) in (0..).zip(&steps) {
            take(&mut network, &mut tracked, round, step);
        }
        network.run_for(secs(120));
        let live: usize = tracked.iter().map(Vec::len).sum();
        prop_assert_eq!(held(&network, "room:1").len(), live, "each as often as it is tracked");
        for peer in 0..3 {
            if network.peers[peer].hub.roster(&topic("room:1")).is_none() {
                continue;
            }
            prop_assert_eq!(seen_by(&network, peer, "room:1"), held(&network, "room:1"));
            let mut keys = BTreeSet::new();
            for (who, kind) in told(&mut network, peer) {
                let is_right = match kind {
                    KeyChangeKind::Joined => keys.insert(who),
                    KeyChangeKind::Updated => keys.contains(&who),
                    KeyChangeKind::Left => keys.remove(&who),
                };
                prop_assert!(is_right, "{:?} out of turn", kind);
            }
        }
    }
}
