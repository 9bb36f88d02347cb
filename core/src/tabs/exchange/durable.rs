//! Durable subscriptions of tabs: they are one device, so what one of them has dealt with, all have.
//!
//! A tab may die, and nobody notices what it had not dealt with. So whoever joins is given everything after the cursor, to which
//! the subscription upstream goes back ([`Client::handle_durable`]), and what it has dealt with stands for all that lies before. It is said to that
//! tab alone: the others, durable or not, go on with what is new.
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
    /// A member has dealt with everything up to these positions.
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
            // What was of an earlier epoch must not take back who has dealt with something of a later one.
            if epoch.is_none_or(|epoch| epoch == position.epoch) {
                self.client.handle_handled(now, pattern, topic, *position);
            }
        }
    }

    /// A member takes its seat beside others, and the subscription upstream becomes durable by that where it says so.
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

    /// A member wants what the server remembers to be forgotten. The other members' subscriptions go on without.
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
    /// A member subscribes under a name, or under none. Whether the subscription upstream is to become durable by that.
    pub(super) fn become_durable(&mut self, name: Option<DurableName>) -> Result<bool, WireError> {
        let Some(name) = name else {
            return Ok(false);
        };
        if self.durable.as_ref().is_some_and(|known| *known != name) {
            return Err(SubscribeError::OtherDurable.to_wire());
        }
        Ok(self.durable.replace(name).is_none())
    }

    /// A member takes its seat beside others, or another one than it had. Whether it waits for what lies after the cursor: it is durable, and knows nothing that it could go on from.
    fn sit_down(&mut self, member: TabId, request: &SubscribeRequest) -> bool {
        let SubscribeRequest { pattern, start, .. } = request;
        let knows_something = match start {
            Start::Since(known) => !pattern.is_exact() || !matching(pattern, known).is_empty(),
            Start::Latest | Start::New => false,
        };
        let mut seat = Seat::new(request);
        seat.awaits_cursor = seat.is_durable && !knows_something;
        if seat.awaits_cursor {
            // It goes on to be told what it is told, where it had a seat.
            let before = self.seats.remove(&member);
            let place = before.map(|before| before.place);
            seat.place = place.unwrap_or_else(|| Place::Behind(start.clone()));
        }
        let awaits_cursor = seat.awaits_cursor;
        self.seats.insert(member, seat);
        awaits_cursor
    }

    /// Whether a member is durable.
    pub(super) fn has_devices(&self) -> bool {
        self.seats.values().any(|seat| seat.is_durable)
    }

    /// Nobody is durable any more. Returns those who waited for the cursor, although they had a place: what comes is what they wait for.
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

    /// Whether what a member has dealt with stands for everything before. Of one that conflates it does where all do: what it was
    /// not given may be what another one still has to deal with.
    fn stands_for_all(&self, member: TabId) -> bool {
        let conflates = self
            .seats
            .get(&member)
            .is_some_and(|seat| seat.flow.conflates());
        let mut durable = self.seats.values().filter(|seat| seat.is_durable);
        !conflates || durable.all(|seat| seat.flow.conflates())
    }
}
