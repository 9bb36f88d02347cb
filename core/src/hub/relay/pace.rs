//! Flow control, pushed up: where all subscribers of a pattern want the same flow, the uplink carries it out, and nothing waits a
//! second time here; where they differ, the uplink is asked for the finest that serves all, and each has a gate of its own.
//!
//! A throttle is kept here in any case: the uplink's window begins anew with each connection, and with each change of
//! what the others want.
//!
//! # What it costs a subscriber that others want something finer
//! - Where the uplink is asked for every publication, nothing: its gate is here instead of there.
//! - Where the uplink throttles, its gate is fed by another ([`Gate::handle_feed`]). Alone, a throttled subscriber has whatever
//!   is published, or something newer, one window of its own later, at the latest. With others it may be one window of the
//!   uplink's more, and what a gate waits for its feed. While publications keep coming and its window is made of
//!   whole windows of the uplink's, which [`Flow::finest`] sees to where it costs little, it gets the same at the same times as alone.
//! - What is collected is complete, and so is what is added up. A batch that is full, and leaves early, opens a window amid one of the uplink's: what
//!   comes in it may be half of one of those later still.
//!
//! [`Gate::handle_feed`]: crate::gate::Gate::handle_feed

use core::time::Duration;

use alloc::vec::Vec;

use super::{Above, Interest, Relay};
use crate::flow::{Flow, Pace};
use crate::payload::Payload;
use crate::time::Instant;
use crate::topic::Pattern;

impl<P: Payload> Relay<P> {
    /// Asks the uplink for the finest flow, and gives a gate to each subscriber for whom that is too fine.
    pub(super) fn aggregate(&mut self, now: Instant, pattern: &Pattern) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        let flows = route.subscribers.iter().map(|(_, own)| own.flow);
        let mut flows: Vec<Flow> = flows.collect();
        if route.is_rewinding {
            // Who waits to start must be sent what was published, not what was made of it.
            flows.push(Flow::IMMEDIATE);
        }
        let Some(finest) = Flow::finest(&flows) else {
            return;
        };
        if route.upstream != finest {
            route.set_upstream(finest);
            self.interest.push_back(Interest::Reflow {
                pattern: pattern.clone(),
                flow: finest,
            });
        }
        let Some(route) = self.routes.get(pattern) else {
            return;
        };
        for (id, own) in &route.subscribers {
            let (here, feed) = self.here(own.flow, finest);
            self.subscribers.set_fed_flow(now, *id, here, feed);
        }
        self.aggregate_slow(pattern);
    }

    /// What is left to do here for a subscriber of flow `own` while the uplink carries `upstream` out, and the window of the throttle
    /// that feeds it.
    pub(super) fn here(&self, own: Flow, upstream: Flow) -> (Flow, Option<Duration>) {
        let is_served = own.emits_like(&upstream);
        match (self.above, upstream.pace) {
            (Above::Own, _) if is_served => (after_itself(own), None),
            (Above::Own | Above::Shared, Pace::Throttle { every, .. }) if !is_served => {
                (own, Some(every))
            }
            (Above::Own | Above::Shared | Above::OtherClock, _) => (own, None),
        }
    }
}

/// What is left to do of a flow that the uplink carries out.
///
/// A throttle keeps its distance here, too, but delays nothing: its leading edge is on, so what comes at its pace
/// passes.
fn after_itself(own: Flow) -> Flow {
    match own.pace {
        Pace::Throttle { every, .. } if own.conflates() => {
            Flow::throttle(every).with_conflate(own.conflate)
        }
        Pace::Immediate | Pace::Throttle { .. } | Pace::Debounce { .. } => Flow::IMMEDIATE,
    }
}
