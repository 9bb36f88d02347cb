//! A store of cursors in memory.

use core::time::Duration;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Cursor, CursorAnswer, CursorCall, CursorKey, CursorLimits, Remembered};
use crate::time::Instant;

/// How often expired cursors are looked for while there is no room for another.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Cursors in the memory of one process; also the reference for other stores.
#[derive(Debug)]
pub struct Shelf {
    limits: CursorLimits,
    cursors: BTreeMap<CursorKey, StoredCursor>,
    /// How many cursors each user has.
    per_user: BTreeMap<Arc<str>, usize>,
    sweep_at: Instant,
}

#[derive(Debug)]
struct StoredCursor {
    cursor: Cursor,
    used_at: Instant,
}

impl Shelf {
    /// An empty store.
    pub const fn new(limits: CursorLimits) -> Self {
        Self {
            limits,
            cursors: BTreeMap::new(),
            per_user: BTreeMap::new(),
            sweep_at: Instant::ZERO,
        }
    }

    /// Carries out calls in order; one answer for each.
    pub fn carry_out(&mut self, now: Instant, calls: &[CursorCall]) -> Vec<CursorAnswer> {
        calls.iter().map(|call| self.answer(now, call)).collect()
    }

    fn answer(&mut self, now: Instant, call: &CursorCall) -> CursorAnswer {
        match call {
            CursorCall::Claim { key, beginning } => self.claim(now, key, beginning),
            CursorCall::Store { key, cursor } => {
                if let Some(kept) = self.cursors.get_mut(key)
                    && kept.cursor.term == cursor.term
                {
                    kept.cursor.positions.clone_from(&cursor.positions);
                    kept.used_at = now;
                }
                CursorAnswer::Done
            }
            CursorCall::Remove { key } => {
                self.remove(key);
                CursorAnswer::Done
            }
            CursorCall::List { user } => CursorAnswer::Listed(self.list(now, user)),
        }
    }

    fn claim(&mut self, now: Instant, key: &CursorKey, beginning: &Cursor) -> CursorAnswer {
        let age_max = self.limits.age_max;
        if let Some(kept) = self.cursors.get_mut(key)
            && now - kept.used_at <= age_max
        {
            kept.cursor.term += 1;
            kept.used_at = now;
            let cursor = kept.cursor.clone();
            let forgotten = 0;
            return CursorAnswer::Claimed { cursor, forgotten };
        }
        let mut forgotten = u64::from(self.remove(key));
        if self.is_full_for(key) && self.sweep_at <= now {
            self.sweep_at = now + SWEEP_EVERY;
            forgotten += self.forget_unused(now);
        }
        if self.is_full_for(key) {
            return CursorAnswer::Full;
        }
        if let Some(user) = &key.user {
            *self.per_user.entry(Arc::clone(user)).or_default() += 1;
        }
        let cursor = beginning.clone();
        let used_at = now;
        self.cursors
            .insert(key.clone(), StoredCursor { cursor, used_at });
        let cursor = beginning.clone();
        CursorAnswer::Claimed { cursor, forgotten }
    }

    fn list(&self, now: Instant, user: &str) -> Vec<Remembered> {
        let kept = self.cursors.iter();
        let kept = kept.filter(|(key, kept)| {
            key.user.as_deref() == Some(user) && now - kept.used_at <= self.limits.age_max
        });
        kept.map(|(key, kept)| Remembered {
            name: key.name.clone(),
            pattern: key.pattern.clone(),
            positions: kept.cursor.positions.clone(),
            unused_for: now - kept.used_at,
        })
        .collect()
    }

    fn is_full_for(&self, key: &CursorKey) -> bool {
        let own = key.user.as_ref().and_then(|user| self.per_user.get(user));
        self.cursors.len() >= self.limits.total_max
            || own.is_some_and(|own| *own >= self.limits.per_user_max)
    }

    /// Returns how many.
    fn forget_unused(&mut self, now: Instant) -> u64 {
        let age_max = self.limits.age_max;
        let cursors = self.cursors.iter();
        let unused: Vec<CursorKey> = cursors
            .filter(|(_, kept)| now - kept.used_at > age_max)
            .map(|(key, _)| key.clone())
            .collect();
        for key in &unused {
            self.remove(key);
        }
        unused.len() as u64
    }

    /// Returns whether it was there.
    fn remove(&mut self, key: &CursorKey) -> bool {
        if self.cursors.remove(key).is_none() {
            return false;
        }
        if let Some(user) = &key.user
            && let Some(own) = self.per_user.get_mut(user)
        {
            *own -= 1;
            if *own == 0 {
                self.per_user.remove(user);
            }
        }
        true
    }

    /// How many cursors there are.
    pub fn len(&self) -> usize {
        self.cursors.len()
    }

    /// Returns whether there are no cursors.
    pub fn is_empty(&self) -> bool {
        self.cursors.is_empty()
    }
}

#[cfg(test)]
mod tests;
