//! The way of progress trackers through a hub.

use tidegate_core::topic::Topic;

use super::Hub;
use crate::error::Stopped;
use crate::shard::CommandSender;

impl Hub {
    /// The shard that what is said of a piece of work goes through.
    pub(crate) fn shard_of(&self, work: &Topic) -> Result<&CommandSender, Stopped> {
        self.inner.shards.of(work)
    }

    /// Whether there may be other hubs that know of what happens here: at a backend, if it can broadcast.
    pub(crate) fn has_others(&self) -> bool {
        self.inner.has_others
    }
}
