//! What the endpoints share: the hub, the number of open event streams, and the counts of errors.

use axum::extract::FromRef;

use super::errors::ErrorCounts;
use crate::Hub;
use crate::event_stream::OpenStreams;

/// The state of the endpoints.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) hub: Hub,
    pub(super) event_streams: OpenStreams,
    pub(super) errors: ErrorCounts,
}

impl Served {
    pub(super) fn new(hub: Hub) -> Self {
        Self {
            hub,
            event_streams: OpenStreams::default(),
            errors: ErrorCounts::default(),
        }
    }
}

impl FromRef<Served> for Hub {
    fn from_ref(served: &Served) -> Self {
        served.hub.clone()
    }
}
