//! A shelf compared with a plain list.

use alloc::collections::BTreeSet;
use alloc::{format, vec};

use proptest::prelude::*;

use super::*;
use crate::durable::DurableName;
use crate::protocol::TopicPosition;
use crate::publication::Position;
use crate::topic::{Pattern, Topic};

const AGE_MAX: Duration = Duration::from_secs(100);

#[derive(Clone, Debug)]
enum Step {
    Claim(CursorKey),
    /// With the cursor's term minus this number.
    Store(CursorKey, u64, u64),
    Remove(CursorKey),
    List(usize),
    Pass(u64),
}

const USERS: [Option<&str>; 3] = [None, Some("ada"), Some("bob")];

fn any_key() -> impl Strategy<Value = CursorKey> {
    (0..USERS.len(), 0..3_u8).prop_map(|(user, name)| CursorKey {
        user: USERS[user].map(Arc::from),
        name: DurableName::new(&format!("device {name}")).expect("valid"),
        pattern: Pattern::new("a:*").expect("valid"),
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any_key().prop_map(Step::Claim),
        4 => (any_key(), 0..2_u64, 1..9_u64).prop_map(|(key, before, offset)| Step::Store(key, before, offset)),
        2 => any_key().prop_map(Step::Remove),
        3 => (1..USERS.len()).prop_map(Step::List),
        4 => prop_oneof![0..40_u64, prop::sample::select(vec![59, 60, 61, 99, 100, 101])].prop_map(Step::Pass),
    ]
}

fn positions(offset: u64) -> Vec<TopicPosition> {
    Vec::from([TopicPosition {
        topic: Topic::new("a:1").expect("valid"),
        position: Position { epoch: 1, offset },
    }])
}

/// The cursors, their owners, and when they were last used.
struct List {
    limits: CursorLimits,
    kept: Vec<(CursorKey, Cursor, Instant)>,
    swept_at: Option<Instant>,
}

impl List {
    fn place(&self, key: &CursorKey) -> Option<usize> {
        self.kept.iter().position(|(known, ..)| known == key)
    }

    /// Removes those cursors, of the ones selected, that have expired. Returns how many.
    fn forget(&mut self, now: Instant, of: impl Fn(&CursorKey) -> bool) -> u64 {
        let before = self.kept.len();
        self.kept
            .retain(|(key, _, used_at)| !of(key) || now - *used_at <= AGE_MAX);
        (before - self.kept.len()) as u64
    }

    fn is_full_for(&self, key: &CursorKey) -> bool {
        let own = self
            .kept
            .iter()
            .filter(|(known, ..)| known.user == key.user);
        let is_own_full = key.user.is_some() && own.count() >= self.limits.per_user_max;
        is_own_full || self.kept.len() >= self.limits.total_max
    }

    fn claim(&mut self, now: Instant, key: &CursorKey, beginning: &Cursor) -> CursorAnswer {
        let mut forgotten = self.forget(now, |known| known == key);
        if let Some(place) = self.place(key) {
            let (_, cursor, used_at) = &mut self.kept[place];
            cursor.term += 1;
            *used_at = now;
            let cursor = cursor.clone();
            return CursorAnswer::Claimed { cursor, forgotten };
        }
        let may_sweep = self.swept_at.is_none_or(|at| at + SWEEP_EVERY <= now);
        if self.is_full_for(key) && may_sweep {
            self.swept_at = Some(now);
            forgotten += self.forget(now, |_| true);
        }
        if self.is_full_for(key) {
            return CursorAnswer::Full;
        }
        let cursor = beginning.clone();
        self.kept.push((key.clone(), cursor.clone(), now));
        CursorAnswer::Claimed { cursor, forgotten }
    }

    fn list(&self, now: Instant, user: &str) -> Vec<Remembered> {
        let is_told = |key: &CursorKey, used_at: Instant| {
            key.user.as_deref() == Some(user) && now - used_at <= AGE_MAX
        };
        let kept = self
            .kept
            .iter()
            .filter(|(key, _, used_at)| is_told(key, *used_at));
        let told = kept.map(|(key, cursor, used_at)| Remembered {
            name: key.name.clone(),
            pattern: key.pattern.clone(),
            positions: cursor.positions.clone(),
            unused_for: now - *used_at,
        });
        let mut told: Vec<Remembered> = told.collect();
        told.sort_by(|one, other| one.name.cmp(&other.name));
        told
    }
}

proptest! {
    #[test]
    fn it_does_what_a_list_does_that_is_looked_through(
        steps in prop::collection::vec(any_step(), 0..if cfg!(miri) { 30 } else { 120 }),
        per_user_max in 1..4_usize,
        total_max in 1..8_usize,
    ) {
        let limits = CursorLimits { age_max: AGE_MAX, per_user_max, total_max };
        let mut shelf = Shelf::new(limits);
        let mut list = List { limits, kept: Vec::new(), swept_at: None };
        let mut now = Instant::ZERO + Duration::from_secs(1000);
        for step in steps {
            match step {
                Step::Claim(key) => {
                    let beginning = Cursor { term: 5, positions: positions(1) };
                    let call = CursorCall::Claim { key: key.clone(), beginning: beginning.clone() };
                    let expected = list.claim(now, &key, &beginning);
                    prop_assert_eq!(shelf.carry_out(now, &[call]), [expected]);
                }
                Step::Store(key, before, offset) => {
                    let place = list.place(&key);
                    let term = place.map_or(5, |place| list.kept[place].1.term) - before;
                    let cursor = Cursor { term, positions: positions(offset) };
                    if let Some(place) = place.filter(|_| before == 0) {
                        list.kept[place].1.positions.clone_from(&cursor.positions);
                        list.kept[place].2 = now;
                    }
                    prop_assert_eq!(shelf.carry_out(now, &[CursorCall::Store { key, cursor }]), [CursorAnswer::Done]);
                }
                Step::Remove(key) => {
                    list.kept.retain(|(known, ..)| *known != key);
                    prop_assert_eq!(shelf.carry_out(now, &[CursorCall::Remove { key }]), [CursorAnswer::Done]);
                }
                Step::List(user) => {
                    let user = USERS[user].expect("somebody");
                    let call = CursorCall::List { user: Arc::from(user) };
                    prop_assert_eq!(shelf.carry_out(now, &[call]), [CursorAnswer::Listed(list.list(now, user))]);
                }
                Step::Pass(seconds) => now = now + Duration::from_secs(seconds),
            }
            prop_assert_eq!((shelf.len(), shelf.is_empty()), (list.kept.len(), list.kept.is_empty()));
            let users: BTreeSet<&str> = list.kept.iter().filter_map(|(key, ..)| key.user.as_deref()).collect();
            prop_assert!(shelf.per_user.keys().map(|user| &**user).eq(users), "who has nothing is counted");
        }
    }
}
