//! The state of the links to a backend, for the log and for a hub's health.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::backend::BackendError;
use crate::hub::{BackendHealth, BackendLink};

/// Whether a shard reaches its backend, from the shard's point of view.
#[derive(Debug)]
pub(super) struct Reach {
    /// The number of the latest link. Reports about earlier ones no longer matter.
    last: AtomicU64,
    links: Mutex<Links>,
    siblings: Arc<Siblings>,
}

#[derive(Debug, Default)]
struct Links {
    /// The latest link that is known to be lost. That can be known before the answer is processed that it was opened.
    lost: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    New,
    Stands,
    Away,
}

/// The shards of a hub, whose links lead to the same backend.
#[derive(Debug)]
pub(super) struct Siblings {
    counts: Mutex<Counts>,
    health: watch::Sender<BackendHealth>,
}

#[derive(Debug)]
struct Counts {
    away: usize,
    /// How many have no open link.
    without: usize,
}

impl Siblings {
    /// This number of shards, none of which has opened its link to the backend of this name.
    pub(super) fn new(name: String, count: usize) -> Self {
        let health = BackendHealth {
            name,
            link: BackendLink::Opening,
            last_error: None,
        };
        Self {
            counts: Mutex::new(Counts {
                away: 0,
                without: count,
            }),
            health: watch::Sender::new(health),
        }
    }

    pub(super) fn health(&self) -> watch::Receiver<BackendHealth> {
        self.health.subscribe()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // The state is consistent after every statement.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a shard has lost its link, or could not open it.
    fn lost(&self, before: State, error: &BackendError) {
        let mut counts = self.counts();
        counts.without += usize::from(before == State::Stands);
        counts.away += usize::from(before != State::Away);
        if counts.away == 1 && before != State::Away {
            tracing::warn!(%error, "subscribers are stale and publications wait until the backend is back");
        } else {
            tracing::debug!(%error, "the backend is still away");
        }
        self.health.send_modify(|health| {
            if health.link == BackendLink::Live {
                health.link = BackendLink::Stale;
            }
            // When the other shards lose the link along with it, their errors don't say why.
            if before == State::Away || health.last_error.is_none() {
                health.last_error = Some(error.clone());
            }
        });
    }

    /// Notes that a shard has opened its link.
    fn found(&self, before: State, backend: impl FnOnce() -> String) {
        let mut counts = self.counts();
        counts.without -= usize::from(before != State::Stands);
        counts.away -= usize::from(before == State::Away);
        if before == State::Away && counts.away == 0 {
            tracing::info!(backend = backend(), "the backend is back");
        }
        if counts.without == 0 {
            self.health.send_modify(|health| {
                health.link = BackendLink::Live;
                health.last_error = None;
            });
        }
    }
}

impl Reach {
    pub(super) fn of(siblings: &Arc<Siblings>) -> Self {
        Self {
            last: AtomicU64::new(0),
            links: Mutex::default(),
            siblings: Arc::clone(siblings),
        }
    }

    /// Returns the number of a new link, which is about to be opened. If the previous one was not reported lost, the shard has given it up,
    /// and `why` returns the reason.
    pub(super) fn opening(&self, why: impl FnOnce() -> BackendError) -> u64 {
        let mut links = self.links();
        let last = self.last();
        if last > links.lost {
            self.lose(&mut links, &why());
        }
        self.last.store(last + 1, Ordering::SeqCst);
        last + 1
    }

    /// The number of the latest link.
    pub(super) fn last(&self) -> u64 {
        self.last.load(Ordering::SeqCst)
    }

    /// Notes that a link is lost, or could not be opened.
    pub(super) fn lost(&self, link: u64, error: &BackendError) {
        let mut links = self.links();
        if self.last() == link {
            self.lose(&mut links, error);
        }
    }

    fn lose(&self, links: &mut Links, error: &BackendError) {
        links.lost = self.last();
        let before = std::mem::replace(&mut links.state, State::Away);
        self.siblings.lost(before, error);
    }

    /// Notes that a link was opened, unless it has been lost again already.
    pub(super) fn found(&self, link: u64, backend: impl FnOnce() -> String) {
        let mut links = self.links();
        if self.last() != link || links.lost == link {
            return;
        }
        let before = std::mem::replace(&mut links.state, State::Stands);
        self.siblings.found(before, backend);
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        // The state is consistent after every statement.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(reason: &str) -> BackendError {
        BackendError::Unreachable {
            backend: "a backend".to_owned(),
            reason: reason.to_owned(),
        }
    }

    fn away(reach: &Reach) -> usize {
        reach.siblings.counts().away
    }

    fn health(reach: &Reach) -> (BackendLink, Option<BackendError>) {
        let health = reach.siblings.health.borrow();
        (health.link, health.last_error.clone())
    }

    fn alone() -> Reach {
        Reach::of(&Arc::new(Siblings::new("a backend".to_owned(), 1)))
    }

    fn next(reach: &Reach) -> u64 {
        reach.opening(|| unreachable!())
    }

    #[test]
    fn a_link_that_was_lost_before_it_was_found_is_lost() {
        let reach = alone();
        let link = next(&reach);
        reach.lost(link, &error("it is away"));
        reach.found(link, || unreachable!());
        assert_eq!(away(&reach), 1);
        assert_eq!(health(&reach).0, BackendLink::Opening);
        let next = next(&reach);
        reach.found(next, String::new);
        assert_eq!(away(&reach), 0);
        assert_eq!(health(&reach), (BackendLink::Live, None));
    }

    #[test]
    fn what_an_earlier_link_fails_at_is_no_loss_of_the_next() {
        let reach = alone();
        let first = next(&reach);
        reach.found(first, || unreachable!());
        reach.lost(first, &error("it is away"));
        let next = next(&reach);
        reach.found(next, String::new);
        reach.lost(first, &error("it is away"));
        assert_eq!(away(&reach), 0);
        assert_eq!(health(&reach), (BackendLink::Live, None));
    }

    #[test]
    fn a_link_that_is_given_up_is_a_loss_like_any_other() {
        let reach = alone();
        let first = next(&reach);
        reach.found(first, || unreachable!());
        let silent = error("it is silent");
        let second = reach.opening(|| silent.clone());
        assert_eq!(away(&reach), 1);
        assert_eq!(health(&reach), (BackendLink::Stale, Some(silent)));
        let slow = error("it opens too slowly");
        reach.opening(|| slow.clone());
        assert_eq!(away(&reach), 1);
        assert_eq!(health(&reach), (BackendLink::Stale, Some(slow)));
        reach.found(second, || unreachable!());
        assert_eq!(away(&reach), 1);
    }

    #[test]
    fn siblings_are_counted_once_each() {
        let shared = Arc::new(Siblings::new("a backend".to_owned(), 2));
        let siblings = [Reach::of(&shared), Reach::of(&shared)];
        let why = error("it is away");
        for (reach, error) in siblings.iter().zip([&why, &error("as the others send")]) {
            let link = next(reach);
            reach.found(link, || unreachable!());
            reach.lost(link, error);
            assert_eq!(health(reach).1.as_ref(), Some(&why));
            reach.lost(link, &why);
        }
        assert_eq!(away(&siblings[0]), 2);
        for reach in &siblings {
            assert_ne!(health(reach).0, BackendLink::Live);
            reach.found(next(reach), String::new);
            reach.found(reach.last(), || unreachable!());
        }
        assert_eq!(away(&siblings[0]), 0);
        assert_eq!(health(&siblings[0]), (BackendLink::Live, None));
    }
}
