//! The subscriptions of a hub: each with its gates, all their deadlines, and what is due to them.
//!
//! Both kinds of hub stand on this: the one that owns its topics and the one that follows an uplink.

mod rest;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use slab::Slab;

use super::due::{DownlinkId, Due, SubscriptionId};
use crate::flow::Flow;
use crate::gate::{Emission, Gate};
use crate::lifecycle::EndReason;
use crate::ordered::OrderedMap;
use crate::outbox::Delivery;
use crate::payload::Payload;
use crate::protocol::WireError;
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::timer::Timers;
use crate::topic::{Pattern, Topic};
use rest::{Passed, Resting};

/// The table of subscriptions. `T` is what the hub must remember of each.
#[derive(Debug)]
pub(crate) struct Subscribers<P, T> {
    subscriptions: Slab<Subscription<T>>,
    gates: Slab<GateSlot<P>>,
    timers: Timers,
    due: VecDeque<Due<P>>,
    generation: u32,
    /// What gates that rest were spared, by the indexes of routes.
    passed: Vec<Passed<P>>,
    /// The latest time at which something happened.
    latest: Instant,
}

#[derive(Debug)]
struct Subscription<T> {
    generation: u32,
    downlink: DownlinkId,
    pattern: Pattern,
    has_wildcards: bool,
    flow: Flow,
    gates: Gates,
    tag: T,
}

/// The gates of a subscription, made when a publication first needs one and dropped when they idle.
#[derive(Debug)]
enum Gates {
    None,
    One(u32),
    PerTopic(Box<OrderedMap<Topic, u32>>),
}

#[derive(Debug)]
struct GateSlot<P> {
    gate: Gate<Arc<Publication<P>>>,
    subscription: u32,
    topic: Topic,
    /// Set while the gate rests.
    resting: Option<Resting>,
}

impl<P: Payload, T> Subscribers<P, T> {
    pub(crate) fn new() -> Self {
        Self {
            subscriptions: Slab::new(),
            gates: Slab::new(),
            timers: Timers::new(),
            due: VecDeque::new(),
            generation: 0,
            passed: Vec::new(),
            latest: Instant::ZERO,
        }
    }

    /// Adds a subscription; the tag is made with its index, which it may have to know.
    pub(crate) fn add(
        &mut self,
        downlink: DownlinkId,
        pattern: &Pattern,
        flow: Flow,
        tag: impl FnOnce(u32) -> T,
    ) -> SubscriptionId {
        self.generation = self.generation.wrapping_add(1);
        let entry = self.subscriptions.vacant_entry();
        let index = index_of(entry.key());
        entry.insert(Subscription {
            generation: self.generation,
            downlink,
            pattern: pattern.clone(),
            has_wildcards: pattern.exact().is_none(),
            flow,
            gates: Gates::None,
            tag: tag(index),
        });
        SubscriptionId {
            index,
            generation: self.generation,
        }
    }

    /// Removes a subscription and its gates, with what is pending in them.
    pub(crate) fn remove(&mut self, id: SubscriptionId) -> Option<(Pattern, T)> {
        self.find(id)?;
        let subscription = self.subscriptions.remove(id.index as usize);
        match subscription.gates {
            Gates::None => {}
            Gates::One(gate) => self.drop_gate(gate),
            Gates::PerTopic(gates) => gates.values().for_each(|gate| self.drop_gate(*gate)),
        }
        Some((subscription.pattern, subscription.tag))
    }

    fn drop_gate(&mut self, gate: u32) {
        self.timers.disarm(gate);
        self.gates.remove(gate as usize);
    }

    fn find(&self, id: SubscriptionId) -> Option<&Subscription<T>> {
        self.subscriptions
            .get(id.index as usize)
            .filter(|subscription| subscription.generation == id.generation)
    }

    /// The pattern of a subscription.
    pub(crate) fn pattern(&self, id: SubscriptionId) -> Option<&Pattern> {
        self.find(id).map(|subscription| &subscription.pattern)
    }

    /// The full id of the subscription that has `index` now.
    pub(crate) fn id(&self, index: u32) -> SubscriptionId {
        SubscriptionId {
            index,
            generation: self.subscriptions[index as usize].generation,
        }
    }

