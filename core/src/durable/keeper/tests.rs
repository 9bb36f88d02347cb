//! A keeper, the store that it asks, and the connections that hold what it keeps, in virtual time.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::durable::{CursorLimits, DurableName, Shelf};
use crate::publication::Position;
use crate::topic::Topic;

const USER: &str = "ada";
const PATTERNS: [&str; 2] = ["a:*", "b:1"];
const TOPICS: [&str; 3] = ["a:1", "a:2", "b:1"];
const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A connection claims what a device has of a pattern.
    Claim {
        connection: u32,
        device: usize,
        pattern: usize,
    },
    /// Its device has dealt with everything of a topic up to here; `is_first`: it says so as it comes.
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
    Pass {
        seconds: u64,
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
        4 => prop_oneof![0..3_u64, 0..100_000_u64].prop_map(|seconds| Step::Pass { seconds }),
    ]
}

fn key(device: usize, pattern: usize) -> CursorKey {
    CursorKey {
        user: Some(Arc::from(USER)),
        name: DurableName::new(&format!("device {device}")).expect("valid"),
        pattern: Pattern::new(PATTERNS[pattern]).expect("valid"),
    }
}

type Positions = BTreeMap<Topic, Position>;

fn positions_of(told: &[TopicPosition]) -> Positions {
    let told = told.iter();
    told.map(|told| (told.topic.clone(), told.position))
        .collect()
}

/// What the store must come to have.
#[derive(Clone, Debug, Default)]
struct Expected {
    positions: Positions,
    /// Whether it is this server whose word counts.
    is_ours: bool,
    /// What was dealt with is in the store from then on.
    stored_at: Option<Instant>,
}

struct Scene {
    keeper: Keeper,
    shelf: Shelf,
    now: Instant,
    is_losing: bool,
    held: BTreeMap<(u32, Pattern), CursorKey>,
    expected: BTreeMap<CursorKey, Expected>,
    refused: u64,
    most_asked: usize,
}

impl Scene {
    fn new(limits: CursorLimits) -> Self {
        Self {
            keeper: Keeper::new(7),
            shelf: Shelf::new(limits),
            now: Instant::ZERO,
            is_losing: false,
            held: BTreeMap::new(),
            expected: BTreeMap::new(),
            refused: 0,
            most_asked: 0,
        }
    }

