//! Subscribers that have joined others and wait for what they start with.
//!
//! What the others were sent may not be enough to start a newcomer: a sum that was made for them is not the value of
//! any topic, and what they had seen before they resumed was not sent again. Then the uplink is asked for every
//! publication at once, and to go back to before what was last seen ([`Interest::Rewind`]). What arrives again goes
//! only to the newcomers, which get nothing until then. The others miss nothing; meanwhile they are paced here.

use alloc::sync::Arc;

use super::route::Route;
use super::{Above, Interest, Relay};
use crate::flow::{Flow, Past};
use crate::hub::SubscribeError;
use crate::hub::due::{DownlinkId, SubscriptionId};
use crate::joining::{Continuation, Joining, Novelty};
use crate::payload::Payload;
use crate::protocol::{Start, SubscribeRequest, TopicPosition};
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

impl<P: Payload> Relay<P> {
    /// Makes a newcomer wait if what is at hand is not enough to start it. Returns whether it waits.
    pub(super) fn join(&mut self, id: SubscriptionId, request: &SubscribeRequest) -> bool {
        let Some(route) = self.routes.get_mut(&request.pattern) else {
            return false;
        };
        if self.above == Above::OtherClock || !route.must_rewind(request) {
            return false;
        }
        let joining = Joining::new(&request.pattern, &request.start);
        route.joining.push((id, joining));
        route.is_rewinding = true;
        true
    }

    /// Subscribes a device to a pattern that others follow. It gets new publications. If it is to go back to its
    /// cursor, every publication is requested at once, and it waits for what follows the cursor; the owner makes the
    /// uplink go back.
    pub(in crate::hub) fn handle_subscribe_device(
        &mut self,
        now: Instant,
        downlink: DownlinkId,
        request: &SubscribeRequest,
        goes_back: bool,
    ) -> Result<SubscriptionId, SubscribeError> {
        let id = self.add(downlink, request)?;
        if let Some(route) = self.routes.get_mut(&request.pattern) {
            route.admit(id, request);
            route.is_rewinding |= goes_back;
            if goes_back {
                route.joining.push((id, Joining::at_cursor()));
            }
        }
        self.aggregate(now, &request.pattern);
        Ok(id)
    }

    /// No device is left among the subscribers of the pattern: asks the uplink to continue without the cursor, and
    /// without losing anything.
    pub(in crate::hub) fn handle_no_device(&mut self, now: Instant, pattern: &Pattern) {
        if let Some(route) = self.routes.get_mut(pattern) {
            route.is_rewinding = true;
            self.aggregate(now, pattern);
            self.request_rewind(pattern.clone(), Start::New);
        }
    }

    /// Returns whether everything that is still to arrive is as it was published, and for all subscribers of the
    /// pattern.
    pub(in crate::hub) fn is_whole(&self, pattern: &Pattern) -> bool {
        let route = self.routes.get(pattern);
        route.is_none_or(|route| !route.is_rewinding && route.past.is_whole())
    }

    /// Asks the uplink to go back for a subscriber with this start.
    pub(super) fn request_rewind(&mut self, pattern: Pattern, start: Start) {
        self.interest.push_back(Interest::Rewind { pattern, start });
    }

    /// The uplink has confirmed the subscription to `pattern`.
    pub fn handle_subscribed(&mut self, pattern: &Pattern) {
        if let Some(route) = self.routes.get_mut(pattern) {
            route.starting = None;
        }
    }

    /// The uplink has gone back, to the cursor or for newcomers. From here on, what was seen before arrives again by
    /// [`Relay::handle_repeat`], followed by what is new.
    pub fn handle_rewinding(&mut self, pattern: &Pattern, to_cursor: bool) {
        if let Some(route) = self.routes.get_mut(pattern) {
            route.is_partial &= to_cursor;
            route.is_of_device &= to_cursor;
            for (_, joining) in &mut route.joining {
                joining.begin(to_cursor);
            }
        }
    }

    /// What a device that is going back to its cursor missed of a topic is lost. What is left of it follows.
    pub fn handle_repeat_reset(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        topic: &Topic,
        position: Position,
    ) {
        if let Some(route) = self.routes.get(pattern) {
            for id in route.at_cursor() {
                self.subscribers.reset(now, id.index(), topic, position);
            }
        }
    }

    /// A publication that was seen before arrived again. `is_latest` says that it is the last one seen of its topic.
    pub fn handle_repeat(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        publication: &Arc<Publication<P>>,
        is_latest: bool,
    ) {
        self.hand_to_joining(now, pattern, publication, Novelty::repeated(is_latest));
    }

