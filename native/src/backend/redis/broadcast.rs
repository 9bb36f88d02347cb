//! Broadcasts to all that have the backend open, by pub/sub alone: a process that is not listening at that moment never gets them.

use super::call::Call;
use super::layout::Layout;
use super::link::Link;
use crate::backend::BackendError;

impl Link {
    pub(super) async fn broadcast(&self, message: &str) -> Result<(), BackendError> {
        let layout = &self.shared.layout;
        let mut cmd = redis::cmd(layout.announce());
        cmd.arg(layout.broadcast()).arg(message);
        let call = Call::Plain(cmd);
        let value = self
            .run(Layout::broadcast_partition(), &[call])
            .await?
            .pop();
        self.value(value).map(drop)
    }

    /// Passes on a broadcast. If it is not text, it is not one of ours.
    pub(super) fn handle_broadcast(&self, message: &[u8]) {
        if let Ok(message) = std::str::from_utf8(message) {
            self.with_feed(|feed| feed.broadcast(message.to_owned()));
        }
    }
}
