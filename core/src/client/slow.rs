//! What becomes of a subscription's publications while the connection is behind.

use super::Client;
use crate::flow::Slow;
use crate::payload::Payload;
use crate::topic::Pattern;

impl<P: Payload + Clone> Client<P> {
    /// Changes what becomes of a subscription's publications while the connection is behind. A server takes that with a
    /// subscription only, so another one takes this one's place, and goes on after what was seen.
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
