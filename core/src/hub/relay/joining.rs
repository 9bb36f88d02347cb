//! Subscribers who have joined others and wait for what they start with.
//!
//! What others were sent does not always tell a newcomer where its topics are: a value that was added up for them is no topic's
//! value, and what they had seen before was not sent. Then the uplink is asked for every publication at once, and to go back to
//! what was seen last ([`Interest::Rewind`]). What comes again is for those who have joined alone; until then they are
//! given nothing. The others lose nothing by it, and are paced here meanwhile.
//!
//! A newcomer that knows more than one publication less than the others is told of a loss and given the latest: for the others' sake the uplink goes back
//! by one publication, which it is sure to have.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::past::Past;
use super::route::{Own, Route, Step};
use super::{Above, Interest, Relay};
use crate::flow::Flow;
use crate::hub::due::SubscriptionId;
use crate::payload::Payload;
use crate::protocol::{Start, TopicPosition};
use crate::publication::{Position, Publication};
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Joining {
    id: SubscriptionId,
    wants: Wants,
    /// How far it has come with each topic.
    known: SortedMap<Topic, Position>,
}

/// What it starts with, of topics that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    Latest,
    New,
    /// Everything, from the beginning.
    All,
}

impl Joining {
    fn new(id: SubscriptionId, pattern: &Pattern, start: &Start) -> Self {
        let mut known = SortedMap::new();
        if let Start::Since(since) = start {
            for TopicPosition { topic, position } in since {
                known.insert(topic.clone(), *position);
            }
        }
        let wants = match start {
            Start::New => Wants::New,
            Start::Since(_) if !pattern.is_exact() => Wants::All,
            Start::Latest | Start::Since(_) => Wants::Latest,
        };
        Self { id, wants, known }
    }

    /// How it gets to a publication, which is new to the others or the last that they have seen.
    fn take<P>(&mut self, publication: &Publication<P>, is_new: bool) -> Step {
        let Publication {
            topic, position, ..
        } = publication;
        let is_first = position.offset == 1;
        let step = match self.known.get(topic) {
            Some(known) if known.epoch == position.epoch => {
                match position.offset.checked_sub(known.offset) {
                    None | Some(0) => Step::Nothing,
                    Some(1) => Step::Latest,
                    Some(_) => Step::Reset,
                }
            }
            Some(known) if *known == Position::default() && is_first => Step::Latest,
            Some(_) => Step::Reset,
            None => match self.wants {
                Wants::Latest => Step::Latest,
                Wants::New if is_new => Step::Latest,
                Wants::New => Step::Nothing,
                Wants::All if is_first => Step::Latest,
                Wants::All => Step::Reset,
            },
        };
        if step != Step::Nothing {
            self.note(publication);
        }
        step
    }

    fn note<P>(&mut self, publication: &Publication<P>) {
        if publication.is_terminal() {
            // What follows is of another epoch, as it should be.
            self.known.remove(&publication.topic);
        } else {
            self.known
                .insert(publication.topic.clone(), publication.position);
        }
    }
}

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
        if self.above == Above::OtherClock || !route.must_rewind(own.flow, start) {
            return false;
        }
        route.joining.push(Joining::new(id, pattern, start));
        route.is_rewinding = true;
        true
    }

    /// Asks the uplink to go back for somebody who starts so.
    pub(super) fn ask_back(&mut self, pattern: &Pattern, start: Start) {
        let mut known = match start {
            Start::Since(known) => known,
            Start::Latest | Start::New => Vec::new(),
        };
        known.retain(|known| known.position != Position::default());
        let pattern = pattern.clone();
        self.interest.push_back(Interest::Rewind { pattern, known });
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

    /// A publication that was seen before came again.
    pub fn handle_repeat(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        publication: &Arc<Publication<P>>,
    ) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        if !route.is_past(publication) {
            route.keep(publication);
            self.hand_to_joining(now, pattern, publication, false);
        }
    }

    /// Hands a publication to those who wait, as far as they are to have it.
    pub(super) fn hand_to_joining(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        publication: &Arc<Publication<P>>,
        is_new: bool,
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
        for joining in &mut route.joining {
            let index = joining.id.index();
            let step = joining.take(publication, is_new);
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
        for joining in core::mem::take(&mut route.joining) {
            for (topic, known) in joining.known.iter() {
                // Whoever knows more than there is has seen what is lost.
                if let Some(latest) = route.latest(topic)
                    && latest.position.epoch == known.epoch
                    && latest.position.offset < known.offset
                {
                    let index = joining.id.index();
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
        self.joining.iter().any(|joining| joining.id == id)
    }

    pub(super) fn leave(&mut self, id: SubscriptionId) {
        self.subscribers.retain(|(known, _)| *known != id);
        self.joining.retain(|joining| joining.id != id);
    }

    /// Whether what is at hand does not tell somebody of this flow, who starts so, where its topics are.
    fn must_rewind(&self, flow: Flow, start: &Start) -> bool {
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
                self.is_partial || known.iter().any(is_unseen)
            }
        }
    }
}
