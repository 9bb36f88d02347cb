//! Changing what happens to a subscription's publications while the connection is slow.

use super::Client;
use crate::flow::Slow;
use crate::payload::Payload;
use crate::topic::Pattern;

impl<P: Payload + Clone> Client<P> {
    /// Changes the policy of a subscription for a slow connection. The protocol only allows that when subscribing, so
    /// the subscription is replaced by another that continues after what was seen.
    pub fn handle_slow(&mut self, pattern: &Pattern, slow: Option<Slow>) {
        let Some(subscription) = self.subscriptions.get_mut(pattern) else {
            return;
        };
        subscription.set_slow(slow);
        if self.may_ask() {
            self.resume(pattern);
        }
    }
}
