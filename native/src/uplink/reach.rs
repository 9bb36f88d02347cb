//! What the log is told of the links to a backend: when the first of them is lost, why, and when all stand again.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::backend::BackendError;

/// Whether a shard reaches its backend, and how many of its siblings don't.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// The link that was asked for last; they are numbered. What an earlier one still has to say no longer matters.
    last: AtomicU64,
    links: Mutex<Links>,
    away: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Links {
    /// The last link that is known to be lost: it may be so before the answer that it stands is looked at.
    lost: u64,
    is_away: bool,
}

impl Reach {
    /// Of a shard whose siblings share `away`.
    pub(super) fn of(away: &Arc<AtomicUsize>) -> Self {
        Self {
            last: AtomicU64::new(0),
            links: Mutex::default(),
            away: Arc::clone(away),
        }
    }

    /// The number of a new link, which is about to be opened.
    pub(super) fn opening(&self) -> u64 {
        1 + self.last.fetch_add(1, Ordering::SeqCst)
    }

    /// The number of the link that was asked for last.
    pub(super) fn last(&self) -> u64 {
        self.last.load(Ordering::SeqCst)
    }

    /// A link is lost, or could not be opened.
    pub(super) fn lost(&self, link: u64, error: &BackendError) {
        let mut links = self.links();
        if self.last() != link {
            return;
        }
        links.lost = link;
        let was_away = std::mem::replace(&mut links.is_away, true);
        if !was_away && self.away.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(%error, "subscribers are stale and publications wait until the backend is back");
        } else {
            tracing::debug!(%error, "the backend is still away");
        }
    }

    /// A link was opened. It stands, unless it is lost again.
    pub(super) fn found(&self, link: u64, backend: impl FnOnce() -> String) {
        let mut links = self.links();
        if self.last() != link || links.lost == link {
            return;
        }
        let was_away = std::mem::take(&mut links.is_away);
        if was_away && self.away.fetch_sub(1, Ordering::Relaxed) == 1 {
            tracing::info!(backend = backend(), "the backend is back");
        }
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        // Every change of it is whole after each statement.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> BackendError {
        BackendError::Unreachable {
            backend: "a backend".to_owned(),
            reason: "it is away".to_owned(),
        }
    }

    fn away(reach: &Reach) -> usize {
        reach.away.load(Ordering::Relaxed)
    }

    #[test]
    fn a_link_that_was_lost_before_it_was_found_is_lost() {
        let reach = Reach::default();
        let link = reach.opening();
        reach.lost(link, &error());
        reach.found(link, || unreachable!());
        assert_eq!(away(&reach), 1);
        let next = reach.opening();
        reach.found(next, String::new);
        assert_eq!(away(&reach), 0);
    }

    #[test]
    fn what_an_earlier_link_fails_at_is_no_loss_of_the_next() {
        let reach = Reach::default();
        let first = reach.opening();
        reach.found(first, || unreachable!());
        reach.lost(first, &error());
        let next = reach.opening();
        reach.found(next, String::new);
        reach.lost(first, &error());
        assert_eq!(away(&reach), 0);
    }

    #[test]
    fn siblings_are_counted_once_each() {
        let count = Arc::default();
        let siblings = [Reach::of(&count), Reach::of(&count)];
        for reach in &siblings {
            let link = reach.opening();
            reach.lost(link, &error());
            reach.lost(link, &error());
        }
        assert_eq!(away(&siblings[0]), 2);
        for reach in &siblings {
            reach.found(reach.opening(), String::new);
            reach.found(reach.last(), || unreachable!());
        }
        assert_eq!(away(&siblings[0]), 0);
    }
}
