//! From a publication to what is due to a subscription.

use alloc::sync::Arc;

use super::{Subscribers, Subscription};
use crate::flow::Conflate;
use crate::gate::Emission;
use crate::hub::{DownlinkId, Due, SubscriptionId};
use crate::outbox::{Delivery, Run, RunDelivery};
use crate::payload::Payload;
use crate::publication::Publication;
use crate::time::Instant;
use crate::topic::Pattern;

impl<P: Payload, T> Subscribers<P, T> {
    /// Hands a publication to the subscription with `index`, through a gate if it has a pace. Returns that gate.
    pub(crate) fn deliver(
        &mut self,
        now: Instant,
        index: u32,
        publication: &Arc<Publication<P>>,
    ) -> Option<u32> {
        let subscription = &self.subscriptions[index as usize];
        if publication.is_terminal() {
            self.deliver_terminal(now, index, publication);
            return None;
        }
        if subscription.flow.is_immediate() {
            let emission = Emission::One(Arc::clone(publication));
            let via = self.via(subscription);
            self.due
                .push_back(subscription.due(index, via, None, emission));
            return None;
        }
        let gate = self.gate_for(index, &publication.topic);
        self.awake(gate).handle_value(now, Arc::clone(publication));
        self.drain_gate(gate);
        Some(gate)
    }

    /// Hands publications that arrived together to the subscription with `index`. Returns the gate that the last of
    /// them went through, if any.
    pub(crate) fn deliver_run(
        &mut self,
        now: Instant,
        index: u32,
        run: &Arc<Run<P>>,
    ) -> Option<u32> {
        let subscription = &self.subscriptions[index as usize];
        if subscription.flow.is_immediate() {
            let id = self.id(index);
            let delivery = RunDelivery::new(id, self.via(subscription), Arc::clone(run));
            self.due.push_run(subscription.downlink, delivery);
            return None;
        }
        let publications = run.publications().iter();
        let gates = publications.map(|publication| self.deliver(now, index, publication));
        gates.last().flatten()
    }

    fn deliver_terminal(&mut self, now: Instant, index: u32, publication: &Arc<Publication<P>>) {
        match self.known_gate(index, &publication.topic) {
            Some(gate) => {
                self.awake(gate)
                    .handle_terminal(now, Arc::clone(publication));
                self.drain_gate(gate);
            }
            None => self.push_emission(index, Emission::One(Arc::clone(publication))),
        }
    }

    /// The downlink and id of the subscription with `index`, if it has no pace.
    pub(crate) fn immediate(&self, index: u32) -> Option<(DownlinkId, SubscriptionId)> {
        let subscription = &self.subscriptions[index as usize];
        let generation = subscription.generation;
        let id = SubscriptionId { index, generation };
        let is_immediate = subscription.flow.is_immediate();
        is_immediate.then_some((subscription.downlink, id))
    }

    pub(super) fn push_emission(&mut self, index: u32, emission: Emission<Arc<Publication<P>>>) {
        let subscription = &self.subscriptions[index as usize];
        let flow = subscription.flow.get();
        let conflate = flow.conflates().then_some(flow.conflate);
        let via = self.via(subscription);
        self.due
            .push_back(subscription.due(index, via, conflate, emission));
    }
}

impl<T> Subscription<T> {
    fn due<P>(
        &self,
        index: u32,
        via: Option<Pattern>,
        conflate: Option<Conflate>,
        emission: Emission<Arc<Publication<P>>>,
    ) -> Due<P> {
        Due::Deliver {
            downlink: self.downlink,
            delivery: Delivery {
                subscription: SubscriptionId {
                    index,
                    generation: self.generation,
                },
                via,
                conflate,
                emission,
            },
        }
    }
}
