//! What progress trackers need from a hub.

use tidegate_core::topic::Topic;

use super::Hub;
use crate::error::Stopped;
use crate::shard::CommandSender;

impl Hub {
    /// The shard through which messages about a piece of work pass.
    pub(crate) fn shard_of(&self, work: &Topic) -> Result<&CommandSender, Stopped> {
        self.inner.shards.of(work)
    }

    /// Whether other hubs may learn of what happens here: those at the same backend, if it can broadcast.
    pub(crate) fn has_others(&self) -> bool {
        self.inner.has_others
    }
}
