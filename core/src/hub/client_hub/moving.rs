//! Replacing a hub by another, because the connection is now reached in another way, without its subscribers noticing.

use alloc::vec::Vec;

use super::ClientHub;
use crate::hub::due::SubscriptionId;
use crate::hub::relay::Whereabouts;
use crate::payload::Payload;
use crate::protocol::TopicPosition;
use crate::time::Instant;

impl<P: Payload + Clone> ClientHub<P> {
    /// Another hub is about to replace this one: emits what is held back, because nothing is emitted after this.
    pub fn handle_flush(&mut self, now: Instant) {
        self.relay.handle_flush(now);
        self.drain(now);
    }

    /// The positions after which a subscription continues in another hub, once this one was flushed. `None` if it
    /// should start as it did here: it has not begun, or it is durable and the server keeps its cursor.
    pub fn resumes_after(&self, id: SubscriptionId) -> Option<Vec<TopicPosition>> {
        if self.durable_pattern(id).is_some() {
            return None;
        }
        match self.relay.whereabouts(id) {
            Whereabouts::With(pattern) => self.client.resumes_after(pattern),
            Whereabouts::After(positions) => Some(positions),
            Whereabouts::AtStart => None,
        }
    }

    /// The publishes that are unanswered, with the idempotency keys to repeat them with:
    /// [`Client::unanswered_keys`](crate::client::Client::unanswered_keys).
    pub fn unanswered_keys(&self) -> impl Iterator<Item = (u64, &str)> {
        self.client.unanswered_keys()
    }
}
