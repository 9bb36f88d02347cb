//! A client that another one takes the place of: what that is to go on with.

use alloc::vec::Vec;

use super::Client;
use crate::payload::Payload;
use crate::protocol::TopicPosition;
use crate::topic::Pattern;

impl<P: Payload + Clone> Client<P> {
    /// After which positions another client goes on with a subscription; `None`, where the server has not confirmed it to this one: it
    /// starts as it would have here.
    pub fn resumes_after(&self, pattern: &Pattern) -> Option<Vec<TopicPosition>> {
        self.subscriptions.get(pattern)?.resumes_after(pattern)
    }

    /// The publishes that are not answered, by their numbers, each with its idempotency key: whoever repeats one by that publishes it
    /// once.
    pub fn unanswered_keys(&self) -> impl Iterator<Item = (u64, &str)> {
        self.requests.keys()
    }
}