    fn take(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Claim {
                connection,
                device,
                pattern,
            } => {
                let connection = ConnectionId::of(connection);
                self.keeper
                    .handle_claim(now, connection, key(device, pattern), Vec::new());
            }
            Step::Ack {
                connection,
                pattern,
                topic,
                at,
                is_first,
            } => {
                self.ack(
                    connection,
                    &key(0, pattern).pattern,
                    TOPICS[topic],
                    at,
                    is_first,
                );
            }
            Step::LetGo {
                connection,
                pattern,
            } => self.let_go(connection, &key(0, pattern).pattern),
            Step::Gone { connection } => {
                self.keeper.handle_gone(now, ConnectionId::of(connection));
                let patterns = self.held.keys().filter(|(holder, _)| *holder == connection);
                let patterns: Vec<Pattern> = patterns.map(|(_, pattern)| pattern.clone()).collect();
                patterns
                    .iter()
                    .for_each(|pattern| self.forget_holder(connection, pattern));
            }
            Step::Forget { device, pattern } => {
                let key = key(device, pattern);
                self.held.retain(|_, known| *known != key);
                self.expected.remove(&key);
                self.keeper.handle_forget(key);
            }
            Step::Elsewhere { device, pattern } => self.claim_elsewhere(&key(device, pattern)),
            Step::Flush => {
                self.keeper.handle_flush(now);
                self.hurry(|_| true);
            }
            Step::Lose => self.is_losing = true,
            Step::Pass { seconds } => self.pass(Duration::from_secs(seconds)),
        }
        self.settle();
    }

    fn ack(
        &mut self,
        connection: u32,
        pattern: &Pattern,
        topic: &str,
        at: (u64, u64),
        is_first: bool,
    ) {
        let (epoch, offset) = at;
        let told = TopicPosition {
            topic: Topic::new(topic).expect("valid"),
            position: Position { epoch, offset },
        };
        let (id, all) = (ConnectionId::of(connection), core::slice::from_ref(&told));
        if is_first {
            self.keeper.handle_seen(self.now, id, pattern, all);
        } else {
            self.keeper.handle_ack(self.now, id, pattern, all);
        }
        let Some(key) = self.held.get(&(connection, pattern.clone())) else {
            return;
        };
        let expected = self.expected.entry(key.clone()).or_default();
        let known = expected.positions.get(&told.topic);
        let is_old = known.is_some_and(|known| known.epoch == epoch && known.offset >= offset);
        if !expected.is_ours || !pattern.matches(&told.topic) || is_old {
            return;
        }
        expected.positions.insert(told.topic, told.position);
        let wait = if is_first {
            Duration::ZERO
        } else {
            STORE_EVERY
        };
        let stored_at = expected.stored_at.get_or_insert(self.now + wait);
        *stored_at = (*stored_at).min(self.now + wait);
    }

    fn let_go(&mut self, connection: u32, pattern: &Pattern) {
        let had = self
            .keeper
            .handle_let_go(self.now, ConnectionId::of(connection), pattern);
        assert_eq!(had.as_ref(), self.held.get(&(connection, pattern.clone())));
        self.forget_holder(connection, pattern);
    }

    fn forget_holder(&mut self, connection: u32, pattern: &Pattern) {
        if let Some(left) = self.held.remove(&(connection, pattern.clone())) {
            self.hurry(|key| *key == left);
        }
    }

    /// What was dealt with of these is to be stored at once.
    fn hurry(&mut self, of: impl Fn(&CursorKey) -> bool) {
        let now = self.now;
        for (key, expected) in &mut self.expected {
            expected.stored_at = expected.stored_at.map(|at| if of(key) { now } else { at });
        }
    }

    fn claim_elsewhere(&mut self, key: &CursorKey) {
        let beginning = Cursor {
            term: 1,
            positions: Vec::new(),
        };
        let call = CursorCall::Claim {
            key: key.clone(),
            beginning,
        };
        let answers = self.shelf.carry_out(self.now, &[call]);
        if let CursorAnswer::Claimed { cursor, .. } = &answers[0] {
            let positions = positions_of(&cursor.positions);
            let (is_ours, stored_at) = (false, None);
            let expected = Expected {
                positions,
                is_ours,
                stored_at,
            };
            self.expected.insert(key.clone(), expected);
        }
    }

    /// Asks the store for as long as there is something to ask.
    fn settle(&mut self) {
        for _ in 0..100 {
            let Some(calls) = self.keeper.poll_calls(self.now) else {
                return self.check();
            };
            self.most_asked = self.most_asked.max(calls.len());
            assert_eq!(
                self.keeper.poll_calls(self.now),
                None,
                "others are unanswered"
            );
            if core::mem::take(&mut self.is_losing) {
                self.keeper.handle_lost(self.now);
                continue;
            }
            let answers = self.shelf.carry_out(self.now, &calls);
            self.keeper.handle_answers(self.now, answers);
            while let Some(claimed) = self.keeper.poll_claimed() {
                self.handle_claimed(claimed);
            }
        }
        panic!("it never has enough");
    }

    fn handle_claimed(&mut self, claimed: Claimed) {
        let Claimed {
            connection,
            key,
            result,
        } = claimed;
        let Ok(positions) = result else {
            assert_eq!(result, Err(CursorAnswer::Full));
            self.refused += 1;
            return;
        };
        let expected = self.expected.entry(key.clone()).or_default();
        expected.is_ours = true;
        assert_eq!(positions_of(&positions), expected.positions, "of {key:?}");
        if connection.index() == 2 {
            // One that wants it no more.
            return self.keeper.handle_unwanted(&key);
        }
        self.keeper.handle_held(self.now, connection, &key);
        self.held
            .insert((connection.index(), key.pattern.clone()), key);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while let Some(at) = self.keeper.poll_timeout().filter(|at| *at <= end) {
            assert!(at > self.now, "it would spin");
            self.now = at;
            self.keeper.handle_timeout(at);
            self.settle();
        }
        self.now = end;
    }

    fn check(&mut self) {
        let listed = CursorCall::List {
            user: Arc::from(USER),
        };
        let answers = self.shelf.carry_out(self.now, &[listed]);
        let CursorAnswer::Listed(listed) = &answers[0] else {
            panic!("{answers:?}");
        };
        for (key, expected) in &mut self.expected {
            let name = (&key.name, &key.pattern);
            let known = listed
                .iter()
                .find(|known| (&known.name, &known.pattern) == name);
            let known = known.unwrap_or_else(|| panic!("{key:?} is not stored"));
            if positions_of(&known.positions) == expected.positions {
                expected.stored_at = None;
            } else {
                let is_late = expected.stored_at.is_none_or(|at| at <= self.now);
                assert!(!is_late, "{key:?} at {:?}: {expected:?}", self.now);
            }
            let is_held = self.held.values().any(|held| held == key);
            assert!(!is_held || !expected.is_ours || known.unused_for <= DAY);
        }
        for known in listed {
            let is_expected =
                |key: &&CursorKey| (&key.name, &key.pattern) == (&known.name, &known.pattern);
            assert!(
                self.expected.keys().any(|key| is_expected(&key)),
                "{known:?} was forgotten"
            );
        }
        let counts = self.keeper.counts();
        let held: BTreeSet<&CursorKey> = self.held.values().collect();
        assert_eq!(counts.held, held.len());
        assert_eq!(counts.refused, self.refused);
    }
}

proptest! {
    /// What a device has dealt with is stored in time, once it goes or asks for it at once; and it is given that wherever it turns up.
    #[test]
    fn what_was_dealt_with_is_stored_in_time(
        steps in prop::collection::vec(any_step(), 0..if cfg!(miri) { 20 } else { 120 }),
        total_max in 2..5_usize,
    ) {
        let mut scene = Scene::new(CursorLimits { total_max, ..CursorLimits::default() });
        for step in steps {
            scene.take(step);
        }
        scene.pass(STORE_EVERY);
        let counts = scene.keeper.counts();
        prop_assert_eq!(counts.unstored, 0);
        for connection in 0..3 {
            scene.take(Step::Gone { connection });
        }
        prop_assert_eq!(scene.keeper.counts().held, 0);
        prop_assert_eq!(scene.keeper.poll_timeout(), None);
    }
}
