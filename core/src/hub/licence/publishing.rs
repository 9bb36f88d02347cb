//! Publishing without asking: a host that calls handlers by itself may publish to those whom it knows.
//!
//! Where everybody whom a topic's publications reach gets each of them at once, or holds back all but the last until a
//! deadline, and one has just been handed to them, the next one needs no decision: it has the next offset, goes to the first, and
//! is held back by the second. The core says so with a [`Licence`]. While it stands, the host publishes what has no size, no end, no idempotency key and
//! nothing that the terminal rule reads, as long as nothing is due by time; and tells by [`Hub::handle_handed`] what it has
//! published before it asks the hub for anything but to publish to other topics while nothing is due. All licences end when
//! [`Hub::changes`] does not say what it said before; a topic's own ends at the time that it names, and when the hub is asked to publish to it.

#[cfg(test)]
mod tests;

use alloc::sync::Arc;

use crate::hub::Hub;
use crate::payload::Payload;
use crate::publication::Publication;
use crate::time::Instant;
use crate::topic::Topic;

/// What a host may do that publishes without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Licence {
    /// How many of the last such publications the hub must be told of, to remember them.
    pub kept: usize,
    /// Until when. `None` if nobody holds anything back, so that time changes nothing.
    pub until: Option<Instant>,
}

impl<P: Payload> Hub<P> {
    /// Whether the host may publish to `topic` what follows on the publication that the hub has just handed on, which had
    /// no idempotency key, to those to whom it was due and who are not paced.
    pub fn licence(&self, topic: &Topic) -> Option<Licence> {
        let state = self.topics.get(self.topics.find(topic)?);
        let latest = state.history.latest()?;
        if latest.is_terminal() || self.gathered.since().is_some() {
            return None;
        }
        let mut is_decided = true;
        let mut until: Option<Instant> = None;
        self.router.for_each_match(topic, |route| {
            let mut gated = self
                .router
                .subscribers(route)
                .filter(|index| self.subscribers.is_gated(**index));
            is_decided &= gated.all(|index| {
                let held = self.subscribers.holds_until(*index, topic);
                until = until.map_or(held, |until| held.map(|held| held.min(until)));
                held.is_some()
            });
        });
        let kept = self.config.history_of(topic).count_max.max(1);
        is_decided.then_some(Licence { kept, until })
    }

    /// Counts what has ended all licences.
    pub const fn changes(&self) -> u64 {
        self.changes.count()
    }

    /// A publication of a topic was handed on by licence at `at`, with this offset. Those before it need not be told which a
    /// topic doesn't keep. With `is_last`, none follows: whoever holds back, holds back this one.
    pub fn handle_handed(
        &mut self,
        at: Instant,
        topic: &Topic,
        offset: u64,
        payload: P,
        is_last: bool,
    ) {
        let Some(index) = self.topics.find(topic) else {
            return;
        };
        let limits = self.config.history_of(topic);
        self.topics.skip_to(index, offset);
        let publication = self.topics.append(at, index, payload, None, &limits);
        if is_last && self.subscribers.gates() > 0 {
            self.hold_back(at, &publication);
        }
    }

    fn hold_back(&mut self, at: Instant, publication: &Arc<Publication<P>>) {
        let (router, subscribers) = (&self.router, &mut self.subscribers);
        router.for_each_match(&publication.topic, |route| {
            if router.has_resting(route) {
                subscribers.pass_by(at, route, publication);
            }
            for index in router.subscribers(route) {
                subscribers.hold_back(at, *index, publication);
            }
        });
    }
}
