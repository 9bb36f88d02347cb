//! A hub that another one takes the place of, because its connection is to be had in another way: nobody below it may notice.

use alloc::vec::Vec;

use super::ClientHub;
use crate::hub::due::SubscriptionId;
use crate::hub::relay::Whereabouts;
use crate::payload::Payload;
use crate::protocol::TopicPosition;
use crate::time::Instant;

impl<P: Payload + Clone> ClientHub<P> {
    /// Another hub is to take this one's place: what is held back is handed over, as nothing will be after this.
    pub fn handle_flush(&mut self, now: Instant) {
        self.relay.handle_flush(now);
        self.drain(now);
    }

    /// After which positions a subscription goes on in another hub, once this one was flushed; `None`, where it starts as it did here: because
    /// it has not begun, or because the server remembers for it what was dealt with.
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

    /// The publishes that are not answered, with the keys to repeat them by: [`Client::unanswered_keys`](crate::client::Client::unanswered_keys).
    pub fn unanswered_keys(&self) -> impl Iterator<Item = (u64, &str)> {
        self.client.unanswered_keys()
    }
}