    /// Hands a publication to each waiting subscriber that needs it.
    pub(super) fn hand_to_joining(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        publication: &Arc<Publication<P>>,
        novelty: Novelty,
    ) {
        if novelty == Novelty::Latest
            && let Some(route) = self.routes.get_mut(pattern)
        {
            route.keep(publication);
        }
        if publication.is_terminal() && pattern.is_exact() {
            // Nothing follows a terminal publication, so nobody can go on waiting.
            self.handle_rewinding(pattern, false);
        }
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        let Publication {
            topic, position, ..
        } = &**publication;
        for (id, joining) in &mut route.joining {
            let index = id.index();
            let continuation = joining.take(publication, novelty);
            let mut subscribers = route.subscribers.iter();
            let is_lost = match continuation {
                Continuation::Reset => true,
                Continuation::Gap => subscribers.any(|(known, own)| known == id && own.loses()),
                Continuation::Latest | Continuation::Nothing => false,
            };
            if is_lost {
                self.subscribers.reset(now, index, topic, *position);
            }
            if continuation != Continuation::Nothing {
                self.subscribers.deliver(now, index, publication);
            }
        }
    }

    /// Everything that had to be repeated has arrived: nobody waits any longer.
    pub fn handle_rewound(&mut self, now: Instant, pattern: &Pattern) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        route.is_rewinding = false;
        // Every publication was requested at once meanwhile, so nothing conflated is still to arrive.
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
    /// Returns whether a subscriber waits for its start, or is being sent it.
    pub(super) fn is_joining(&self, id: SubscriptionId) -> bool {
        self.joining.iter().any(|(joining, _)| *joining == id)
    }

    /// Returns whether a subscriber waits and is sent nothing yet.
    pub(super) fn is_waiting(&self, id: SubscriptionId) -> bool {
        let mut joining = self.joining.iter();
        joining.any(|(known, joining)| *known == id && joining.is_waiting())
    }

    /// The devices that are being sent what follows their cursor.
    pub(super) fn at_cursor(&self) -> impl Iterator<Item = SubscriptionId> {
        let joining = self.joining.iter();
        let at_cursor = joining.filter(|(_, joining)| joining.is_at_cursor());
        at_cursor.map(|(id, _)| *id)
    }

    /// Returns whether the topic that the pattern names was seen to end, and its subscribers have not been told yet.
    pub(super) fn has_ended(&self, pattern: &Pattern) -> bool {
        let mut topics = self.topics.iter();
        pattern.is_exact() && topics.any(|(_, latest)| latest.is_terminal())
    }

    pub(super) fn leave(&mut self, id: SubscriptionId) {
        self.subscribers.retain(|(known, _)| *known != id);
        self.joining.retain(|(joining, _)| *joining != id);
    }

    /// Returns whether the uplink must go back for a newcomer with this request, because what is at hand doesn't tell
    /// it the state of its topics.
    fn must_rewind(&self, request: &SubscribeRequest) -> bool {
        let SubscribeRequest {
            pattern,
            flow,
            start,
            ..
        } = request;
        let flow = *flow;
        if self.has_ended(pattern) {
            // The topic has ended, so nothing follows that the newcomer could wait for.
            return false;
        }
        if self.is_rewinding || self.is_of_device || !self.past.serves(flow) {
            // What the uplink has combined for the others may still arrive.
            return true;
        }
        if let Some(starting) = &self.starting {
            // The subscription has not started yet, so what the others get is also what the newcomer gets.
            return *start != Start::New && start != starting;
        }
        if flow.conflates() && self.past.has_combined() {
            // What the uplink holds back to be added up was published before the newcomer subscribed.
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

    /// Returns whether a newcomer needs more of a topic than the latest value, because several publications lie between
    /// that and what it knows.
    fn misses_several(&self, pattern: &Pattern, flow: Flow, known: &[TopicPosition]) -> bool {
        let mut topics = self.topics.iter();
        topics.any(|(topic, latest)| {
            let is_behind = |seen: Position| {
                seen.epoch == latest.position.epoch && seen.offset + 1 < latest.position.offset
            };
            Self::before(pattern, topic, latest, known).is_some_and(is_behind) && !flow.skips()
        })
    }

    /// The position in a topic up to which a newcomer knows everything; `None` if it only wants the latest value.
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
