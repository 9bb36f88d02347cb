//! What the endpoints share: the hub, and how many event streams are open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::FromRef;

use crate::Hub;

/// The state of the endpoints.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) hub: Hub,
    pub(super) event_streams: EventStreams,
}

impl Served {
    pub(super) fn new(hub: Hub) -> Self {
        let event_streams = EventStreams::default();
        Self { hub, event_streams }
    }
}

impl FromRef<Served> for Hub {
    fn from_ref(served: &Served) -> Self {
        served.hub.clone()
    }
}

/// Counts the open responses of `GET /events`.
#[derive(Clone, Default)]
pub(super) struct EventStreams(Arc<AtomicUsize>);

impl EventStreams {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one until it is dropped.
    pub(super) fn open(&self) -> OpenStream {
        self.0.fetch_add(1, Ordering::Relaxed);
        OpenStream(Arc::clone(&self.0))
    }
}

/// One that is counted.
pub(super) struct OpenStream(Arc<AtomicUsize>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
