//! Which presences a node accepts, and from which nodes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidegate_core::payload::Payload;
use tidegate_core::presence::{
    Key, KeyError, NodeId, PresenceBody, PresenceCounts, PresenceLimits, PresenceMessage,
    TrackError, TrackId, Tracker, TrackerConfig,
};
use tidegate_core::time::Instant;
use tidegate_tests::json::Json;
use tidegate_tests::presence_model::key;
use tidegate_tests::restless::wake_early;
use tidegate_tests::{ms, secs, topic};

const TOPICS: [&str; 3] = ["room:1", "room:2", "room:3"];

#[derive(Clone, Debug)]
enum Step {
    Track(TrackId, usize, usize),
    Untrack(TrackId),
    Close(u64),
}

fn any_track() -> impl Strategy<Value = TrackId> {
    (0..3_u64, 0..4_u64).prop_map(|(session, number)| TrackId { session, number })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any_track(), 0..TOPICS.len(), 2..30_usize).prop_map(|(track, to, bytes)| Step::Track(track, to, bytes)),
        3 => any_track().prop_map(Step::Untrack),
        1 => (0..3_u64).prop_map(Step::Close),
    ]
}

/// The first reason why a node that holds `live` may refuse a presence.
fn refusal(
    limits: &PresenceLimits,
    live: &BTreeMap<TrackId, usize>,
    track: TrackId,
    to: usize,
    bytes: usize,
) -> Option<TrackError> {
    let own = live.get(&track);
    let in_topic = live.values().filter(|place| **place == to).count();
    let of_session = live.keys().filter(|known| known.session == track.session);
    if bytes > limits.meta_bytes_max {
        let bytes_max = limits.meta_bytes_max;
        Some(TrackError::MetaTooLarge { bytes, bytes_max })
    } else if own != Some(&to) && in_topic >= limits.topic_metas_max {
        let metas_max = limits.topic_metas_max;
        Some(TrackError::TopicFull { metas_max })
    } else if own.is_none() && of_session.count() >= limits.session_tracks_max {
        let tracks_max = limits.session_tracks_max;
        Some(TrackError::SessionFull { tracks_max })
    } else if own.is_none() && live.len() >= limits.tracks_max {
        let tracks_max = limits.tracks_max;
        Some(TrackError::NodeFull { tracks_max })
    } else {
        None
    }
}

proptest! {
    #[test]
    fn a_presence_is_taken_in_unless_it_is_beyond_a_limit_and_nothing_changes_then(
        topic_metas_max in 1..5_usize,
        session_tracks_max in 1..5_usize,
        tracks_max in 1..8_usize,
        meta_bytes_max in 10..30_usize,
        is_hasty: bool,
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let limits = PresenceLimits {
            topic_metas_max,
            session_tracks_max,
            tracks_max,
            meta_bytes_max,
            ..PresenceLimits::default()
        };
        let mut tracker = Tracker::new(TrackerConfig { limits, ..TrackerConfig::new(NodeId::new(1)) });
        let mut live = BTreeMap::new();
        let mut now = Instant::ZERO;
        for step in steps {
            // What comes at once is gathered, and told later.
            now = now + if is_hasty { ms(1) } else { secs(1) };
            match step {
                Step::Track(track, to, bytes) => {
                    let expected = refusal(&limits, &live, track, to, bytes);
                    // The text of a text has its quotes.
                    let meta = Json::from("x".repeat(bytes - 2).as_str());
                    prop_assert_eq!(meta.size(), bytes);
                    let taken = tracker.handle_track(now, track, topic(TOPICS[to]), key("ada"), meta);
                    prop_assert_eq!(taken.err(), expected);
                    if expected.is_none() {
                        live.insert(track, to);
                    }
                }
                Step::Untrack(track) => {
                    prop_assert_eq!(tracker.handle_untrack(now, track), live.remove(&track).is_some());
                }
                Step::Close(session) => {
                    tracker.handle_session_closed(now, session);
                    live.retain(|track, _| track.session != session);
                }
            }
            while tracker.poll_output().is_some() {}
            wake_early(&mut tracker, now, |tracker| tracker.poll_output());
            let mut topics: Vec<&usize> = live.values().collect();
            topics.sort_unstable();
            topics.dedup();
            let counts = PresenceCounts {
                topics: topics.len(),
                metas: live.len(),
                tracks: live.len(),
                nodes: 0,
            };
            prop_assert_eq!(tracker.counts().tracks, counts.tracks);
            prop_assert!(is_hasty || tracker.counts() == counts, "{:?}", tracker.counts());
        }
    }

    #[test]
    fn no_more_nodes_are_listened_to_than_there_may_be_until_one_is_forgotten(
        nodes_max in 1..5_usize,
        callers in 1..9_u64,
    ) {
        let mut config = TrackerConfig::new(NodeId::new(1_000));
        config.limits.nodes_max = nodes_max;
        let mut tracker: Tracker<Json> = Tracker::new(config);
        let mut now = Instant::ZERO;
        tracker.handle_linked(now);
        let hello = |from| PresenceMessage { from: NodeId::new(from), body: PresenceBody::Hello };
        for from in 0..callers {
            tracker.handle_message(now, hello(from));
        }
        let heard = usize::try_from(callers).expect("a few").min(nodes_max);
        prop_assert_eq!(tracker.counts().nodes, heard);
        let silence = config.down_after + config.forget_after;
        let end = now + silence;
        while let Some(at) = tracker.poll_timeout().filter(|at| *at <= end) {
            now = at;
            tracker.handle_timeout(now);
        }
        prop_assert_eq!(tracker.counts().nodes, 0);
        tracker.handle_message(end, hello(callers));
        prop_assert_eq!(tracker.counts().nodes, 1, "there is room again");
    }
}

#[test]
fn a_key_has_a_length_and_a_node_a_number_that_javascript_can_count() {
    assert!(Key::new(&"k".repeat(Key::BYTES_MAX)).is_ok());
    let bytes = Key::BYTES_MAX + 1;
    let refused = Key::new(&"k".repeat(bytes));
    assert_eq!(refused, Err(KeyError::TooLong { bytes }));
    for number in [0, 1, 2, (1 << 53) - 1] {
        assert_eq!(NodeId::new(number).number(), number);
    }
    assert_eq!(NodeId::new(u64::MAX), NodeId::MAX);
}
