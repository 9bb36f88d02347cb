//! The subscriptions of a hub: each with its gates, all their deadlines, and the queue of what is due.
//!
//! Both kinds of hub use this: those that own topics and those that follow an uplink.

mod batches;
mod delivering;
mod flows;
mod kept_flow;
mod rest;

use core::num::NonZeroU64;

use alloc::sync::Arc;
use alloc::vec::Vec;

use slab::Slab;

use super::due::{DownlinkId, Due, SubscriptionId};
use super::owed::{Owed, Owing};
use crate::flow::Flow;
use crate::gate::Gate;
use crate::lifecycle::EndReason;
use crate::ordered::OrderedMap;
use crate::payload::Payload;
use crate::protocol::WireError;
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::timer::Timers;
use crate::topic::{Pattern, Topic};
use kept_flow::KeptFlow;
use rest::{Passed, Resting};

/// The table of subscriptions. `T` is what the hub stores with each.
#[derive(Debug)]
pub(crate) struct Subscribers<P, T> {
    subscriptions: Slab<Subscription<T>>,
    gates: Slab<GateSlot<P>>,
    /// The additional parts of subscriptions whose patterns have wildcards.
    wide: Slab<Wide>,
    timers: Timers,
    /// The bytes in all gates' batches.
    batches_bytes: usize,
    due: Owing<P>,
    generation: u32,
    /// The publications that passed over resting gates, by the index of the route.
    passed: Vec<Passed<P>>,
    /// The latest time that was passed in.
    latest: Instant,
}

/// Kept small, because there may be a million of them. The owner knows the pattern.
#[derive(Debug)]
struct Subscription<T> {
    generation: u32,
    downlink: DownlinkId,
    flow: KeptFlow,
    gates: Gates,
    tag: T,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Subscription<crate::router::Seat>>() == 40);

/// The gates of a subscription. A gate is created when a publication first needs it, and dropped when it is idle.
#[derive(Clone, Copy, Debug)]
enum Gates {
    /// For one topic, without a gate at present.
    None,
    /// For one topic, with this gate.
    One(u32),
    /// For all topics that match a pattern with wildcards: see [`Wide`].
    Wide(u32),
}

/// What only a subscription with wildcards has.
#[derive(Debug)]
struct Wide {
    pattern: Pattern,
    gates: OrderedMap<Topic, u32>,
}

#[derive(Debug)]
struct GateSlot<P> {
    gate: Gate<Arc<Publication<P>>>,
    subscription: u32,
    topic: Topic,
    /// The bytes in its batch, as counted in the total.
    batch_bytes: u32,
    /// The deadline armed in the timers; the gate's own may have moved later since.
    armed: Option<NonZeroU64>,
    /// Set while the gate rests.
    resting: Option<Resting>,
}

impl<P: Payload, T> Subscribers<P, T> {
    pub(crate) fn new() -> Self {
        Self {
            subscriptions: Slab::new(),
            gates: Slab::new(),
            wide: Slab::new(),
            timers: Timers::new(),
            batches_bytes: 0,
            due: Owing::new(),
            generation: 0,
            passed: Vec::new(),
            latest: Instant::ZERO,
        }
    }

    /// Adds a subscription. `tag` makes its tag from its index.
    pub(crate) fn add(
        &mut self,
        downlink: DownlinkId,
        pattern: &Pattern,
        flow: Flow,
        tag: impl FnOnce(u32) -> T,
    ) -> SubscriptionId {
        self.generation = self.generation.wrapping_add(1);
        let gates = if pattern.is_exact() {
            Gates::None
        } else {
            let wide = Wide {
                pattern: pattern.clone(),
                gates: OrderedMap::new(),
            };
            Gates::Wide(index_of(self.wide.insert(wide)))
        };
        let entry = self.subscriptions.vacant_entry();
        let index = index_of(entry.key());
        entry.insert(Subscription {
            generation: self.generation,
            downlink,
            flow: flow.into(),
            gates,
            tag: tag(index),
        });
        SubscriptionId {
            index,
            generation: self.generation,
        }
    }

    /// Removes a subscription with its gates and whatever is pending in them.
    pub(crate) fn remove(&mut self, id: SubscriptionId) -> Option<T> {
        self.find(id)?;
        let subscription = self.subscriptions.remove(id.index as usize);
        match subscription.gates {
            Gates::None => {}
            Gates::One(gate) => self.drop_gate(gate),
            Gates::Wide(wide) => {
                let Wide { gates, .. } = self.wide.remove(wide as usize);
                gates.values().for_each(|gate| self.drop_gate(*gate));
            }
        }
        Some(subscription.tag)
    }

    fn drop_gate(&mut self, gate: u32) {
        self.timers.disarm(gate);
        let slot = self.gates.remove(gate as usize);
        self.batches_bytes -= slot.batch_bytes as usize;
    }

    fn find(&self, id: SubscriptionId) -> Option<&Subscription<T>> {
        self.subscriptions
            .get(id.index as usize)
            .filter(|subscription| subscription.generation == id.generation)
    }

    /// The full id of the subscription that currently has `index`.
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

    /// The number of gates, each of which holds something back or is within a window.
    pub(crate) fn gates(&self) -> usize {
        self.gates.len()
    }

