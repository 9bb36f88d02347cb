//! Durable subscriptions of tabs: together they are one device, so what one of them has processed counts for all.
//!
//! A tab may die without anyone knowing what it had not processed. So a tab that joins is sent everything after the
//! cursor, to which the subscription upstream goes back ([`Client::handle_durable`]), and what it has processed vouches
//! for everything before. The repeated publications go only to that tab: the others, durable or not, continue with what
//! is new.
//!
//! [`Client::handle_durable`]: crate::client::Client::handle_durable

use alloc::vec::Vec;

use super::route::{Place, Route, Seat};
use super::{Exchange, not_subscribed};
use crate::durable::DurableName;
use crate::hub::SubscribeError;
use crate::joining::matching;
use crate::payload::Payload;
use crate::protocol::{ServerFrame, Start, SubscribeRequest, TopicPosition, WireError};
use crate::tabs::message::TabId;
use crate::time::Instant;
use crate::topic::Pattern;

impl<P: Payload + Clone> Exchange<P> {
    /// A member has processed everything up to these positions.
    pub(super) fn acknowledge(
        &mut self,
        now: Instant,
        member: TabId,
        pattern: &Pattern,
        positions: &[TopicPosition],
    ) {
        let route = self.routes.get(pattern);
        if route.is_some_and(|route| !route.stands_for_all(member)) {
            return;
        }
        for TopicPosition { topic, position } in positions {
            let epoch = route.and_then(|route| route.epoch(topic));
            // A position of an earlier epoch must not set back a device that has processed something of a later one.
            if epoch.is_none_or(|epoch| epoch == position.epoch) {
                self.client.handle_handled(now, pattern, topic, *position);
            }
        }
        // They have waited in the tab, which may be the last one, or the one that holds the connection, and about to
        // close.
        self.client.handle_pause(now);
    }

    /// Adds a member to a pattern that others follow; this may make the subscription upstream durable.
    pub(super) fn sit_beside(
        &mut self,
        member: TabId,
        request: &SubscribeRequest,
        becomes_durable: bool,
    ) {
        let pattern = &request.pattern;
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        let awaits_cursor = route.sit_down(member, request);
        let name = route.durable.clone();
        let name = name.filter(|_| becomes_durable || awaits_cursor);
        route.is_rewinding |= name.is_some();
        let before = route.aggregate();
        self.push_up(pattern, before);
        if let Some(name) = name {
            let start = request.start.clone();
            self.client.handle_durable(pattern, start, name);
        }
        if !awaits_cursor {
            self.join(member, pattern);
        }
    }

    /// A member deletes the device's cursor. The other members' subscriptions continue without it.
    pub(super) fn forget(&mut self, now: Instant, member: TabId, pattern: Pattern) {
        let route = self.routes.get_mut(&pattern);
        let Some(route) = route.filter(|route| route.seats.contains_key(&member)) else {
            return self.fail(member, not_subscribed(pattern));
        };
        let was_durable = route.durable.take().is_some();
        if was_durable {
            self.client.handle_forget(&pattern);
        }
        self.leave(member, &pattern);
        self.one(
            member,
            ServerFrame::Unsubscribed {
                pattern: pattern.clone(),
            },
        );
        let Some(route) = self.routes.get_mut(&pattern).filter(|_| was_durable) else {
            return;
        };
        let waited = route.forget_devices();
        route.aggregate();
        let start = route.go_on(&pattern);
        self.follow(now, &pattern, start);
        for member in waited {
            self.confirm(member, &pattern, true);
        }
    }
}

impl<P> Route<P> {
    /// Notes a member's device name, if it gave one. Returns whether the subscription upstream has to become durable.
    pub(super) fn become_durable(&mut self, name: Option<DurableName>) -> Result<bool, WireError> {
        let Some(name) = name else {
            return Ok(false);
        };
        if self.durable.as_ref().is_some_and(|known| *known != name) {
            return Err(SubscribeError::OtherDurable.to_wire());
        }
        Ok(self.durable.replace(name).is_none())
    }

    /// Adds a member, or replaces its subscription. Returns whether it waits for what follows the cursor: it is
    /// durable, and has no positions of its own to continue from.
    fn sit_down(&mut self, member: TabId, request: &SubscribeRequest) -> bool {
        let SubscribeRequest { pattern, start, .. } = request;
        let knows_something = match start {
            Start::Since(known) => !pattern.is_exact() || !matching(pattern, known).is_empty(),
            Start::Latest | Start::New => false,
        };
        let mut seat = Seat::new(request);
        seat.awaits_cursor = seat.is_durable && !knows_something;
        if seat.awaits_cursor {
            // If it had a subscription, it goes on getting what that one gets.
            let before = self.seats.remove(&member);
            let place = before.map(|before| before.place);
            seat.place = place.unwrap_or_else(|| Place::Behind(start.clone()));
        }
        let awaits_cursor = seat.awaits_cursor;
        self.seats.insert(member, seat);
        awaits_cursor
    }

    /// Returns whether any member is durable.
    pub(super) fn has_devices(&self) -> bool {
        self.seats.values().any(|seat| seat.is_durable)
    }

    /// No member is durable any more. Returns the members that waited for the cursor while their earlier subscription
    /// continued: they have nothing to wait for now.
    fn forget_devices(&mut self) -> Vec<TabId> {
        let mut waited = Vec::new();
        for (member, seat) in self.seats.iter_mut() {
            seat.is_durable = false;
            if core::mem::take(&mut seat.awaits_cursor) {
                match &seat.place {
                    Place::Behind(start) => seat.place = Place::Waiting(start.clone()),
                    Place::Waiting(_) | Place::Joining(_) | Place::There => waited.push(*member),
                }
            }
        }
        waited
    }

    /// Returns whether what a member has processed vouches for everything before it. If it conflates, that is so only
    /// if all durable members do: another one may still have to process what this one was not given.
    fn stands_for_all(&self, member: TabId) -> bool {
        let conflates = self
            .seats
            .get(&member)
            .is_some_and(|seat| seat.flow.conflates());
        let mut durable = self.seats.values().filter(|seat| seat.is_durable);
        !conflates || durable.all(|seat| seat.flow.conflates())
    }
}
