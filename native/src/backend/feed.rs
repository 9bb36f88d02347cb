//! The way from a backend to its hub.

use std::fmt;
use std::sync::Arc;

use super::BackendError;
use crate::hub::Publication;

/// What a backend tells on its own account.
#[derive(Clone, Debug)]
pub enum FeedEvent {
    /// A publication of a followed topic.
    Publication(Publication),
    /// Publications may have been missed, although the link stands.
    Missed,
    /// What [`Backend::broadcast`](super::Backend::broadcast) said, here or elsewhere.
    Broadcast(String),
    /// The link is lost; nothing is followed until it is opened anew.
    Lost(BackendError),
}

/// Where a backend puts what it hears. Clones lead to the same hub.
#[derive(Clone)]
pub struct Feed {
    sink: Arc<dyn Fn(FeedEvent) + Send + Sync>,
}

impl Feed {
    /// A feed that hands everything to `sink`, which must not block.
    pub fn new(sink: impl Fn(FeedEvent) + Send + Sync + 'static) -> Self {
        Self {
            sink: Arc::new(sink),
        }
    }

    /// Hands on what another feed was told.
    pub(crate) fn pass_on(&self, event: FeedEvent) {
        (self.sink)(event);
    }

    /// A publication was heard. Never blocks: what comes too fast to be handed on is dropped and read again.
    pub fn publication(&self, publication: Publication) {
        (self.sink)(FeedEvent::Publication(publication));
    }

    /// Something may have been missed: what is followed is compared with what the backend holds.
    pub fn missed(&self) {
        (self.sink)(FeedEvent::Missed);
    }

    /// Something that was broadcast was heard.
    pub fn broadcast(&self, message: String) {
        (self.sink)(FeedEvent::Broadcast(message));
    }

    /// The link is lost.
    pub fn lost(&self, error: BackendError) {
        (self.sink)(FeedEvent::Lost(error));
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}
