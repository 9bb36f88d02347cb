//! What a keeper does, what its store then contains, and what it should contain.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::*;
use crate::durable::Shelf;

type Positions = BTreeMap<Topic, Position>;

fn positions_of(told: &[TopicPosition]) -> Positions {
    let told = told.iter();
    told.map(|told| (told.topic.clone(), told.position))
        .collect()
}

/// What the store should contain eventually.
#[derive(Clone, Debug, Default)]
struct Expected {
    positions: Positions,
    /// Whether this server owns the cursor.
    is_ours: bool,
    /// When it should be in the store at the latest.
    stored_at: Option<Instant>,
}

pub(super) struct Scene {
    pub(super) keeper: Keeper,
    pub(super) shelf: Shelf,
    pub(super) now: Instant,
    is_losing: bool,
    meanwhile: Option<(u32, usize, (u64, u64))>,
    gone: Option<u32>,
    held: BTreeMap<(u32, Pattern), CursorKey>,
    expected: BTreeMap<CursorKey, Expected>,
    refused: u64,
}

impl Scene {
    pub(super) fn new(limits: CursorLimits) -> Self {
        Self {
            keeper: Keeper::new(7),
            shelf: Shelf::new(limits),
            now: Instant::ZERO,
            is_losing: false,
            meanwhile: None,
            gone: None,
            held: BTreeMap::new(),
            expected: BTreeMap::new(),
            refused: 0,
        }
    }

    pub(super) fn take(&mut self, step: Step) {
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
            Step::Meanwhile {
                connection,
                topic,
                at,
            } => self.meanwhile = Some((connection, topic, at)),
            Step::ClaimAndGo { connection } => {
                let id = ConnectionId::of(connection);
                self.keeper.handle_claim(now, id, key(0, 0), Vec::new());
                self.gone = Some(connection);
                self.take(Step::Gone { connection });
                self.gone = None;
            }
            Step::Pass { millis } => self.pass(Duration::from_millis(millis)),
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

    /// A call in flight doesn't contain what was processed meanwhile.
    fn wait_anew(&mut self, connection: u32, pattern: &Pattern) {
        let key = self.held.get(&(connection, pattern.clone()));
        let expected = key.and_then(|key| self.expected.get_mut(key));
        if let Some(stored_at) = expected.and_then(|expected| expected.stored_at.as_mut()) {
            *stored_at = self.now + STORE_EVERY;
        }
    }

    fn let_go(&mut self, connection: u32, pattern: &Pattern) {
        let had = self
            .keeper
            .handle_release(self.now, ConnectionId::of(connection), pattern);
        assert_eq!(had.as_ref(), self.held.get(&(connection, pattern.clone())));
        self.forget_holder(connection, pattern);
    }

    fn forget_holder(&mut self, connection: u32, pattern: &Pattern) {
        if let Some(left) = self.held.remove(&(connection, pattern.clone())) {
            self.hurry(|key| *key == left);
        }
    }

    /// These cursors have to be stored at once.
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

    /// Carries out calls until there are no more.
    fn settle(&mut self) {
        for _ in 0..100 {
            let Some(calls) = self.keeper.poll_calls(self.now) else {
                return self.check();
            };
            assert_eq!(
                self.keeper.poll_calls(self.now),
                None,
                "others are unanswered"
            );
            if core::mem::take(&mut self.is_losing) {
                self.keeper.handle_lost(self.now);
                continue;
            }
            if let Some((connection, topic, at)) = self.meanwhile.take() {
                for pattern in 0..PATTERNS.len() {
                    let pattern = key(0, pattern).pattern;
                    self.ack(connection, &pattern, TOPICS[topic], at, false);
                    self.wait_anew(connection, &pattern);
                }
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
        assert_ne!(Some(connection.index()), self.gone, "nobody waits for it");
        let Ok(positions) = result else {
            assert_eq!(result, Err(CursorAnswer::Full));
            self.refused += 1;
            return;
        };
        let expected = self.expected.entry(key.clone()).or_default();
        expected.is_ours = true;
        assert_eq!(positions_of(&positions), expected.positions, "of {key:?}");
        if connection.index() == 2 {
            // The subscription is no longer wanted.
            return self.keeper.handle_unwanted(&key);
        }
        self.keeper.handle_held(self.now, connection, &key);
        self.held
            .insert((connection.index(), key.pattern.clone()), key);
    }

    pub(super) fn pass(&mut self, time: Duration) {
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
        for ((connection, pattern), key) in &self.held {
            let known = self.keeper.key_of(ConnectionId::of(*connection), pattern);
            assert_eq!(known, Some(key));
        }
        let counts = self.keeper.counts();
        let unstored = self.expected.values();
        let unstored = unstored.filter(|expected| expected.stored_at.is_some());
        assert!(counts.unstored >= unstored.count());
        let held: BTreeSet<&CursorKey> = self.held.values().collect();
        assert_eq!(counts.held, held.len());
        assert_eq!(counts.refused, self.refused);
    }
}
