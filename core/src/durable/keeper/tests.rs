//! A keeper, its store, and the connections that hold its cursors, in virtual time.

mod scene;

use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};

use proptest::prelude::*;

use scene::Scene;

use super::*;
use crate::durable::{CursorLimits, DurableName};
use crate::publication::Position;
use crate::topic::Topic;

const USER: &str = "ada";
const PATTERNS: [&str; 2] = ["a:*", "b:1"];
const TOPICS: [&str; 3] = ["a:1", "a:2", "b:1"];
const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A connection claims a device's cursor for a pattern.
    Claim {
        connection: u32,
        device: usize,
        pattern: usize,
    },
    /// Its device has processed everything of a topic up to here. With `is_first`, it says so as it arrives.
    Ack {
        connection: u32,
        pattern: usize,
        topic: usize,
        at: (u64, u64),
        is_first: bool,
    },
    LetGo {
        connection: u32,
        pattern: usize,
    },
    Gone {
        connection: u32,
    },
    Forget {
        device: usize,
        pattern: usize,
    },
    /// The device has turned up at another server.
    Elsewhere {
        device: usize,
        pattern: usize,
    },
    Flush,
    /// The next calls are not answered.
    Lose,
    /// While the next calls are in flight, this connection's device has processed something.
    Meanwhile {
        connection: u32,
        topic: usize,
        at: (u64, u64),
    },
    /// A connection claims a cursor, and is gone before the store was asked.
    ClaimAndGo {
        connection: u32,
    },
    Pass {
        millis: u64,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let (connection, device, pattern) = (|| 0..3_u32, || 0..2_usize, || 0..2_usize);
    prop_oneof![
        6 => (connection(), device(), pattern())
            .prop_map(|(connection, device, pattern)| Step::Claim { connection, device, pattern }),
        12 => (connection(), pattern(), 0..3_usize, (1..3_u64, 1..9_u64), prop::bool::weighted(0.2))
            .prop_map(|(connection, pattern, topic, at, is_first)| Step::Ack { connection, pattern, topic, at, is_first }),
        2 => (connection(), pattern()).prop_map(|(connection, pattern)| Step::LetGo { connection, pattern }),
        2 => connection().prop_map(|connection| Step::Gone { connection }),
        1 => (device(), pattern()).prop_map(|(device, pattern)| Step::Forget { device, pattern }),
        1 => (device(), pattern()).prop_map(|(device, pattern)| Step::Elsewhere { device, pattern }),
        1 => Just(Step::Flush),
        2 => Just(Step::Lose),
        2 => (connection(), 0..3_usize, (1..3_u64, 1..9_u64))
            .prop_map(|(connection, topic, at)| Step::Meanwhile { connection, topic, at }),
        1 => connection().prop_map(|connection| Step::ClaimAndGo { connection }),
        8 => prop_oneof![0..900_u64, 0..900_u64, 0..3_000_u64, 0..100_000_000_u64].prop_map(|millis| Step::Pass { millis }),
    ]
}

fn key(device: usize, pattern: usize) -> CursorKey {
    CursorKey {
        user: Some(Arc::from(USER)),
        name: DurableName::new(&format!("device {device}")).expect("valid"),
        pattern: Pattern::new(PATTERNS[pattern]).expect("valid"),
    }
}

proptest! {
    /// What a device has processed is stored in time: at the latest when it goes, or when it asks for that. Wherever
    /// the device turns up next, it continues there.
    #[test]
    fn what_was_dealt_with_is_stored_in_time(
        steps in prop::collection::vec(any_step(), 0..if cfg!(miri) { 20 } else { 120 }),
        total_max in 2..5_usize,
    ) {
        let mut scene = Scene::new(CursorLimits { total_max, ..CursorLimits::default() });
        for step in steps {
            scene.take(step);
        }
        // Something may have been processed while the last call was in flight.
        scene.pass(2 * STORE_EVERY);
        let counts = scene.keeper.counts();
        prop_assert_eq!(counts.unstored, 0);
        for connection in 0..3 {
            scene.take(Step::Gone { connection });
        }
        prop_assert_eq!(scene.keeper.counts().held, 0);
        prop_assert_eq!(scene.keeper.poll_timeout(), None);
    }
}

