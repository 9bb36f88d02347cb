//! The cursors held by a server's connections: which connection moves them, and when they are stored.

use core::time::Duration;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::held::HeldCursor;
use super::{Cursor, CursorAnswer, CursorCall, CursorKey, DurableCounts};
use crate::hub::ConnectionId;
use crate::protocol::TopicPosition;
use crate::random::Random;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::topic::Pattern;

/// How long acknowledgements wait before they are stored; a cursor is written no more often than that.
const STORE_EVERY: Duration = Duration::from_secs(1);

/// How often a cursor that doesn't move is stored nevertheless, so that it doesn't expire.
const TOUCH_EVERY: Duration = Duration::from_secs(24 * 3600);

/// The most calls in one batch.
const BATCH_MAX: usize = 256;

/// The largest first term of a cursor. First terms are random, so that a late write to a cursor that has since been
/// deleted doesn't move its successor.
const FIRST_TERM_MAX: u64 = 1 << 32;

/// The machine.
///
/// Call `handle_claim`, `handle_held`, `handle_seen`, `handle_ack`, `handle_release`, `handle_forget` and
/// `handle_flush`; then `poll_calls`, which returns one batch at a time, to be answered by `handle_answers` or
/// `handle_lost`; and `poll_claimed`.
#[derive(Debug)]
pub(crate) struct Keeper {
    terms: Random,
    cursors: BTreeMap<CursorKey, HeldCursor>,
    holders: BTreeMap<ConnectionId, SortedMap<Pattern, CursorKey>>,
    /// Claims with the connections they are for, and cursors to delete.
    queued: VecDeque<PendingCall>,
    in_flight: Vec<PendingCall>,
    claimed: VecDeque<Claimed>,
    store_at: Option<Instant>,
    touch_at: Instant,
    counts: DurableCounts,
}

#[derive(Debug)]
struct PendingCall {
    by: Option<ConnectionId>,
    call: CursorCall,
}

/// The result of a claim.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) connection: ConnectionId,
    pub(crate) key: CursorKey,
    /// The cursor's positions, or why there is no cursor.
    pub(crate) result: Result<Vec<TopicPosition>, CursorAnswer>,
}

