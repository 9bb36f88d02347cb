//! What another client needs to replace this one.

use alloc::vec::Vec;

use super::Client;
use crate::payload::Payload;
use crate::protocol::TopicPosition;
use crate::topic::Pattern;

impl<P: Payload + Clone> Client<P> {
    /// The positions after which another client continues a subscription. `None` if the server has never confirmed it,
    /// so that it starts as it would have here.
    pub fn resumes_after(&self, pattern: &Pattern) -> Option<Vec<TopicPosition>> {
        self.subscriptions.get(pattern)?.resumes_after(pattern)
    }

    /// The unanswered publishes: their numbers and idempotency keys. Repeated with the same key, each still takes
    /// effect only once.
    pub fn unanswered_keys(&self) -> impl Iterator<Item = (u64, &str)> {
        self.requests.keys()
    }
}
