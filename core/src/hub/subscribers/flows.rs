//! What only a relay's gates need: they are fed by another gate upstream, which changes with the other subscribers'
//! flows.

use core::time::Duration;

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Gates, Subscribers, SubscriptionId};
use crate::flow::Flow;
use crate::gate::Emission;
use crate::payload::Payload;
use crate::publication::Publication;
use crate::time::Instant;

impl<P: Payload, T> Subscribers<P, T> {
    /// Changes a subscription's flow; pending values stay pending or become due.
    pub(crate) fn set_flow(&mut self, now: Instant, id: SubscriptionId, flow: Flow) {
        self.set_fed_flow(now, id, flow, None);
    }

    /// Changes a subscription's flow, and sets the window of the throttle that feeds its gates, if one does.
    pub(crate) fn set_fed_flow(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        flow: Flow,
        feed: Option<Duration>,
    ) {
        if self.find(id).is_none() {
            return;
        }
        let subscription = &mut self.subscriptions[id.index as usize];
        subscription.flow = super::KeptFlow::from(flow).with_feed(feed);
        let gates: Vec<u32> = match subscription.gates {
            Gates::None => Vec::new(),
            Gates::One(gate) => Vec::from([gate]),
            Gates::Wide(wide) => {
                let gates = self.wide[wide as usize].gates.values();
                gates.copied().collect()
            }
        };
        for gate in gates {
            let machine = self.awake(gate);
            if flow.is_immediate() {
                // It would be emitted at once anyway, but as a single value, and nothing of a batch may be lost.
                machine.handle_flush(now);
            }
            machine.handle_flow(now, flow);
            machine.handle_feed(now, feed);
            self.drain_gate(gate);
        }
    }

    /// Emits everything that the gates hold back, at once.
    pub(crate) fn flush(&mut self, now: Instant) {
        let gates: Vec<usize> = self.gates.iter().map(|(gate, _)| gate).collect();
        for gate in gates.into_iter().map(super::index_of) {
            self.awake(gate).handle_flush(now);
            self.drain_gate(gate);
        }
    }

    /// Returns whether the subscription with `index` is paced by a gate here.
    pub(crate) fn is_gated(&self, index: u32) -> bool {
        !self.subscriptions[index as usize].flow.is_immediate()
    }

    /// Hands on a batch from the uplink: unchanged, if the uplink collected for this subscription alone.
    pub(crate) fn deliver_batch(
        &mut self,
        now: Instant,
        index: u32,
        items: &[Arc<Publication<P>>],
    ) {
        let Some(first) = items.first() else { return };
        let is_one_emission =
            |item: &Arc<Publication<P>>| item.topic == first.topic && !item.is_terminal();
        if !self.is_gated(index) {
            self.push_emission(index, Emission::Batch(items.to_vec()));
        } else if items.iter().all(is_one_emission) {
            let gate = self.gate_for(index, &first.topic);
            self.awake(gate).handle_batch(now, items.to_vec());
            self.drain_gate(gate);
        } else {
            for item in items {
                self.deliver(now, index, item);
            }
        }
    }
}