impl Keeper {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            terms: Random::new(seed),
            cursors: BTreeMap::new(),
            holders: BTreeMap::new(),
            queued: VecDeque::new(),
            in_flight: Vec::new(),
            claimed: VecDeque::new(),
            store_at: None,
            touch_at: Instant::ZERO,
            counts: DurableCounts::default(),
        }
    }

    /// Figures about the cursors.
    pub(crate) fn counts(&self) -> DurableCounts {
        let held = self.cursors.values();
        let unstored = held.filter(|held| held.is_dirty || held.is_being_stored);
        DurableCounts {
            held: self.cursors.len(),
            unstored: unstored.count(),
            ..self.counts
        }
    }

    /// A connection claims a cursor; if there is none, it begins with these positions. [`Keeper::poll_claimed`] returns
    /// the result.
    pub(crate) fn handle_claim(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        key: CursorKey,
        positions: Vec<TopicPosition>,
    ) {
        if self.cursors.get(&key).is_some_and(|held| held.is_dirty) {
            // Its changes must be stored before it is claimed.
            self.store_at = Some(now);
        }
        let term = 1 + self.terms.up_to(FIRST_TERM_MAX - 1);
        let beginning = Cursor { term, positions };
        self.queued.push_back(PendingCall {
            by: Some(connection),
            call: CursorCall::Claim { key, beginning },
        });
    }

    /// The connection accepts the cursor that it claimed, and moves it from now on.
    pub(crate) fn handle_held(&mut self, now: Instant, connection: ConnectionId, key: &CursorKey) {
        let Some(held) = self.cursors.get_mut(key) else {
            return;
        };
        let patterns = self.holders.entry(connection).or_default();
        let before = patterns.remove(&key.pattern);
        patterns.insert(key.pattern.clone(), key.clone());
        held.holders += 1;
        if let Some(before) = before {
            // The connection still had a cursor for the pattern: its subscription ended with the topic, or is being
            // replaced.
            self.release(now, &before);
        }
        if self.touch_at <= now {
            self.touch_at = now + TOUCH_EVERY;
        }
    }

    /// Nobody wants the claimed cursor any more.
    pub(crate) fn handle_unwanted(&mut self, key: &CursorKey) {
        self.drop_if_settled(key);
    }

    /// A connection's device has processed everything up to these positions.
    pub(crate) fn handle_ack(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        pattern: &Pattern,
        positions: &[TopicPosition],
    ) {
        let patterns = self.holders.get(&connection);
        let Some(key) = patterns.and_then(|patterns| patterns.get(pattern)) else {
            // The acknowledgement crossed the end of its subscription on the way.
            return;
        };
        let Some(held) = self.cursors.get_mut(key) else {
            return;
        };
        for TopicPosition { topic, position } in positions {
            if pattern.matches(topic) && held.advance(topic, *position) {
                held.is_dirty = true;
            }
        }
        if held.is_dirty && self.store_at.is_none() {
            self.store_at = Some(now + STORE_EVERY);
        }
    }

    /// Like an acknowledgement, but from a device that has just arrived. It may turn up elsewhere as soon as it is
    /// answered, so this is stored at once.
    pub(crate) fn handle_seen(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        pattern: &Pattern,
        positions: &[TopicPosition],
    ) {
        self.handle_ack(now, connection, pattern, positions);
        self.store_at = self.store_at.map(|_| now);
    }

    /// A connection has ended a durable subscription. Returns the cursor that it held, if any.
    pub(crate) fn handle_release(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        pattern: &Pattern,
    ) -> Option<CursorKey> {
        let patterns = self.holders.get_mut(&connection)?;
        let key = patterns.remove(pattern)?;
        if patterns.is_empty() {
            self.holders.remove(&connection);
        }
        self.release(now, &key);
        Some(key)
    }

    /// A connection stops moving a cursor.
    fn release(&mut self, now: Instant, key: &CursorKey) {
        if let Some(held) = self.cursors.get_mut(key) {
            held.holders -= 1;
            if held.is_dirty {
                // Its device may turn up elsewhere at any moment.
                self.store_at = Some(now);
            }
        }
        self.drop_if_settled(key);
    }

    /// A connection has gone.
    pub(crate) fn handle_gone(&mut self, now: Instant, connection: ConnectionId) {
        let patterns = self.holders.get(&connection).map(SortedMap::keys);
        let patterns: Vec<Pattern> = patterns.into_iter().flatten().cloned().collect();
        for pattern in patterns {
            self.handle_release(now, connection, &pattern);
        }
        // Nobody waits for its claims any more.
        self.queued.retain(|pending| pending.by != Some(connection));
    }

    /// Deletes a cursor.
    pub(crate) fn handle_forget(&mut self, key: CursorKey) {
        self.cursors.remove(&key);
        for patterns in self.holders.values_mut() {
            patterns.retain(|_, known| *known != key);
        }
        self.holders.retain(|_, patterns| !patterns.is_empty());
        self.queued.push_back(PendingCall {
            by: None,
            call: CursorCall::Remove { key },
        });
    }

    /// Stores outstanding acknowledgements now.
    pub(crate) fn handle_flush(&mut self, now: Instant) {
        if self.cursors.values().any(|held| held.is_dirty) {
            self.store_at = Some(now);
        }
    }

    /// A deadline was reached.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.holders.is_empty() || now < self.touch_at {
            return;
        }
        self.touch_at = now + TOUCH_EVERY;
        for held in self.cursors.values_mut() {
            held.is_dirty = true;
        }
        self.store_at = Some(now);
    }

    /// The next batch of calls for the store, in order. `None` while another one is unanswered.
    pub(crate) fn poll_calls(&mut self, now: Instant) -> Option<Vec<CursorCall>> {
        if !self.in_flight.is_empty() {
            return None;
        }
        if self.store_at.is_some_and(|at| at <= now) {
            self.store_at = None;
            for (key, held) in &mut self.cursors {
                if !held.is_dirty {
                    continue;
                }
                if self.in_flight.len() == BATCH_MAX {
                    self.store_at = Some(now);
                    break;
                }
                held.is_dirty = false;
                held.is_being_stored = true;
                let call = CursorCall::Store {
                    key: key.clone(),
                    cursor: held.cursor(),
                };
                self.in_flight.push(PendingCall { by: None, call });
            }
        }
        let room = BATCH_MAX - self.in_flight.len();
        let count = room.min(self.queued.len());
        self.in_flight.extend(self.queued.drain(..count));
        let calls = self.in_flight.iter().map(|pending| pending.call.clone());
        Some(calls.collect::<Vec<_>>()).filter(|calls| !calls.is_empty())
    }

    /// The answers to the last batch: one for each call.
    pub(crate) fn handle_answers(&mut self, now: Instant, answers: Vec<CursorAnswer>) {
        if answers.len() != self.in_flight.len() {
            return self.handle_lost(now);
        }
        let calls = core::mem::take(&mut self.in_flight);
        for (PendingCall { by, call }, answer) in calls.into_iter().zip(answers) {
            match (call, by) {
                (CursorCall::Claim { key, .. }, Some(connection)) => {
                    let result = self.handle_claimed(now, &key, answer);
                    self.claimed.push_back(Claimed {
                        connection,
                        key,
                        result,
                    });
                }
                (CursorCall::Store { key, .. }, _) => self.handle_stored(now, &key, &answer),
                (
                    CursorCall::Claim { .. } | CursorCall::Remove { .. } | CursorCall::List { .. },
                    _,
                ) => {}
            }
        }
    }

    fn handle_claimed(
        &mut self,
        now: Instant,
        key: &CursorKey,
        answer: CursorAnswer,
    ) -> Result<Vec<TopicPosition>, CursorAnswer> {
        match answer {
            CursorAnswer::Claimed { cursor, forgotten } => {
                self.counts.forgotten += forgotten;
                Ok(self.take_over(now, key, cursor))
            }
            CursorAnswer::Done
            | CursorAnswer::Listed(_)
            | CursorAnswer::Full
            | CursorAnswer::Unsupported => {
                self.counts.refused += u64::from(answer == CursorAnswer::Full);
                Err(answer)
            }
        }
    }

    fn handle_stored(&mut self, now: Instant, key: &CursorKey, answer: &CursorAnswer) {
        self.counts.stored += u64::from(*answer == CursorAnswer::Done);
        if let Some(held) = self.cursors.get_mut(key) {
            held.is_being_stored = false;
            if *answer == CursorAnswer::Full {
                held.is_dirty = true;
                self.store_at = Some(now + STORE_EVERY);
            }
        }
        self.drop_if_settled(key);
    }

    /// Takes over a claimed cursor, adding what this server knows and could not store.
    fn take_over(&mut self, now: Instant, key: &CursorKey, cursor: Cursor) -> Vec<TopicPosition> {
        let known = self.cursors.get(key);
        let holders = known.map_or(0, |known| known.holders);
        // If another server has claimed it in between, that one knows better.
        let unsaved = known.filter(|known| known.term + 1 == cursor.term);
        let mut held = HeldCursor::new(&cursor, holders);
        if let Some(unsaved) = unsaved {
            for (topic, position) in unsaved.positions.iter() {
                held.is_dirty |= held.advance(topic, *position);
            }
        }
        if held.is_dirty {
            self.store_at.get_or_insert(now + STORE_EVERY);
        }
        let positions = held.cursor().positions;
        self.cursors.insert(key.clone(), held);
        positions
    }

    /// The last batch will not be answered.
    pub(crate) fn handle_lost(&mut self, now: Instant) {
        for pending in core::mem::take(&mut self.in_flight).into_iter().rev() {
            match &pending.call {
                CursorCall::Store { key, .. } => {
                    if let Some(held) = self.cursors.get_mut(key) {
                        held.is_being_stored = false;
                        held.is_dirty = true;
                        self.store_at = Some(now);
                    }
                }
                CursorCall::Claim { .. } | CursorCall::Remove { .. } | CursorCall::List { .. } => {
                    self.queued.push_front(pending);
                }
            }
        }
    }

    /// The next result of a claim. If it is a cursor, [`Keeper::handle_held`] or [`Keeper::handle_unwanted`] must
    /// follow.
    pub(crate) fn poll_claimed(&mut self) -> Option<Claimed> {
        self.claimed.pop_front()
    }

    /// When [`Keeper::handle_timeout`] and [`Keeper::poll_calls`] must be called at the latest, if the store can be
    /// reached.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let store_at = self.store_at.filter(|_| self.in_flight.is_empty());
        let touch_at = Some(self.touch_at).filter(|_| !self.holders.is_empty());
        [store_at, touch_at].into_iter().flatten().min()
    }

    /// The cursor that a connection holds for a pattern.
    pub(crate) fn key_of(&self, connection: ConnectionId, pattern: &Pattern) -> Option<&CursorKey> {
        self.holders.get(&connection)?.get(pattern)
    }

    fn drop_if_settled(&mut self, key: &CursorKey) {
        let held = self.cursors.get(key);
        if held.is_some_and(|held| held.holders == 0 && !held.is_dirty && !held.is_being_stored) {
            self.cursors.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
