//! Members that join others, and are brought to the others' position.
//!
//! All earlier members are at the same position in each topic, so sums and merges made by the server are right for all
//! of them. If a member that joins is at another position, and what was seen here doesn't bring it to theirs, the
//! subscription upstream goes back ([`Client::handle_rewind`]). Meanwhile, all members are sent every publication, and
//! those that arrive again go only to members that missed them. Afterwards, the common flow applies again.
//!
//! [`Client::handle_rewind`]: crate::client::Client::handle_rewind

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::route::{Place, Route, again, via};
use super::{Exchange, ExchangeOutput};
use crate::joining::{Continuation, Joining, Novelty};
use crate::payload::Payload;
use crate::protocol::{ServerFrame, Start};
use crate::publication::{Position, Publication};
use crate::tabs::message::TabId;
use crate::topic::{Pattern, Topic};

impl<P: Payload + Clone> Exchange<P> {
    /// Brings a waiting member to the others' position. If the server has not confirmed the subscription yet, the
    /// member waits for that.
    pub(super) fn join(&mut self, member: TabId, pattern: &Pattern) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        if !route.is_confirmed {
            return;
        }
        let Some(seat) = route.seats.get(&member) else {
            return;
        };
        let Place::Waiting(start) = &seat.place else {
            return;
        };
        match route.replay(pattern, seat.flow, start) {
            Some(missed) => {
                let is_resumed = *start != Start::New;
                self.confirm(member, pattern, is_resumed);
                let missed = missed.into_iter();
                self.output
                    .extend(missed.map(|frame| ExchangeOutput::One(member, frame)));
            }
            None => self.go_back(member, pattern),
        }
    }

    /// Asks the server to go back for a waiting member.
    fn go_back(&mut self, member: TabId, pattern: &Pattern) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        if let Some(seat) = route.seats.get_mut(&member)
            && let Place::Waiting(start) = &seat.place
        {
            let start = start.clone();
            seat.place = Place::Behind(start.clone());
            route.is_rewinding = true;
            let before = route.aggregate();
            self.push_up(pattern, before);
            self.client.handle_rewind(pattern, &start);
        }
    }

    /// The server has confirmed the subscription. Members that wanted the start that was requested are at its position;
    /// all others join them.
    pub(super) fn handle_subscribed(
        &mut self,
        pattern: &Pattern,
        position: Option<Position>,
        recovered: bool,
    ) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        if route.is_confirmed {
            // The client has resumed after a lost connection, or goes back.
            return;
        }
        route.handle_subscribed(pattern, position);
        let (there, late) = route.waiting();
        for member in there {
            self.confirm(member, pattern, recovered);
        }
        for (member, is_resumed) in late {
            if is_resumed {
                self.join(member, pattern);
            } else {
                // What the others are sent begins elsewhere.
                self.go_back(member, pattern);
            }
        }
    }

    /// From here on, publications that were seen, or that follow the cursor, arrive again, followed by new ones.
    pub(super) fn handle_rewinding(&mut self, pattern: &Pattern, to_cursor: bool) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        route.is_partial &= to_cursor;
        route.is_of_device &= to_cursor;
        for (member, mut joining, is_resumed) in route.behind(pattern, to_cursor) {
            joining.begin(to_cursor);
            self.confirm(member, pattern, is_resumed);
            if let Some(route) = self.routes.get_mut(pattern)
                && let Some(seat) = route.seats.get_mut(&member)
            {
                seat.place = Place::Joining(joining);
            }
        }
    }

    /// What members that are going back to the cursor missed of a topic is lost.
    pub(super) fn handle_repeat_reset(
        &mut self,
        pattern: &Pattern,
        topic: &Topic,
        position: Position,
    ) {
        let Some(route) = self.routes.get(pattern) else {
            return;
        };
        for (member, seat) in route.seats.iter() {
            if let Place::Joining(joining) = &seat.place
                && joining.is_at_cursor()
            {
                let frame = reset(pattern, topic, position);
                self.output.push_back(ExchangeOutput::One(*member, frame));
            }
        }
    }

    /// Hands a publication to members that are joining, as far as they need it. A repeated one goes only to them.
    pub(super) fn hand_to_joining(
        &mut self,
        pattern: &Pattern,
        publication: &Arc<Publication<P>>,
        novelty: Novelty,
    ) {
        if novelty == Novelty::Latest
            && let Some(route) = self.routes.get_mut(pattern)
        {
            route.handle_publication(publication);
        }
        if publication.is_terminal() && pattern.is_exact() {
            // Nothing follows a terminal publication, so nobody can go on waiting.
            self.handle_rewinding(pattern, false);
        }
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        for (member, seat) in route.seats.iter_mut() {
            let Place::Joining(joining) = &mut seat.place else {
                continue;
            };
            let continuation = joining.take(publication, novelty);
            if matches!(continuation, Continuation::Gap | Continuation::Reset) {
                let (topic, position) = (&publication.topic, publication.position);
                let frame = reset(pattern, topic, position);
                self.output.push_back(ExchangeOutput::One(*member, frame));
            }
            if continuation != Continuation::Nothing && novelty != Novelty::New {
                let frame = again(pattern, publication);
                self.output.push_back(ExchangeOutput::One(*member, frame));
            }
        }
    }

    /// Everything that had to be repeated has arrived: all members are at the same position.
    pub(super) fn handle_rewound(&mut self, pattern: &Pattern) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        for (member, joining) in route.handle_rewound() {
            for topic in joining.topics() {
                // A member that is ahead of the latest publication has seen something that was lost.
                if let Some(latest) = route.latest(topic)
                    && joining.is_ahead_of(latest)
                {
                    let lost = reset(pattern, topic, Position::default());
                    let latest = again(pattern, latest);
                    let frames = [lost, latest].map(|frame| ExchangeOutput::One(member, frame));
                    self.output.extend(frames);
                }
            }
        }
        let before = route.aggregate();
        self.push_up(pattern, before);
    }
}

