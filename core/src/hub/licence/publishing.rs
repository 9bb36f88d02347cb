//! Publishing without asking: a host that calls handlers by itself may publish to those whom it knows.
//!
//! Where everybody whom a topic's publications reach gets each of them at once, and one has just been handed to them, the
//! next one needs no decision: it has the next offset, and goes to the same. The core says so with a *licence*. While it
//! stands, the host publishes what has no size, no end, no idempotency key and nothing that the terminal rule reads, as
//! long as nothing is due by time; and tells by [`Hub::handle_handed`] what it has published before it asks the hub for anything
//! but to publish to other topics. All licences end when [`Hub::changes`] does not say what it said before; a topic's own ends
//! when the hub is asked to publish to it.

#[cfg(test)]
mod tests;

use crate::hub::Hub;
use crate::payload::Payload;
use crate::time::Instant;
use crate::topic::Topic;

impl<P: Payload> Hub<P> {
    /// Whether the host may publish to `topic` what follows on the publication that the hub has just handed on, which had
    /// no idempotency key, to those to whom it was due; and how many of the last such publications it must keep, to tell
    /// the hub of them.
    pub fn licence(&self, topic: &Topic) -> Option<usize> {
        let state = self.topics.get(self.topics.find(topic)?);
        let latest = state.history.latest()?;
        if latest.is_terminal() || self.gathered.since().is_some() {
            return None;
        }
        let mut is_plain = true;
        self.router.for_each_match(topic, |route| {
            let mut subscribers = self.router.subscribers(route);
            is_plain &= !subscribers.any(|index| self.subscribers.is_gated(*index));
        });
        let kept = self.config.history_of(topic).count_max.max(1);
        is_plain.then_some(kept)
    }

    /// Counts what has ended all licences.
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// A publication of a topic was handed on by licence at `at`, with this offset. Those before it need not be told which a
    /// topic doesn't keep.
    pub fn handle_handed(&mut self, at: Instant, topic: &Topic, offset: u64, payload: P) {
        if let Some(index) = self.topics.find(topic) {
            let limits = self.config.history_of(topic);
            self.topics.skip_to(index, offset);
            self.topics.append(at, index, payload, None, &limits);
        }
    }
}
