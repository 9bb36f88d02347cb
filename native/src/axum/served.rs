//! What the endpoints share: the hub, and how many event streams are open.

use axum::extract::FromRef;

use crate::Hub;
use crate::event_stream::OpenStreams;

/// The state of the endpoints.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) hub: Hub,
    pub(super) event_streams: OpenStreams,
}

impl Served {
    pub(super) fn new(hub: Hub) -> Self {
        let event_streams = OpenStreams::default();
        Self { hub, event_streams }
    }
}

impl FromRef<Served> for Hub {
    fn from_ref(served: &Served) -> Self {
        served.hub.clone()
    }
}
