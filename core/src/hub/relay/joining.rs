//! Subscribers who have joined others and wait for what they start with.
//!
//! What others were sent does not always tell a newcomer where its topics are: a value that was added up for them is no topic's
//! value, and what they had seen before was not sent. Then the uplink is asked for every publication at once, and to go back to
//! what was seen last ([`Interest::Rewind`]). What comes again is for those who have joined alone; until then they are
//! given nothing. The others lose nothing by it, and are paced here meanwhile.

use alloc::sync::Arc;

use super::route::Route;
use super::{Above, Interest, Relay};
use crate::flow::{Flow, Past};
use crate::hub::SubscribeError;
use crate::hub::due::{DownlinkId, SubscriptionId};
use crate::joining::{Comes, Joining, Step};
use crate::payload::Payload;
use crate::protocol::{Start, SubscribeRequest, TopicPosition};
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

impl<P: Payload> Relay<P> {
    /// Lets a newcomer wait, where what is at hand would not tell it where its topics are. Says whether it does.
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

    /// Subscribes a device beside others who follow the pattern, with what is new. Where it is to go back to its cursor, every publication at
    /// once is asked for, and it waits for what lies after that; its owner lets the uplink go there.
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

    /// No device is left beside those who follow the pattern: the uplink is asked to go on without the cursor, and to lose nothing by that.
    pub(in crate::hub) fn handle_no_device(&mut self, now: Instant, pattern: &Pattern) {
        if let Some(route) = self.routes.get_mut(pattern) {
            route.is_rewinding = true;
            self.aggregate(now, pattern);
            self.ask_back(pattern.clone(), Start::New);
        }
    }

    /// Whether what is still to come is as it was published, and comes to all who follow the pattern.
    pub(in crate::hub) fn is_whole(&self, pattern: &Pattern) -> bool {
        let route = self.routes.get(pattern);
        route.is_none_or(|route| !route.is_rewinding && route.past.is_whole())
    }

    /// Asks the uplink to go back for somebody who starts so.
    pub(super) fn ask_back(&mut self, pattern: Pattern, start: Start) {
        self.interest.push_back(Interest::Rewind { pattern, start });
    }

    /// The uplink has confirmed the subscription to `pattern`.
    pub fn handle_subscribed(&mut self, pattern: &Pattern) {
        if let Some(route) = self.routes.get_mut(pattern) {
            route.starting = None;
        }
    }

    /// The uplink has gone back, to the cursor or for others who have joined: what was seen comes again from here on, by
    /// [`Relay::handle_repeat`], and what is new after it.
    pub fn handle_rewinding(&mut self, pattern: &Pattern, to_cursor: bool) {
        if let Some(route) = self.routes.get_mut(pattern) {
            route.is_partial &= to_cursor;
            route.is_of_device &= to_cursor;
            for (_, joining) in &mut route.joining {
                joining.begin(to_cursor);
            }
        }
    }

    /// What the device that waits for what lies after its cursor missed of a topic is lost. What is left of it comes.
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

    /// A publication that was seen before came again, perhaps what was seen last of its topic.
    pub fn handle_repeat(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        publication: &Arc<Publication<P>>,
        is_latest: bool,
    ) {
        self.hand_to_joining(now, pattern, publication, Comes::again(is_latest));
    }

    /// Hands a publication to those who wait, as far as they are to have it.
    pub(super) fn hand_to_joining(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        publication: &Arc<Publication<P>>,
        comes: Comes,
    ) {
        if comes == Comes::Latest
            && let Some(route) = self.routes.get_mut(pattern)
        {
            route.keep(publication);
        }
        if publication.is_terminal() && pattern.is_exact() {
            // Nothing follows that they could wait for.
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
            let step = joining.take(publication, comes);
            let mut subscribers = route.subscribers.iter();
            let is_lost = match step {
                Step::Reset => true,
                Step::Gap => subscribers.any(|(known, own)| known == id && own.loses()),
                Step::Latest | Step::Nothing => false,
            };
            if is_lost {
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

    /// Whether somebody waits and is given nothing yet.
    pub(super) fn is_waiting(&self, id: SubscriptionId) -> bool {
        let mut joining = self.joining.iter();
        joining.any(|(known, joining)| *known == id && joining.is_waiting())
    }

    /// The devices that are given what lies after their cursor.
    pub(super) fn at_cursor(&self) -> impl Iterator<Item = SubscriptionId> {
        let joining = self.joining.iter();
        let at_cursor = joining.filter(|(_, joining)| joining.is_at_cursor());
        at_cursor.map(|(id, _)| *id)
    }

    /// Whether the one topic of its pattern was seen to end, and its subscribers have not been told that.
    pub(super) fn has_ended(&self, pattern: &Pattern) -> bool {
        let mut topics = self.topics.iter();
        pattern.is_exact() && topics.any(|(_, latest)| latest.is_terminal())
    }

    pub(super) fn leave(&mut self, id: SubscriptionId) {
        self.subscribers.retain(|(known, _)| *known != id);
        self.joining.retain(|(joining, _)| *joining != id);
    }

    /// Whether what is at hand does not tell somebody of this flow, who starts so, where its topics are.
    fn must_rewind(&self, request: &SubscribeRequest) -> bool {
        let SubscribeRequest {
            pattern,
            flow,
            start,
            ..
        } = request;
        let flow = *flow;
        if self.has_ended(pattern) {
            // Nothing follows that it could wait for.
            return false;
        }
        if self.is_rewinding || self.is_of_device || !self.past.serves(flow) {
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
