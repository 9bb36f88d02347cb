//! Subscribers who have joined others and wait for what they start with.
//!
//! What others were sent does not always tell a newcomer where its topics are: a value that was added up for them is no topic's
//! value, and what they had seen before was not sent. Then the uplink is asked for every publication at once, and to go back to
//! what was seen last ([`Interest::Rewind`]). What comes again is for those who have joined alone; until then they are
//! given nothing. The others lose nothing by it, and are paced here meanwhile.

use alloc::sync::Arc;

use super::route::{Own, Route};
use super::{Above, Interest, Relay};
use crate::flow::{Flow, Past};
use crate::hub::due::SubscriptionId;
use crate::joining::{Comes, Joining, Step};
use crate::payload::Payload;
use crate::protocol::{Start, TopicPosition};
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

impl<P: Payload> Relay<P> {
    /// Lets a newcomer wait, where what is at hand would not tell it where its topics are. Says whether it does.
    pub(super) fn join(
        &mut self,
        id: SubscriptionId,
        pattern: &Pattern,
        own: Own,
        start: &Start,
    ) -> bool {
        let Some(route) = self.routes.get_mut(pattern) else {
            return false;
        };
        if self.above == Above::OtherClock || !route.must_rewind(pattern, own.flow, start) {
            return false;
        }
        route.joining.push((id, Joining::new(pattern, start)));
        route.is_rewinding = true;
        true
    }

    /// Asks the uplink to go back for somebody who starts so.
    pub(super) fn ask_back(&mut self, pattern: &Pattern, start: Start) {
        let pattern = pattern.clone();
        self.interest.push_back(Interest::Rewind { pattern, start });
    }

    /// Whether the uplink was asked to go back, and has not said that it is done.
    pub(in crate::hub) fn is_rewinding(&self, pattern: &Pattern) -> bool {
        let route = self.routes.get(pattern);
        route.is_some_and(|route| route.is_rewinding)
    }

    /// The uplink has confirmed the subscription to `pattern`.
    pub fn handle_subscribed(&mut self, pattern: &Pattern) {
        if let Some(route) = self.routes.get_mut(pattern) {
            route.starting = None;
        }
    }

    /// The uplink has gone back: what was seen comes again from here on, by [`Relay::handle_repeat`], and what is new after it.
    pub fn handle_rewinding(&mut self, pattern: &Pattern) {
        if let Some(route) = self.routes.get_mut(pattern) {
            route.is_repeating = true;
        }
    }

    /// A publication that was seen before came again, perhaps what was seen last of its topic.
    pub fn handle_repeat(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        publication: &Arc<Publication<P>>,
        is_latest: bool,
    ) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        let comes = if is_latest {
            route.keep(publication);
            Comes::Latest
        } else {
            Comes::Earlier
        };
        self.hand_to_joining(now, pattern, publication, comes);
    }

    /// Hands a publication to those who wait, as far as they are to have it.
    pub(super) fn hand_to_joining(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        publication: &Arc<Publication<P>>,
        comes: Comes,
    ) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        let is_end = publication.is_terminal() && pattern.is_exact();
        if !route.is_repeating && !is_end {
            return;
        }
        let Publication {
            topic, position, ..
        } = &**publication;
        for (id, joining) in &mut route.joining {
            let index = id.index();
            let step = joining.take(publication, comes);
            if step == Step::Reset {
                self.subscribers.reset(now, index, topic, *position);
            }
            if step != Step::Nothing {
                self.subscribers.deliver(now, index, publication);
            }
        }
    }

    /// All that was to come again has come: nobody waits any more.
    pub fn handle_rewound(&mut self, now: Instant, pattern: &Pattern) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        route.is_rewinding = false;
        route.is_repeating = false;
        route.is_partial = false;
        // Everything was asked for at once since.
        route.past = Past::default();
        for (id, joining) in core::mem::take(&mut route.joining) {
            for topic in joining.topics() {
                if let Some(latest) = route.latest(topic)
                    && joining.is_ahead_of(latest)
                {
                    let index = id.index();
                    self.subscribers
                        .reset(now, index, topic, Position::default());
                    self.subscribers.deliver(now, index, latest);
                }
            }
        }
        self.aggregate(now, pattern);
    }
}

impl<P> Route<P> {
    /// Whether somebody waits.
    pub(super) fn is_joining(&self, id: SubscriptionId) -> bool {
        self.joining.iter().any(|(joining, _)| *joining == id)
    }

    pub(super) fn leave(&mut self, id: SubscriptionId) {
        self.subscribers.retain(|(known, _)| *known != id);
        self.joining.retain(|(joining, _)| *joining != id);
    }

    /// Whether what is at hand does not tell somebody of this flow, who starts so, where its topics are.
    fn must_rewind(&self, pattern: &Pattern, flow: Flow, start: &Start) -> bool {
        if self.is_rewinding || !self.past.serves(flow) {
            // What the uplink has made of several for the others is still to come.
            return true;
        }
        if let Some(starting) = &self.starting {
            // What comes for the others is what comes for it.
            return *start != Start::New && start != starting;
        }
        if flow.conflates() && self.past.has_combined() {
            // What is held back to be added up came before this one did.
            return true;
        }
        match start {
            Start::New => false,
            Start::Latest => self.is_partial,
            Start::Since(known) => {
                let is_unseen = |known: &TopicPosition| {
                    known.position != Position::default() && self.latest(&known.topic).is_none()
                };
                self.is_partial
                    || known.iter().any(is_unseen)
                    || self.misses_several(pattern, flow, known)
            }
        }
    }

    /// Whether more lies between what somebody of this flow knows of a topic and where that is than the latest value, and the uplink may
    /// have it.
    fn misses_several(&self, pattern: &Pattern, flow: Flow, known: &[TopicPosition]) -> bool {
        let mut topics = self.topics.iter();
        topics.any(|(topic, latest)| {
            let is_behind = |seen: Position| {
                seen.epoch == latest.position.epoch && seen.offset + 1 < latest.position.offset
            };
            Self::before(pattern, topic, latest, known).is_some_and(is_behind) && !flow.skips()
        })
    }

    /// Where somebody stands who knows this, before the latest value of a topic; `None`, where it wants that alone.
    pub(super) fn before(
        pattern: &Pattern,
        topic: &Topic,
        latest: &Publication<P>,
        known: &[TopicPosition],
    ) -> Option<Position> {
        let beginning = Position {
            offset: 0,
            ..latest.position
        };
        let known = known.iter().find(|known| known.topic == *topic);
        let known = known.map(|known| known.position);
        known.or((!pattern.is_exact()).then_some(beginning))
    }
}
