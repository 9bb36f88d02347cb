//! Subscriptions that are paced by the frames of a screen.
//!
//! They have a hub of their own below the one with the topics: a relay whose clock ticks once per frame, so that a
//! throttle lets one emission through per tick. The host ticks when a frame is drawn, but only while ticks are wanted:
//! while no window is open, the clock may stand still, because the next emission opens one and asks for a tick.

use core::num::NonZeroU32;
use core::time::Duration;

use alloc::vec::Vec;

use tidegate_core::flow::{Conflate, Flow, FlowError, Pace};
use tidegate_core::gate::Emission;
use tidegate_core::hub::{Due, Interest, Relay, RelayDue, SubscribeError, SubscriptionId};
use tidegate_core::protocol::SubscribeRequest;
use tidegate_core::time::Instant;
use tidegate_core::topic::Pattern;

use crate::above::Above;
use crate::slot::Handle;
use crate::spec::FRAME_MS;

/// The downlink of the hub above that serves all these subscriptions.
pub(crate) const DOWNLINK: u32 = 1;

/// The relay, and the subscriptions above that it follows.
#[derive(Debug)]
pub(crate) struct Screen {
    relay: Relay<Handle>,
    /// The current frame, on the relay's clock.
    frame: Instant,
    /// The subscriptions above, by the indices of their ids.
    followed: Vec<Option<(SubscriptionId, Pattern)>>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self {
            relay: Relay::on_other_clock(),
            frame: Instant::ZERO,
            followed: Vec::new(),
        }
    }

    /// Subscribes with a flow whose times are frames.
    pub(crate) fn handle_subscribe(
        &mut self,
        request: SubscribeRequest,
    ) -> Result<SubscriptionId, SubscribeError> {
        self.relay.handle_subscribe(self.frame, DOWNLINK, request)
    }

    /// Ends a subscription.
    pub(crate) fn handle_unsubscribe(&mut self, id: SubscriptionId) {
        self.relay.handle_unsubscribe(self.frame, id);
    }

    /// Changes a subscription's flow.
    pub(crate) fn handle_flow(&mut self, id: SubscriptionId, flow: Flow) -> Result<(), FlowError> {
        self.relay.handle_flow(self.frame, id, flow)
    }

    /// A frame is drawn.
    pub(crate) fn handle_tick(&mut self) {
        self.frame = self.frame + Duration::from_millis(FRAME_MS);
        self.relay.handle_timeout(self.frame);
    }

    /// Delivers everything that waits for the next frame.
    pub(crate) fn handle_flush(&mut self) {
        self.relay.handle_flush(self.frame);
    }

    /// The subscription above that feeds one of these.
    pub(crate) fn above(&self, id: SubscriptionId) -> Option<SubscriptionId> {
        self.id_of(self.relay.pattern_of(id)?)
    }

    /// Whether [`Self::handle_tick`] is to be called with the next frame.
    pub(crate) fn wants_tick(&self) -> bool {
        self.relay.poll_timeout().is_some()
    }

    /// Whether there is any subscription.
    pub(crate) fn is_used(&self) -> bool {
        self.followed.iter().any(Option::is_some)
    }

    /// The hub above has something due to [`DOWNLINK`].
    pub(crate) fn handle_due(&mut self, due: Due<Handle>) {
        match due {
            Due::Deliver { delivery, .. } => {
                let Some((_, pattern)) = self.followed(delivery.subscription) else {
                    return;
                };
                match delivery.emission {
                    Emission::One(publication) => {
                        self.relay
                            .handle_publication(self.frame, &pattern, &publication);
                    }
                    Emission::Batch(items) => self.relay.handle_batch(self.frame, &pattern, &items),
                }
            }
            Due::Reset {
                subscription,
                topic,
                position,
                ..
            } => {
                if let Some((_, pattern)) = self.followed(subscription) {
                    self.relay
                        .handle_reset(self.frame, &pattern, &topic, position);
                }
            }
            Due::End {
                subscription,
                reason,
                ..
            } => {
                if let Some((_, pattern)) = self.forget(subscription) {
                    self.relay.handle_end(&pattern, reason);
                }
            }
            Due::Lagged {
                subscription,
                missed,
                ..
            } => {
                if let Some((_, pattern)) = self.followed(subscription) {
                    self.relay.handle_lagged(&pattern, missed);
                }
            }
            Due::Refused {
                subscription,
                error,
                ..
            } => {
                if let Some((_, pattern)) = self.forget(subscription) {
                    self.relay.handle_refused(&pattern, &error);
                }
            }
        }
    }

    fn followed(&self, id: SubscriptionId) -> Option<(SubscriptionId, Pattern)> {
        let followed = self.followed.get(id.index() as usize)?.clone();
        followed.filter(|(known, _)| *known == id)
    }

    fn forget(&mut self, id: SubscriptionId) -> Option<(SubscriptionId, Pattern)> {
        let followed = self.followed(id)?;
        self.followed[id.index() as usize] = None;
        Some(followed)
    }

    fn id_of(&self, wanted: &Pattern) -> Option<SubscriptionId> {
        let mut followed = self.followed.iter().flatten();
        let found = followed.find(|(_, pattern)| pattern == wanted);
        found.map(|(id, _)| *id)
    }

    /// Returns what is due next for the subscribers, after passing the relay's requests to the hub above.
    pub(crate) fn poll_due(&mut self, now: Instant, above: &mut dyn Above) -> Option<Due<Handle>> {
        loop {
            match self.relay.poll_output()? {
                RelayDue::Due(due) => return Some(due),
                RelayDue::Interest(interest) => self.handle_interest(now, above, interest),
            }
        }
    }

    fn handle_interest(&mut self, now: Instant, above: &mut dyn Above, interest: Interest) {
        match interest {
            Interest::Follow(mut request) => {
                let pattern = request.pattern.clone();
                request.flow = flow_above(request.flow, above.frame_pace());
                match above.follow(now, request) {
                    Ok(id) => {
                        let index = id.index() as usize;
                        if self.followed.len() <= index {
                            self.followed.resize(index + 1, None);
                        }
                        self.followed[index] = Some((id, pattern));
                    }
                    Err(error) => self.relay.handle_refused(&pattern, &error),
                }
            }
            Interest::Reflow { pattern, flow } => {
                if let Some(id) = self.id_of(&pattern) {
                    above.reflow(now, id, flow_above(flow, above.frame_pace()));
                }
            }
            // Neither occurs: subscriptions paced by frames have no policy for slow connections, and no need to rewind,
            // because the hub above sums and merges nothing.
            Interest::Slow { .. } | Interest::Rewind { .. } => {}
            Interest::Unfollow { pattern } => {
                if let Some(id) = self.id_of(&pattern) {
                    self.forget(id);
                    above.unfollow(now, id);
                }
            }
        }
    }
}

/// The flow to ask of the hub above, which knows nothing of frames: `frame_pace` stands for one. Edges are left to the
/// gates here, and so is summing: a subscription that joins later must start with a value as it was published.
fn flow_above(flow: Flow, frame_pace: Pace) -> Flow {
    if flow.pace == Pace::Immediate || frame_pace == Pace::Immediate {
        return Flow::IMMEDIATE.with_delta(flow.delta);
    }
    let above = Flow {
        pace: frame_pace,
        ..flow
    };
    match flow.conflate {
        Conflate::Latest | Conflate::Collect { .. } => above,
        Conflate::Merge | Conflate::Sum => above.with_delta(false).with_conflate(EACH),
    }
}

/// All publications of a frame.
const EACH: Conflate = Conflate::Collect {
    max: NonZeroU32::new(1_000).unwrap(),
};