fn reset<P>(pattern: &Pattern, topic: &Topic, position: Position) -> ServerFrame<P> {
    ServerFrame::Reset {
        topic: topic.clone(),
        position,
        via: via(pattern),
    }
}

impl<P> Route<P> {
    /// The members that waited for this confirmation: first those whose start was the one requested, then all others,
    /// with whether they resume.
    fn waiting(&mut self) -> (Vec<TabId>, Vec<(TabId, bool)>) {
        let (mut there, mut late) = (Vec::new(), Vec::new());
        let first = self.first.take();
        for (member, seat) in self.seats.iter() {
            if let Place::Waiting(start) = &seat.place {
                let is_first = |(first, is_durable): &(Start, bool)| {
                    first == start && *is_durable == seat.is_durable
                };
                if first.as_ref().is_some_and(is_first) && self.serves(seat.flow) {
                    there.push(*member);
                } else {
                    late.push((*member, matches!(start, Start::Since(_))));
                }
            }
        }
        (there, late)
    }

    /// The members that wait for the server to go back, or to go to the cursor: how they join, and whether they resume
    /// by it.
    fn behind(&mut self, pattern: &Pattern, to_cursor: bool) -> Vec<(TabId, Joining, bool)> {
        let mut behind = Vec::new();
        for (member, seat) in self.seats.iter_mut() {
            if seat.awaits_cursor != to_cursor {
                continue;
            }
            if core::mem::take(&mut seat.awaits_cursor) {
                behind.push((*member, Joining::at_cursor(), true));
            } else if let Place::Behind(start) = &seat.place {
                let joining = Joining::new(pattern, start);
                behind.push((*member, joining, *start != Start::New));
            }
        }
        behind
    }

    /// The starts of the members for which the server has to go back.
    pub(super) fn starts(&self, pattern: &Pattern) -> impl Iterator<Item = Start> {
        self.seats.values().filter_map(|seat| match &seat.place {
            Place::Behind(start) => Some(start.clone()),
            Place::Joining(joining) => Some(joining.start(pattern)),
            Place::Waiting(_) | Place::There => None,
        })
    }

    /// What joining members missed of a topic is lost. Its latest value follows.
    pub(super) fn note_reset(&mut self, topic: &Topic, position: Position) {
        for seat in self.seats.values_mut() {
            if let Place::Joining(joining) = &mut seat.place {
                joining.handle_reset(topic, position);
            }
        }
    }

    /// Ends all joining. Returns the members that were joining.
    fn handle_rewound(&mut self) -> Vec<(TabId, Joining)> {
        self.is_rewinding = false;
        // Every publication was requested at once meanwhile, so nothing conflated is still to arrive.
        self.past = crate::flow::Past::default();
        let mut joined = Vec::new();
        for (member, seat) in self.seats.iter_mut() {
            match core::mem::replace(&mut seat.place, Place::There) {
                Place::Joining(joining) => joined.push((*member, joining)),
                other => seat.place = other,
            }
        }
        joined
    }
}
