//! How a hub ends.

use super::Hub;

impl Hub {
    /// Asks every client to connect elsewhere; their connections close after a grace.
    pub fn drain(&self) {
        self.inner.shards.drain();
    }

    /// Stops the hub: streams end, connections close.
    pub fn stop(&self) {
        self.inner.shards.stop();
    }

    /// Returns once the hub has stopped and let go of its backend, which takes 2 s at most after [`Hub::stop`].
    pub async fn stopped(&self) {
        let mut ending = self.inner.ending.clone();
        while ending.changed().await.is_ok() {}
    }
}
