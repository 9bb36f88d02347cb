//! Durable subscriptions of tabs: they are one device, so what one of them has dealt with, all have.

use super::{Exchange, not_subscribed};
use crate::payload::Payload;
use crate::protocol::{ServerFrame, Start, TopicPosition};
use crate::tabs::message::TabId;
use crate::time::Instant;
use crate::topic::Pattern;

impl<P: Payload + Clone> Exchange<P> {
    pub(super) fn acknowledge(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        positions: &[TopicPosition],
    ) {
        for TopicPosition { topic, position } in positions {
            self.client.handle_handled(now, pattern, topic, *position);
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
