//! Publishing without asking: a host that calls handlers itself may publish directly to the subscribers it knows.
//!
//! If each subscriber that a topic reaches either gets every publication at once, or holds back all but the last until
//! a deadline, and one has just been handed to them, the next needs no decision: it has the next offset, goes to the
//! former, and replaces what the latter hold back. The core says so by granting a [`Licence`]. While the licence lasts,
//! and as long as no deadline has passed, the host may publish requests without an end and an idempotency key, whose
//! payloads have no size ([`Payload::size`] is 0) and contain nothing that the terminal rule reads. It reports what it
//! has published by [`Hub::handle_handed`] before it calls the hub for anything except publishing to other topics while
//! no deadline has passed. All licences end when the value of [`Hub::changes`] changes; that of one topic ends at the
//! time it states, and when the hub is asked to publish to the topic.

#[cfg(test)]
mod tests;

use alloc::sync::Arc;

use crate::hub::Hub;
use crate::payload::Payload;
use crate::publication::Publication;
use crate::time::Instant;
use crate::topic::Topic;

/// What a host that publishes without asking may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Licence {
    /// How many of the last of these publications the hub must be told about, because it keeps them.
    pub kept: usize,
    /// When the licence ends. `None` if no subscriber holds anything back, so that time changes nothing.
    pub until: Option<Instant>,
}

impl<P: Payload> Hub<P> {
    /// The licence for `topic`, if the host may publish to it what follows the publication that the hub has just handed
    /// on. That publication must have had no idempotency key. The host delivers to the subscribers it went to that are
    /// not paced.
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

    /// A number that changes whenever all licences end.
    pub const fn changes(&self) -> u64 {
        self.changes.count()
    }

    /// A publication of a topic was handed on by licence at `at`, with this offset. Earlier ones that the topic
    /// wouldn't keep anyway need not be reported. `is_last` says that no other follows, so it is the one that
    /// subscribers hold back.
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
