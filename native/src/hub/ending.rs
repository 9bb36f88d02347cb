//! Stopping a hub.

use super::Hub;

impl Hub {
    /// Asks every client to connect to another server. Their connections are closed after the [grace
    /// period](tidegate_core::session::SessionConfig::drain_grace).
    pub fn drain(&self) {
        self.inner.shards.drain();
    }

    /// Stops the hub: its streams end and its connections close.
    pub fn stop(&self) {
        self.inner.shards.stop();
    }

    /// Returns when the hub has stopped and closed its backend, at most 2 s after [`Hub::stop`].
    pub async fn stopped(&self) {
        let mut ending = self.inner.ending.clone();
        while ending.changed().await.is_ok() {}
    }
}
