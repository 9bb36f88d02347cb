//! Subscriptions below a client that say what becomes of their publications while the connection is behind.

use super::ClientHub;
use crate::flow::{Flow, Slow};
use crate::hub::SubscribeError;
use crate::hub::due::{DownlinkId, SubscriptionId};
use crate::payload::Payload;
use crate::protocol::Start;
use crate::time::Instant;
use crate::topic::Pattern;

impl<P: Payload + Clone> ClientHub<P> {
    /// Subscribes as [`ClientHub::handle_subscribe`] does, and says what becomes of its publications while the connection is
    /// behind, if anything but what the flow says. Where the client has other subscriptions with this pattern, the server is asked for what loses least: see
    /// [`Slow`].
    ///
    /// # Errors
    /// When the flow is out of range, or the client has a durable subscription with this pattern.
    pub fn handle_subscribe_slow(
        &mut self,
        now: Instant,
        downlink: DownlinkId,
        pattern: &Pattern,
        flow: Flow,
        start: Start,
        slow: Option<Slow>,
    ) -> Result<SubscriptionId, SubscribeError> {
        if slow.is_some() && self.is_durable(pattern) {
            return Err(SubscribeError::SlowDurable);
        }
        self.changes += 1;
        let id = self
            .relay
            .handle_subscribe_slow(now, downlink, pattern, flow, start, slow)?;
        self.drain(now);
        Ok(id)
    }
}
