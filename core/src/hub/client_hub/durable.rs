//! Durable subscriptions below a client: who was handed what, and who has dealt with it.

use alloc::vec::Vec;

use super::ClientHub;
use crate::durable::{DurableName, Handed};
use crate::flow::Flow;
use crate::hub::SubscribeError;
use crate::hub::due::{DownlinkId, Due, SubscriptionId};
use crate::payload::Payload;
use crate::protocol::Start;
use crate::publication::Position;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

/// The durable subscriptions to one pattern. They are of one device: what one of them has dealt with, all have.
#[derive(Debug)]
pub(super) struct Durable {
    name: DurableName,
    handed: SortedMap<SubscriptionId, Handed>,
}

impl<P: Payload + Clone> ClientHub<P> {
    /// Whether a subscription to `pattern` is durable.
    pub(in crate::hub) fn is_durable(&self, pattern: &Pattern) -> bool {
        self.durables.contains_key(pattern)
    }

    /// Subscribes a downlink to a pattern under a name by which the server remembers what was dealt with: what
    /// [`ClientHub::handle_handled`] tells. Who subscribes under that name later, from wherever, gets what was not.
    ///
    /// Where the client has a subscription with this pattern that is not durable, that becomes so, and is told the same.
    ///
    /// # Errors
    /// When the flow is out of range, or the client has a durable subscription with this pattern under another name, or one
    /// that says what becomes of its publications while the connection is behind.
    pub fn handle_subscribe_durable(
        &mut self,
        now: Instant,
        downlink: DownlinkId,
        pattern: &Pattern,
        flow: Flow,
        start: Start,
        name: DurableName,
    ) -> Result<SubscriptionId, SubscribeError> {
        let before = self.durables.get(pattern);
        if before.is_some_and(|before| before.name != name) {
            return Err(SubscribeError::OtherDurable);
        }
        if self.relay.says_slow(pattern) {
            return Err(SubscribeError::SlowDurable);
        }
        let is_first = before.is_none();
        let becomes_durable = is_first && self.relay.upstream(pattern).is_some();
        let start_here = if becomes_durable {
            Start::New
        } else {
            start.clone()
        };
        flow.validate()?;
        if is_first {
            let handed = SortedMap::new();
            let name = name.clone();
            self.durables
                .insert(pattern.clone(), Durable { name, handed });
        }
        self.changes += 1;
        let id = self
            .relay
            .handle_subscribe(now, downlink, pattern, flow, start_here)?;
        if let Some(durable) = self.durables.get_mut(pattern) {
            durable.handed.insert(id, Handed::new(flow.conflates()));
        }
        if becomes_durable && let Some(flow) = self.relay.upstream(pattern) {
            self.client
                .handle_subscribe_durable(now, pattern, flow, start, name);
            if self.relay.is_rewinding(pattern) {
                self.client.handle_rewind(pattern, &[]);
            }
        }
        self.drain(now);
        Ok(id)
    }

    /// A durable subscription's owner has dealt with a publication that came by it. Of one that conflates, this holds for
    /// everything before, too.
    pub fn handle_handled(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        topic: &Topic,
        position: Position,
    ) {
        let mut is_done = false;
        for (pattern, durable) in self.durables.iter_mut() {
            if let Some(handed) = durable.handed.get_mut(&id) {
                if let Some(position) = handed.handle(topic, position) {
                    self.client.handle_handled(now, pattern, topic, position);
                }
                is_done = handed.is_done();
                break;
            }
        }
        if is_done {
            self.let_go(id);
        }
        self.drain(now);
    }

    /// Ends a durable subscription, all others of the client with the same pattern, and what the server remembers of them.
    /// Without a connection the server remembers it until it is too old.
    pub fn handle_forget(&mut self, now: Instant, id: SubscriptionId) {
        if let Some(pattern) = self.durable_pattern(id) {
            self.changes += 1;
            self.durables.remove(&pattern);
            self.client.handle_forget(&pattern);
            let all: Vec<SubscriptionId> = self.relay.subscribers_of(&pattern).collect();
            for id in all {
                self.relay.handle_unsubscribe(now, id);
            }
        }
        self.drain(now);
    }

    /// A subscription has been ended by its owner, or there is nothing left of it to be dealt with.
    pub(super) fn let_go(&mut self, id: SubscriptionId) {
        let Some(pattern) = self.durable_pattern(id) else {
            return;
        };
        let Some(durable) = self.durables.get_mut(&pattern) else {
            return;
        };
        durable.handed.remove(&id);
        if durable.handed.is_empty() {
            self.durables.remove(&pattern);
            if self.relay.upstream(&pattern).is_none() {
                // It had ended before: what was dealt with since is still to be told.
                self.client.handle_unsubscribe(&pattern);
            }
        }
    }

    fn durable_pattern(&self, id: SubscriptionId) -> Option<Pattern> {
        let mut durables = self.durables.iter();
        let found = durables.find(|(_, durable)| durable.handed.contains_key(&id));
        found.map(|(pattern, _)| pattern.clone())
    }

    /// Notes what is due to durable subscriptions.
    pub(super) fn note_handed(&mut self, due: &Due<P>) {
        match due {
            Due::Deliver { delivery, .. } => {
                if let Some(handed) = self.handed(delivery.subscription) {
                    for publication in delivery.emission.clone() {
                        handed.hand(&publication.topic, publication.position);
                    }
                }
            }
            Due::End { subscription, .. } => {
                if let Some(handed) = self.handed(*subscription) {
                    handed.end();
                    if handed.is_done() {
                        self.let_go(*subscription);
                    }
                }
            }
            Due::Refused { subscription, .. } => self.let_go(*subscription),
            Due::Reset { .. } | Due::Lagged { .. } => {}
        }
    }

    fn handed(&mut self, id: SubscriptionId) -> Option<&mut Handed> {
        let mut durables = self.durables.values_mut();
        durables.find_map(|durable| durable.handed.get_mut(&id))
    }

    /// The name by which the server remembers a pattern.
    pub(super) fn durable_name(&self, pattern: &Pattern) -> Option<DurableName> {
        let durable = self.durables.get(pattern);
        durable.map(|durable| durable.name.clone())
    }
}
