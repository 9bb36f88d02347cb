//! How a subscription starts if others follow the pattern already.

use alloc::sync::Arc;

use super::route::Route;
use super::{Above, Relay};
use crate::flow::Flow;
use crate::hub::due::SubscriptionId;
use crate::joining::Continuation;
use crate::payload::Payload;
use crate::protocol::TopicPosition;
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::topic::Pattern;

impl<P: Payload> Relay<P> {
    /// Hands one subscriber a publication that was seen here before, at its pace.
    pub(in crate::hub) fn hand_on(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        publication: &Arc<Publication<P>>,
    ) {
        self.subscribers.deliver(now, id.index(), publication);
    }

    pub(super) fn deliver_latest(&mut self, now: Instant, id: SubscriptionId, pattern: &Pattern) {
        for (_, latest) in self.routes[pattern].topics.iter() {
            self.subscribers.deliver(now, id.index(), latest);
        }
    }

    /// Brings a resuming subscriber up to what was last seen here. There is no history here: if it misses more than the
    /// latest value and the uplink may have the rest, it has been made to wait instead.
    pub(super) fn resume(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        pattern: &Pattern,
        flow: Flow,
        known: &[TopicPosition],
    ) {
        let route = &self.routes[pattern];
        if route.starting.is_some() && self.above != Above::OtherClock {
            // It starts together with the first subscriber; the uplink will say whether anything is lost.
            return;
        }
        for (topic, latest) in route.topics.iter() {
            let continuation = match Route::before(pattern, topic, latest, known) {
                Some(known) => Route::continuation(known, latest, flow.skips()),
                None => Continuation::Latest,
            };
            if continuation == Continuation::Reset {
                self.subscribers
                    .reset(now, id.index(), topic, latest.position);
            }
            if continuation != Continuation::Nothing {
                self.subscribers.deliver(now, id.index(), latest);
            }
        }
        for TopicPosition { topic, position } in known {
            let has_begun = *position != Position::default();
            if has_begun && pattern.matches(topic) && route.latest(topic).is_none() {
                self.subscribers
                    .reset(now, id.index(), topic, Position::default());
            }
        }
    }
}