/// The sizes of the batches of calls until there are no more.
fn asked(scene: &mut Scene) -> Vec<usize> {
    let mut asked = Vec::new();
    while let Some(calls) = scene.keeper.poll_calls(scene.now) {
        asked.push(calls.len());
        let answers = scene.shelf.carry_out(scene.now, &calls);
        scene.keeper.handle_answers(scene.now, answers);
        while let Some(claimed) = scene.keeper.poll_claimed() {
            scene
                .keeper
                .handle_held(scene.now, claimed.connection, &claimed.key);
        }
    }
    asked
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of cursors")]
fn no_more_is_asked_at_once_than_a_batch() {
    let limits = CursorLimits {
        per_user_max: 1000,
        ..CursorLimits::default()
    };
    let mut scene = Scene::new(limits);
    let (connection, count) = (ConnectionId::of(0), 2 * BATCH_MAX + 1);
    let pattern = |number: usize| Pattern::new(&format!("a:{number}")).expect("valid");
    for number in 0..count {
        let key = CursorKey {
            pattern: pattern(number),
            ..key(0, 0)
        };
        scene
            .keeper
            .handle_claim(scene.now, connection, key, Vec::new());
    }
    assert_eq!(asked(&mut scene), [BATCH_MAX, BATCH_MAX, 1]);
    for number in 0..count {
        let told = TopicPosition {
            topic: Topic::new(&format!("a:{number}")).expect("valid"),
            position: Position {
                epoch: 1,
                offset: 1,
            },
        };
        scene
            .keeper
            .handle_ack(scene.now, connection, &pattern(number), &[told]);
    }
    // Stores come first, and claims fill up the rest of a batch.
    scene.keeper.handle_flush(scene.now);
    for device in 1..3 {
        scene
            .keeper
            .handle_claim(scene.now, ConnectionId::of(device), key(1, 0), Vec::new());
    }
    assert_eq!(asked(&mut scene), [BATCH_MAX, BATCH_MAX, 3]);
}

#[test]
fn what_was_forgotten_is_counted() {
    let mut scene = Scene::new(CursorLimits::default());
    for times in 0..3 {
        scene
            .keeper
            .handle_claim(scene.now, ConnectionId::of(0), key(0, 0), Vec::new());
        asked(&mut scene);
        assert_eq!(scene.keeper.counts().forgotten, times);
        scene.keeper.handle_gone(scene.now, ConnectionId::of(0));
        scene.now = scene.now + 31 * DAY;
    }
}

#[test]
fn what_there_was_no_room_for_is_to_be_stored_a_second_later() {
    let mut scene = Scene::new(CursorLimits::default());
    let connection = ConnectionId::of(0);
    scene
        .keeper
        .handle_claim(scene.now, connection, key(0, 0), Vec::new());
    asked(&mut scene);
    let told = TopicPosition {
        topic: Topic::new("a:1").expect("valid"),
        position: Position {
            epoch: 1,
            offset: 1,
        },
    };
    let pattern = Pattern::new(PATTERNS[0]).expect("valid");
    scene
        .keeper
        .handle_ack(scene.now, connection, &pattern, &[told]);
    scene.keeper.handle_flush(scene.now);
    let calls = scene.keeper.poll_calls(scene.now).expect("it is stored");
    for _ in 0..2 {
        scene
            .keeper
            .handle_answers(scene.now, vec![CursorAnswer::Full]);
        assert_eq!(scene.keeper.poll_calls(scene.now), None);
        assert_eq!(scene.keeper.counts().unstored, 1);
        let again = scene.now + STORE_EVERY;
        assert_eq!(scene.keeper.poll_timeout(), Some(again));
        scene.now = again;
        assert_eq!(scene.keeper.poll_calls(scene.now).as_ref(), Some(&calls));
    }
}
