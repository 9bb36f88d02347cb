//! How a backend reports to its hub.

use std::fmt;
use std::sync::Arc;

use super::BackendError;
use crate::hub::Publication;

/// What a backend reports without being asked.
#[derive(Clone, Debug)]
pub enum FeedEvent {
    /// A publication of a followed topic.
    Publication(Publication),
    /// Publications may have been missed, although the link is open.
    Missed,
    /// A message of [`Backend::broadcast`](super::Backend::broadcast), from here or elsewhere.
    Broadcast(String),
    /// Reports that the link is lost.
    Lost(BackendError),
}

/// Takes what a backend receives to its hub. Clones lead to the same hub.
#[derive(Clone)]
pub struct Feed {
    sink: Arc<dyn Fn(FeedEvent) + Send + Sync>,
}

impl Feed {
    /// A feed that passes everything to `sink`, which must not block.
    pub fn new(sink: impl Fn(FeedEvent) + Send + Sync + 'static) -> Self {
        Self {
            sink: Arc::new(sink),
        }
    }

    /// Passes on an event of another feed.
    pub(crate) fn pass_on(&self, event: FeedEvent) {
        (self.sink)(event);
    }

    /// Reports a publication. This never blocks: what arrives too fast is dropped, and read again.
    pub fn publication(&self, publication: Publication) {
        (self.sink)(FeedEvent::Publication(publication));
    }

    /// Reports that something may have been missed: what is followed is then compared with what the backend has.
    pub fn missed(&self) {
        (self.sink)(FeedEvent::Missed);
    }

    /// Reports a broadcast message.
    pub fn broadcast(&self, message: String) {
        (self.sink)(FeedEvent::Broadcast(message));
    }

    /// Reports that the link is lost.
    pub fn lost(&self, error: BackendError) {
        (self.sink)(FeedEvent::Lost(error));
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}