    /// How many subscriptions there are.
    pub(crate) fn len(&self) -> usize {
        self.subscriptions.len()
    }

    /// How many gates there are: subscriptions that hold something back, or are within a window.
    pub(crate) fn gates(&self) -> usize {
        self.gates.len()
    }

    /// Hands a publication to the subscription with `index`, through its gate where it has a pace; says through which.
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
            self.push_one(index, Arc::clone(publication));
            return None;
        }
        let gate = self.gate_for(index, &publication.topic);
        self.awake(gate).handle_value(now, Arc::clone(publication));
        self.drain_gate(gate);
        Some(gate)
    }

    fn deliver_terminal(&mut self, now: Instant, index: u32, publication: &Arc<Publication<P>>) {
        match self.known_gate(index, &publication.topic) {
            Some(gate) => {
                self.awake(gate)
                    .handle_terminal(now, Arc::clone(publication));
                self.drain_gate(gate);
                self.forget_gate(gate);
            }
            None => self.push_one(index, Arc::clone(publication)),
        }
    }

    /// Hands over what a client received as one batch: its gate, upstream, has collected it already.
    pub(crate) fn deliver_batch(&mut self, index: u32, items: Vec<Arc<Publication<P>>>) {
        self.push_emission(index, Emission::Batch(items));
    }

    /// Whether the subscription with `index` is paced by its own gate here.
    pub(crate) fn is_gated(&self, index: u32) -> bool {
        !self.subscriptions[index as usize].flow.is_immediate()
    }

    /// Tells the subscription with `index` that what it missed of `topic` is lost. What is pending goes first:
    /// it must not be combined with what follows.
    pub(crate) fn reset(&mut self, now: Instant, index: u32, topic: &Topic, position: Position) {
        if let Some(gate) = self.known_gate(index, topic) {
            self.awake(gate).handle_flush(now);
            self.drain_gate(gate);
        }
        let subscription = &self.subscriptions[index as usize];
        self.due.push_back(Due::Reset {
            downlink: subscription.downlink,
            subscription: self.id(index),
            topic: topic.clone(),
            position,
            via: subscription.via(),
        });
    }

    /// Ends a subscription with its topic. Its terminal publication was delivered before.
    pub(crate) fn end(&mut self, id: SubscriptionId, reason: EndReason) -> Option<T> {
        let downlink = self.find(id)?.downlink;
        let (pattern, tag) = self.remove(id)?;
        self.due.push_back(Due::End {
            downlink,
            subscription: id,
            pattern,
            reason,
        });
        Some(tag)
    }

    /// Tells the subscription with `index` that the uplink dropped publications.
    pub(crate) fn lagged(&mut self, index: u32, missed: u64) {
        let subscription = &self.subscriptions[index as usize];
        self.due.push_back(Due::Lagged {
            downlink: subscription.downlink,
            subscription: self.id(index),
            pattern: subscription.pattern.clone(),
            missed,
        });
    }

    /// Ends a subscription that the uplink refused.
    pub(crate) fn refuse(&mut self, id: SubscriptionId, error: WireError) {
        let Some(downlink) = self.find(id).map(|subscription| subscription.downlink) else {
            return;
        };
        self.remove(id);
        self.due.push_back(Due::Refused {
            downlink,
            subscription: id,
            error,
        });
    }

    /// Changes a subscription's flow; what is pending stays pending or becomes due.
    pub(crate) fn set_flow(&mut self, now: Instant, id: SubscriptionId, flow: Flow) -> bool {
        if self.find(id).is_none() {
            return false;
        }
        let subscription = &mut self.subscriptions[id.index as usize];
        subscription.flow = flow;
        let gates: Vec<u32> = match &subscription.gates {
            Gates::None => Vec::new(),
            Gates::One(gate) => Vec::from([*gate]),
            Gates::PerTopic(gates) => gates.values().copied().collect(),
        };
        for gate in gates {
            let machine = self.awake(gate);
            if flow.is_immediate() {
                // It would leave at once anyway, but as one value: of a batch nothing may be lost.
                machine.handle_flush(now);
            }
            machine.handle_flow(now, flow);
            self.drain_gate(gate);
        }
        true
    }

    fn known_gate(&self, index: u32, topic: &Topic) -> Option<u32> {
        match &self.subscriptions[index as usize].gates {
            Gates::None => None,
            Gates::One(gate) => Some(*gate),
            Gates::PerTopic(gates) => gates.get(topic).copied(),
        }
    }

    fn gate_for(&mut self, index: u32, topic: &Topic) -> u32 {
        if let Some(gate) = self.known_gate(index, topic) {
            return gate;
        }
        let subscription = &mut self.subscriptions[index as usize];
        let gate = index_of(self.gates.insert(GateSlot {
            gate: Gate::new(subscription.flow),
            subscription: index,
            topic: topic.clone(),
            resting: None,
        }));
        match &mut subscription.gates {
            Gates::PerTopic(gates) => {
                gates.insert(topic, gate);
            }
            gates @ (Gates::None | Gates::One(_)) if subscription.has_wildcards => {
                let mut per_topic = Box::new(OrderedMap::new());
                per_topic.insert(topic, gate);
                *gates = Gates::PerTopic(per_topic);
            }
            gates @ (Gates::None | Gates::One(_)) => *gates = Gates::One(gate),
        }
        gate
    }

    /// Takes what a gate emits, and arms its deadline or drops it where it has become idle.
    fn drain_gate(&mut self, gate: u32) {
        let slot = &mut self.gates[gate as usize];
        let index = slot.subscription;
        while let Some(emission) = self.gates[gate as usize].gate.poll_output() {
            self.push_emission(index, emission);
        }
        let slot = &self.gates[gate as usize];
        match slot.gate.poll_timeout() {
            Some(at) if self.timers.deadline(gate) == Some(at) => {}
            Some(at) => self.timers.arm(gate, at),
            None if slot.gate.is_idle() => self.forget_gate(gate),
            None => {
                self.timers.disarm(gate);
            }
        }
    }

    fn forget_gate(&mut self, gate: u32) {
        let Some(slot) = self.gates.get(gate as usize) else {
            return;
        };
        let gates = &mut self.subscriptions[slot.subscription as usize].gates;
        match gates {
            Gates::None => {}
            Gates::One(_) => *gates = Gates::None,
            Gates::PerTopic(per_topic) => {
                per_topic.remove(&slot.topic);
                if per_topic.is_empty() {
                    *gates = Gates::None;
                }
            }
        }
        self.drop_gate(gate);
    }

    fn push_one(&mut self, index: u32, publication: Arc<Publication<P>>) {
        self.push_emission(index, Emission::One(publication));
    }

    fn push_emission(&mut self, index: u32, emission: Emission<Arc<Publication<P>>>) {
        let subscription = &self.subscriptions[index as usize];
        let flow = subscription.flow;
        self.due.push_back(Due::Deliver {
            downlink: subscription.downlink,
            delivery: Delivery {
                subscription: SubscriptionId {
                    index,
                    generation: subscription.generation,
                },
                via: subscription.via(),
                conflate: flow.conflates().then_some(flow.conflate),
                emission,
            },
        });
    }

    /// Emits what is due at `now`. Calls `wake` with the tag of each subscription whose gate rests no more; it says
    /// whether another one of its route still does.
    pub(crate) fn handle_timeout(&mut self, now: Instant, mut wake: impl FnMut(&T) -> bool) {
        let now = self.latest.max(now);
        self.latest = now;
        while let Some(gate) = self.timers.expire(now) {
            let GateSlot {
                subscription,
                resting,
                ..
            } = self.gates[gate as usize];
            self.awake(gate).handle_timeout(now);
            self.drain_gate(gate);
            if let Some(Resting { route, .. }) = resting
                && !self.rest(gate, route)
                && !wake(&self.subscriptions[subscription as usize].tag)
            {
                self.forget_passed(route);
            }
        }
    }

    /// What the hub remembers of a subscription.
    pub(crate) fn tag(&self, id: SubscriptionId) -> Option<&T> {
        self.find(id).map(|subscription| &subscription.tag)
    }

    pub(crate) fn poll_output(&mut self) -> Option<Due<P>> {
        self.due.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.poll_timeout()
    }
}

impl<T> Subscription<T> {
    fn via(&self) -> Option<Pattern> {
        self.has_wildcards.then(|| self.pattern.clone())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "limits keep every table far below 2^32 entries"
)]
const fn index_of(key: usize) -> u32 {
    key as u32
}