    /// Emits a reset to the subscription with `index`: what it missed of `topic` is lost. What is pending is emitted
    /// first, because it must not be combined with what follows.
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
            via: self.via(subscription),
        });
    }

    /// Ends a subscription together with its topic, after its terminal publication was delivered.
    pub(crate) fn end(
        &mut self,
        id: SubscriptionId,
        pattern: Pattern,
        reason: EndReason,
    ) -> Option<T> {
        let downlink = self.find(id)?.downlink;
        let tag = self.remove(id)?;
        self.due.push_back(Due::End {
            downlink,
            subscription: id,
            pattern,
            reason,
        });
        Some(tag)
    }

    /// Reports to the subscription with `index` that the uplink dropped publications.
    pub(crate) fn lagged(&mut self, index: u32, pattern: &Pattern, missed: u64) {
        let subscription = &self.subscriptions[index as usize];
        self.due.push_back(Due::Lagged {
            downlink: subscription.downlink,
            subscription: self.id(index),
            pattern: pattern.clone(),
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

    fn known_gate(&self, index: u32, topic: &Topic) -> Option<u32> {
        match self.subscriptions[index as usize].gates {
            Gates::None => None,
            Gates::One(gate) => Some(gate),
            Gates::Wide(wide) => self.wide[wide as usize].gates.get(topic).copied(),
        }
    }

    fn gate_for(&mut self, index: u32, topic: &Topic) -> u32 {
        if let Some(gate) = self.known_gate(index, topic) {
            return gate;
        }
        let subscription = &mut self.subscriptions[index as usize];
        let mut gate = Gate::new(subscription.flow.get());
        gate.handle_feed(Instant::ZERO, subscription.flow.feed());
        let gate = index_of(self.gates.insert(GateSlot {
            gate,
            subscription: index,
            topic: topic.clone(),
            batch_bytes: 0,
            armed: None,
            resting: None,
        }));
        if let Gates::Wide(wide) = subscription.gates {
            self.wide[wide as usize].gates.insert(topic, gate);
        } else {
            subscription.gates = Gates::One(gate);
        }
        gate
    }

    /// Takes what a gate emits, then arms its deadline, or drops the gate if it has none.
    fn drain_gate(&mut self, gate: u32) {
        let slot = &mut self.gates[gate as usize];
        let index = slot.subscription;
        let batch_bytes = slot.gate.batch_bytes();
        if batch_bytes != slot.batch_bytes {
            self.count_batch(gate, batch_bytes);
        }
        while let Some(emission) = self.gates[gate as usize].gate.poll_output() {
            self.push_emission(index, emission);
        }
        match self.gates[gate as usize].gate.poll_timeout() {
            Some(at) => self.arm(gate, at),
            // The gate holds nothing back and is within no window, or has emitted its last value.
            None => self.forget_gate(gate),
        }
    }

    /// Arms the timer of a gate. A deadline that moves later is not rearmed: when the timer fires, the gate has nothing
    /// due, and is armed again then. So a gate that each of many values postpones costs one move of the timer per delay
    /// and not per value, as with lodash's own timer.
    fn arm(&mut self, gate: u32, at: Instant) {
        let armed = &mut self.gates[gate as usize].armed;
        if armed.is_none_or(|armed| at.as_micros() < armed.get()) {
            // A deadline is later than the time at which it was set, so it is never zero.
            *armed = NonZeroU64::new(at.as_micros());
            self.timers.arm(gate, at);
        }
    }

    fn forget_gate(&mut self, gate: u32) {
        let slot = &self.gates[gate as usize];
        let subscription = &mut self.subscriptions[slot.subscription as usize];
        if let Gates::Wide(wide) = subscription.gates {
            self.wide[wide as usize].gates.remove(&slot.topic);
        } else {
            subscription.gates = Gates::None;
        }
        self.drop_gate(gate);
    }

    /// Emits what is due at `now`. Calls `wake` with the tag of each subscription whose gate no longer rests; `wake`
    /// returns whether another gate of its route still does.
    pub(crate) fn handle_timeout(&mut self, now: Instant, mut wake: impl FnMut(&T) -> bool) {
        let now = self.latest.max(now);
        self.latest = now;
        while let Some(gate) = self.timers.expire(now) {
            let slot = &mut self.gates[gate as usize];
            let armed = slot.armed.take();
            let (subscription, resting) = (slot.subscription, slot.resting);
            let at = armed.map_or(now, |at| Instant::from_micros(at.get()));
            let machine = self.awake(gate);
            // A deadline that had moved later is armed again and handled in its own turn, even if it has passed by now.
            let is_early = machine.poll_timeout().is_some_and(|due| due > at);
            machine.handle_timeout(if is_early { at } else { now });
            self.drain_gate(gate);
            if let Some(Resting { route, .. }) = resting
                && !self.rest(gate, route)
                && !wake(&self.subscriptions[subscription as usize].tag)
            {
                self.forget_passed(route);
            }
        }
    }

    /// The tag of a subscription.
    pub(crate) fn tag(&self, id: SubscriptionId) -> Option<&T> {
        self.find(id).map(|subscription| &subscription.tag)
    }

    /// The tag of the subscription with `index`.
    pub(crate) fn tag_mut(&mut self, index: u32) -> &mut T {
        &mut self.subscriptions[index as usize].tag
    }

    /// The pattern of a subscription, if it has wildcards.
    fn via(&self, subscription: &Subscription<T>) -> Option<Pattern> {
        match subscription.gates {
            Gates::None | Gates::One(_) => None,
            Gates::Wide(wide) => Some(self.wide[wide as usize].pattern.clone()),
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<Due<P>> {
        self.due.pop_front()
    }

    pub(super) fn poll_owed(&mut self) -> Option<Owed<P>> {
        self.due.pop_owed()
    }

    pub(super) fn owes_nothing(&self) -> bool {
        self.due.is_empty()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.poll_timeout()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "limits keep every table far below 2^32 entries"
)]
const fn index_of(key: usize) -> u32 {
    key as u32
}
