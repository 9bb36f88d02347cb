//! Durable subscriptions of tabs: they are one device, so what one of them has dealt with, all have.
//!
//! A tab may die, and nobody notices what it had not dealt with. So whoever joins is given everything after the cursor, which
//! the server is asked for anew, and what it has dealt with stands for all that lies before. Those who have seen it drop it.

use super::route::Route;
use super::wanted::Wanted;
use super::{Exchange, not_subscribed};
use crate::durable::DurableName;
use crate::flow::Flow;
use crate::hub::SubscribeError;
use crate::joining::matching;
use crate::payload::Payload;
use crate::protocol::{ServerFrame, Start, TopicPosition, WireError};
use crate::tabs::message::TabId;
use crate::time::Instant;
use crate::topic::Pattern;

/// How a member of a durable subscription begins that can't go on from what it knows.
pub(super) enum Begins {
    /// The server is to be asked for this.
    Anew(Start),
    /// What others have asked for is not there yet, and is what it needs.
    WithOthers,
}

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

    /// A member of a durable subscription has taken its seat. `before` is what the server was asked for until then.
    pub(super) fn begin(&mut self, now: Instant, pattern: &Pattern, begins: Begins, before: Flow) {
        match begins {
            Begins::Anew(start) => self.follow(now, pattern, start),
            Begins::WithOthers => self.push_up(pattern, before),
        }
    }

    /// A member that is not durable has taken its seat beside those who are.
    pub(super) fn join_durable(
        &mut self,
        now: Instant,
        member: TabId,
        pattern: &Pattern,
        start: &Start,
    ) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        let Some(flow) = route.seats.get(&member).map(|seat| seat.flow) else {
            return;
        };
        if route.is_confirmed && route.catch_up(pattern, flow, start).is_some() {
            return self.join(member, pattern);
        }
        let needs_all = !flow.conflates() && !route.past.is_whole();
        if let Some(wanted) = route.want(pattern, start, needs_all) {
            route.begin();
            self.follow(now, pattern, wanted);
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
        if was_durable
            && let Some(route) = self.routes.get_mut(&pattern)
            && let Some(wanted) = route.want(&pattern, &Start::New, true)
        {
            route.begin();
            self.follow(now, &pattern, wanted);
        }
    }
}

impl<P> Route<P> {
    /// A member subscribes under a name, or under none. How it begins, unless as one that is not durable does.
    pub(super) fn begin_durable(
        &mut self,
        pattern: &Pattern,
        start: &Start,
        name: Option<DurableName>,
    ) -> Result<Option<Begins>, WireError> {
        let Some(name) = name else {
            return Ok(None);
        };
        if self.durable.as_ref().is_some_and(|known| *known != name) {
            return Err(SubscribeError::OtherDurable.to_wire());
        }
        let is_first = self.durable.replace(name).is_none();
        let knows_something = match start {
            Start::Since(known) => !pattern.is_exact() || !matching(pattern, known).is_empty(),
            Start::Latest | Start::New => false,
        };
        if knows_something {
            if is_first {
                // The others drop what they have seen of what the cursor is behind.
                self.want(pattern, start, true);
            }
            return Ok(is_first.then(|| Begins::Anew(start.clone())));
        }
        let is_asked = !is_first && !self.is_confirmed && self.wanted.is_at_cursor();
        self.wanted = Wanted::at_cursor();
        self.is_confirmed = false;
        Ok(Some(if is_asked {
            Begins::WithOthers
        } else if is_first {
            Begins::Anew(start.clone())
        } else {
            Begins::Anew(Start::Latest)
        }))
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
