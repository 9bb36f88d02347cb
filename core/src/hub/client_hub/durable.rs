//! Durable subscriptions below a client: what each subscriber was handed, and what has been processed.

use alloc::vec::Vec;

use super::ClientHub;
use crate::durable::{Deliveries, DurableName};
use crate::flow::Flow;
use crate::hub::SubscribeError;
use crate::hub::due::{DownlinkId, Due, SubscriptionId};
use crate::payload::Payload;
use crate::protocol::SubscribeRequest;
use crate::publication::Position;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

/// The durable subscriptions to one pattern. Together they are one device: what one of them has processed counts for
/// all.
#[derive(Debug)]
pub(super) struct Durable<P> {
    name: DurableName,
    subscribers: SortedMap<SubscriptionId, Subscriber>,
    deliveries: Deliveries<P>,
}

#[derive(Debug)]
struct Subscriber {
    /// Whether a later publication replaces earlier ones, which the subscriber may then never have been given.
    conflates: bool,
    /// Whether it has ended with its topic, and nothing more will be handed to it.
    is_over: bool,
}

impl<P> Durable<P> {
    const fn new(name: DurableName) -> Self {
        Self {
            name,
            subscribers: SortedMap::new(),
            deliveries: Deliveries::new(),
        }
    }

    /// Whether a publication that this subscriber processes vouches for all earlier ones, too. `None` if its reports
    /// don't count at all: it conflates, and another subscriber, which doesn't, still has to process what this one was
    /// not given.
    fn stands_for_all(&self, id: SubscriptionId) -> Option<bool> {
        let conflates = self.subscribers.get(&id)?.conflates;
        let all_conflate = || self.subscribers.values().all(|known| known.conflates);
        (!conflates || all_conflate()).then_some(conflates)
    }

    /// Whether everything that will ever be handed out has been processed.
    fn is_done(&self) -> bool {
        self.deliveries.is_empty() && self.subscribers.values().all(|known| known.is_over)
    }
}

impl<P: Payload + Clone> ClientHub<P> {
    /// Whether the subscriptions to `pattern` are durable.
    pub(in crate::hub) fn is_durable(&self, pattern: &Pattern) -> bool {
        self.durables.contains_key(pattern)
    }

    /// Subscribes a downlink under a device's name: [`ClientHub::handle_subscribe`].
    pub(super) fn subscribe_durable(
        &mut self,
        now: Instant,
        downlink: DownlinkId,
        request: SubscribeRequest,
        name: DurableName,
    ) -> Result<SubscriptionId, SubscribeError> {
        let pattern = &request.pattern.clone();
        let before = self.durables.get(pattern);
        if before.is_some_and(|before| before.name != name) {
            return Err(SubscribeError::OtherDurable);
        }
        request.flow.validate()?;
        let is_followed = self.relay.upstream(pattern).is_some();
        let is_first = before.is_none();
        // The subscribers already here have only what arrived since they subscribed, and perhaps not as it was
        // published.
        let goes_back = is_followed && (is_first || !self.relay.is_whole(pattern));
        let missed = match before {
            Some(before) if is_followed && !goes_back => before.deliveries.waiting(),
            Some(_) | None => Vec::new(),
        };
        if is_first {
            let durable = Durable::new(name.clone());
            self.durables.insert(pattern.clone(), durable);
        }
        let subscriber = Subscriber {
            conflates: request.flow.conflates(),
            is_over: false,
        };
        let start = goes_back.then(|| request.start.clone());
        let relay = &mut self.relay;
        let id = if is_followed {
            relay.handle_subscribe_device(now, downlink, &request, goes_back)?
        } else {
            relay.handle_subscribe(now, downlink, request)?
        };
        if let Some(durable) = self.durables.get_mut(pattern) {
            durable.subscribers.insert(id, subscriber);
        }
        for publication in &missed {
            self.relay.hand_on(now, id, publication);
        }
        if let Some(start) = start {
            self.drain(now);
            self.client.handle_durable(pattern, start, name);
        }
        Ok(id)
    }

