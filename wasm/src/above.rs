//! The hub above a screen's relay: a page's local hub or its client's hub. Both run on an ordinary clock.

#[cfg(feature = "client")]
use core::time::Duration;

use tidegate_core::flow::{Flow, Pace};
#[cfg(feature = "hub")]
use tidegate_core::hub::Hub;
use tidegate_core::hub::SubscriptionId;
use tidegate_core::protocol::{SubscribeRequest, WireError};
use tidegate_core::time::Instant;

#[cfg(feature = "client")]
use crate::AnyHub;
use crate::screen::DOWNLINK;
use crate::slot::Handle;

/// A hub that [`DOWNLINK`] subscribes to.
pub(crate) trait Above {
    /// The pace to ask for where a subscription wants one update per frame.
    fn frame_pace(&self) -> Pace;
    /// Subscribes.
    fn follow(
        &mut self,
        now: Instant,
        request: SubscribeRequest,
    ) -> Result<SubscriptionId, WireError>;
    /// Changes a subscription's flow, which is within its range.
    fn reflow(&mut self, now: Instant, id: SubscriptionId, flow: Flow);
    /// Ends a subscription.
    fn unfollow(&mut self, now: Instant, id: SubscriptionId);
}

#[cfg(feature = "client")]
impl Above for AnyHub {
    /// About one frame of most screens: updates that nobody could see need not cross the network.
    fn frame_pace(&self) -> Pace {
        Pace::Throttle {
            every: Duration::from_millis(16),
            leading: true,
            trailing: true,
        }
    }

    fn follow(
        &mut self,
        now: Instant,
        request: SubscribeRequest,
    ) -> Result<SubscriptionId, WireError> {
        self.handle_subscribe(now, DOWNLINK, request)
            .map_err(|error| error.to_wire())
    }

    fn reflow(&mut self, now: Instant, id: SubscriptionId, flow: Flow) {
        self.handle_flow(now, id, flow)
            .expect("the flow that stands for a frame is within its range");
    }

    fn unfollow(&mut self, now: Instant, id: SubscriptionId) {
        self.handle_unsubscribe(now, id);
    }
}

#[cfg(feature = "hub")]
impl Above for Hub<Handle> {
    /// Within a page, asking for fewer updates saves nothing.
    fn frame_pace(&self) -> Pace {
        Pace::Immediate
    }

    fn follow(
        &mut self,
        now: Instant,
        request: SubscribeRequest,
    ) -> Result<SubscriptionId, WireError> {
        self.handle_subscribe(now, DOWNLINK, &request)
            .map(|subscribed| subscribed.id)
            .map_err(|error| error.to_wire())
    }

    fn reflow(&mut self, now: Instant, id: SubscriptionId, flow: Flow) {
        self.handle_flow(now, id, flow)
            .expect("no flow but the immediate one is asked for");
    }

    fn unfollow(&mut self, _now: Instant, id: SubscriptionId) {
        self.handle_unsubscribe(id);
    }
}
