//! How a hub's backend is, as seen from what is asked of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_core::durable::{CursorAnswer, CursorCall};
use tidegate_core::history::Excerpt;
use tidegate_core::hub::PublishError;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic};
use tokio::sync::watch;

use crate::backend::{Answer, Backend, BackendError, Feed, FeedEvent};
use crate::json::Json;

/// The link between a hub and its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendLink {
    /// It is being opened for the first time.
    Opening,
    /// It stands.
    Live,
    /// It is lost, and is opened again and again until it stands. Values may be old, and publications wait.
    Stale,
}

/// A hub's backend, and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendHealth {
    /// Which backend, and where. Never a password.
    pub name: String,
    /// How the link to it is.
    pub link: BackendLink,
    /// Why the link was lost or could not be opened, until it stands again.
    pub last_error: Option<BackendError>,
}

/// The same backend, and what can be told of its health.
pub(super) fn watched(
    backend: Arc<dyn Backend>,
) -> (Arc<dyn Backend>, watch::Receiver<BackendHealth>) {
    let (sender, health) = watch::channel(BackendHealth {
        name: backend.describe(),
        link: BackendLink::Opening,
        last_error: None,
    });
    let notes = Notes {
        health: sender,
        openings: AtomicU64::new(0),
        lost: AtomicU64::new(0),
    };
    let watched = Watched {
        backend,
        notes: Arc::new(notes),
    };
    (Arc::new(watched), health)
}

/// A backend that notes what came of each call.
struct Watched {
    backend: Arc<dyn Backend>,
    notes: Arc<Notes>,
}

struct Notes {
    health: watch::Sender<BackendHealth>,
    /// How often it was opened: what an earlier opening still has to say no longer matters.
    openings: AtomicU64,
    /// The last opening whose link is known to be lost: it may be so before its answer is looked at.
    lost: AtomicU64,
}

impl Notes {
    fn lost(&self, opening: u64, error: &BackendError) {
        if self.openings.load(Ordering::SeqCst) != opening {
            return;
        }
        self.health.send_modify(|health| {
            self.lost.store(opening, Ordering::SeqCst);
            if health.link == BackendLink::Live {
                health.link = BackendLink::Stale;
            }
            health.last_error = Some(error.clone());
        });
    }

    /// It is opened anew because the link is lost, which a call that was not answered in time did not tell.
    fn opening(&self) -> u64 {
        self.health.send_if_modified(|health| {
            let was_live = health.link == BackendLink::Live;
            if was_live {
                health.link = BackendLink::Stale;
            }
            was_live
        });
        1 + self.openings.fetch_add(1, Ordering::SeqCst)
    }

    fn live(&self, opening: u64) {
        if self.openings.load(Ordering::SeqCst) != opening {
            return;
        }
        self.health.send_if_modified(|health| {
            let stands = self.lost.load(Ordering::SeqCst) != opening;
            if stands {
                health.link = BackendLink::Live;
                health.last_error = None;
            }
            stands
        });
    }
}

impl Watched {
    /// Passes an answer on. An error means that the link is lost, but where there is merely no room, or something that can't
    /// be taken.
    fn note<'a, T: 'a>(&'a self, answer: Answer<'a, T>) -> Answer<'a, T> {
        let opening = self.notes.openings.load(Ordering::SeqCst);
        Box::pin(async move {
            let result = answer.await;
            if let Err(error) = &result
                && !matches!(
                    error,
                    BackendError::Full { .. } | BackendError::Content { .. }
                )
            {
                self.notes.lost(opening, error);
            }
            result
        })
    }
}

impl Backend for Watched {
    fn describe(&self) -> String {
        self.backend.describe()
    }

    fn open(&self, feed: Feed) -> Answer<'_, ()> {
        let opening = self.notes.opening();
        let notes = Arc::clone(&self.notes);
        let feed = Feed::new(move |event| match event {
            FeedEvent::Publication(publication) => feed.publication(publication),
            FeedEvent::Missed => feed.missed(),
            FeedEvent::Broadcast(message) => feed.broadcast(message),
            FeedEvent::Lost(error) => {
                notes.lost(opening, &error);
                feed.lost(error);
            }
        });
        Box::pin(async move {
            self.note(self.backend.open(feed)).await?;
            self.notes.live(opening);
            Ok(())
        })
    }

    fn publish<'a>(
        &'a self,
        batch: &'a [PublishRequest<Json>],
    ) -> Answer<'a, Vec<Result<Position, PublishError>>> {
        self.note(self.backend.publish(batch))
    }

    fn follow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        self.note(self.backend.follow(patterns))
    }

    fn unfollow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        self.note(self.backend.unfollow(patterns))
    }

    fn read<'a>(&'a self, topic: &'a Topic, since: Option<Position>) -> Answer<'a, Excerpt<Json>> {
        self.note(self.backend.read(topic, since))
    }

    fn list<'a>(&'a self, pattern: &'a Pattern) -> Answer<'a, Vec<Excerpt<Json>>> {
        self.note(self.backend.list(pattern))
    }

    fn renew<'a>(&'a self, topic: &'a Topic, epoch: u64) -> Answer<'a, ()> {
        self.note(self.backend.renew(topic, epoch))
    }

    fn cursors<'a>(&'a self, calls: &'a [CursorCall]) -> Answer<'a, Vec<CursorAnswer>> {
        self.note(self.backend.cursors(calls))
    }

    /// One that fails says nothing about the link: it may have been too large.
    fn broadcast<'a>(&'a self, message: &'a str) -> Answer<'a, ()> {
        self.backend.broadcast(message)
    }

    fn broadcast_bytes_max(&self) -> Option<usize> {
        self.backend.broadcast_bytes_max()
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.note(self.backend.probe())
    }

    fn migration(&self) -> Answer<'_, Option<String>> {
        self.backend.migration()
    }

    fn close(&self) -> Answer<'_, ()> {
        self.backend.close()
    }
}