    /// A durable subscription's owner has processed a publication delivered by it. If all subscriptions of the device
    /// conflate, everything before it counts as processed, too. If only some do, only the reports of the others count.
    pub fn handle_handled(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        topic: &Topic,
        position: Position,
    ) {
        let mut done = None;
        for (pattern, durable) in self.durables.iter_mut() {
            let Some(stands_for_all) = durable.stands_for_all(id) else {
                continue;
            };
            let position = durable
                .deliveries
                .handle_processed(topic, position, stands_for_all);
            if let Some(position) = position {
                self.client.handle_handled(now, pattern, topic, position);
            }
            done = durable.is_done().then(|| pattern.clone());
            break;
        }
        if let Some(pattern) = done {
            self.finish_durable(now, &pattern);
        }
        self.drain(now);
    }

    /// The program may not go on: [`Client::handle_pause`](crate::client::Client::handle_pause).
    pub fn handle_pause(&mut self, now: Instant) {
        self.client.handle_pause(now);
        self.drain(now);
    }

    /// Ends a durable subscription, all others of the client to the same pattern, and deletes the server's cursor.
    /// Without a connection, the server keeps the cursor until it expires.
    pub fn handle_forget(&mut self, now: Instant, id: SubscriptionId) {
        if let Some(pattern) = self.durable_pattern(id) {
            self.changes.note();
            self.durables.remove(&pattern);
            self.client.handle_forget(&pattern);
            for id in self.relay.subscribers_of(&pattern) {
                self.relay.handle_unsubscribe(now, id);
            }
        }
        self.drain(now);
    }

    /// A subscription was ended by its owner, or was refused.
    pub(super) fn let_go(&mut self, now: Instant, id: SubscriptionId) {
        if let Some(pattern) = self.durable_pattern(id)
            && let Some(durable) = self.durables.get_mut(&pattern)
        {
            durable.subscribers.remove(&id);
            if durable.subscribers.is_empty() {
                self.finish_durable(now, &pattern);
            }
        }
    }

    /// Stops being durable: no durable subscriber is left, or nothing that could still be processed.
    fn finish_durable(&mut self, now: Instant, pattern: &Pattern) {
        self.durables.remove(pattern);
        if self.relay.upstream(pattern).is_none() {
            // The subscription had ended with its topic; this sends the acknowledgements that are still outstanding.
            self.client.handle_unsubscribe(pattern);
        } else {
            self.client.handle_not_durable(pattern);
            self.relay.handle_no_device(now, pattern);
        }
    }

    pub(super) fn durable_pattern(&self, id: SubscriptionId) -> Option<Pattern> {
        let mut durables = self.durables.iter();
        let found = durables.find(|(_, durable)| durable.subscribers.contains_key(&id));
        found.map(|(pattern, _)| pattern.clone())
    }

    /// A subscriber's flow has changed.
    pub(super) fn note_flow(&mut self, id: SubscriptionId, flow: Flow) {
        let mut durables = self.durables.values_mut();
        let subscriber = durables.find_map(|durable| durable.subscribers.get_mut(&id));
        if let Some(subscriber) = subscriber {
            subscriber.conflates = flow.conflates();
        }
    }

    /// Records what is due to durable subscriptions.
    pub(super) fn note_handed(&mut self, now: Instant, due: &Due<P>) {
        match due {
            Due::Deliver { delivery, .. } => {
                for durable in self.durables.values_mut() {
                    if durable.stands_for_all(delivery.subscription).is_some() {
                        for publication in delivery.emission.clone() {
                            durable.deliveries.add(&publication);
                        }
                    }
                }
            }
            Due::End { subscription, .. } => {
                let pattern = self.durable_pattern(*subscription);
                if let Some(pattern) = pattern
                    && let Some(durable) = self.durables.get_mut(&pattern)
                {
                    if let Some(subscriber) = durable.subscribers.get_mut(subscription) {
                        subscriber.is_over = true;
                    }
                    if durable.is_done() {
                        self.finish_durable(now, &pattern);
                    }
                }
            }
            Due::Refused { subscription, .. } => self.let_go(now, *subscription),
            Due::Reset { .. } | Due::Lagged { .. } => {}
        }
    }

    /// The name under which the server keeps the cursor for a pattern.
    pub(super) fn durable_name(&self, pattern: &Pattern) -> Option<DurableName> {
        let durable = self.durables.get(pattern);
        durable.map(|durable| durable.name.clone())
    }
}
