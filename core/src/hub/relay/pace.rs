//! Flow control, pushed upstream. If all subscribers of a pattern want the same flow, the uplink applies it, and
//! nothing waits a second time here. If they differ, the uplink is asked for the finest flow that serves all, and each
//! has a gate here.
//!
//! A throttle is applied here in any case, because the uplink's window restarts with each connection, and whenever the
//! finest flow changes.
//!
//! # What it costs a subscriber if others want something finer
//! - If the uplink is asked for every publication: nothing, because its gate is here instead of there.
//! - If the uplink throttles, the gate here is fed by another ([`Gate::handle_feed`]). Alone, a throttled subscriber
//!   gets each publication, or a newer one, at most one window of its own later. Beside others, it may take one window
//!   of the uplink longer, plus the time that a gate waits for its feed. While publications keep arriving and its
//!   window is a multiple of the uplink's, which [`Flow::finest`] ensures where that is cheap, it gets the same
//!   publications at the same times as alone.
//! - Nothing is missing from batches and sums. But a full batch, which leaves early, opens a window in the middle of
//!   one of the uplink's; what arrives in it may be delayed by another half of the uplink's window.
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
    /// Asks the uplink for the finest flow, and gives a gate to each subscriber that needs a coarser one.
    pub(super) fn aggregate(&mut self, now: Instant, pattern: &Pattern) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        let flows = route.subscribers.iter().map(|(_, own)| own.flow);
        let mut flows: Vec<Flow> = flows.collect();
        if route.is_rewinding {
            // Waiting newcomers must be sent what was published, not something combined from it.
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

    /// The flow to apply here to a subscriber of flow `own` while the uplink applies `upstream`, and the window of the
    /// throttle that feeds it, if one does.
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

/// What remains to be applied here of a flow that the uplink applies.
///
/// A throttle keeps its distance here, too, but delays nothing: its leading edge is on, so publications that arrive at
/// its pace pass at once.
fn after_itself(own: Flow) -> Flow {
    match own.pace {
        Pace::Throttle { every, .. } if own.conflates() => {
            Flow::throttle(every).with_conflate(own.conflate)
        }
        Pace::Immediate | Pace::Throttle { .. } | Pace::Debounce { .. } => Flow::IMMEDIATE,
    }
}
