//! Subscribing, publishing and presences: the calls that a worker does not need.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tidegate_core::flow::{Flow, FlowError};
use tidegate_core::hub::{DownlinkId, SubscribeError, SubscriptionId};
use tidegate_core::presence::{Key, Roster};
use tidegate_core::protocol::{PublishRequest, SubscribeRequest, TopicPosition};
use tidegate_core::publication::{Position, Publication};
use tidegate_core::time::Instant;
use tidegate_core::topic::Topic;

use super::{AnyHub, Way};
use crate::slot::Handle;

impl AnyHub {
    pub(crate) fn handle_token(&mut self, now: Instant, request: u32, token: Option<String>) {
        each!(&mut self.way,
            hub => hub.handle_token(now, request, token),
            hub => hub.handle_token(now, request, token),
            _ => {}
        );
    }

    pub(crate) fn handle_subscribe(
        &mut self,
        now: Instant,
        downlink: DownlinkId,
        request: SubscribeRequest,
    ) -> Result<SubscriptionId, SubscribeError> {
        each!(&mut self.way,
            hub => hub.handle_subscribe(now, downlink, request),
            hub => hub.handle_subscribe(now, downlink, request),
            _ => unreachable!("a worker has no subscribers")
        )
    }

    pub(crate) fn handle_flush(&mut self, now: Instant) {
        each!(&mut self.way,
            hub => hub.handle_flush(now),
            hub => hub.handle_flush(now),
            _ => {}
        );
    }

    pub(crate) fn resumes_after(&self, id: SubscriptionId) -> Option<Vec<TopicPosition>> {
        each!(&self.way,
            hub => hub.resumes_after(id),
            hub => hub.resumes_after(id),
            _ => None
        )
    }

    pub(crate) fn unanswered_keys(&self) -> Vec<(u64, &str)> {
        each!(&self.way,
            hub => hub.unanswered_keys().collect(),
            hub => hub.unanswered_keys().collect(),
            _ => Vec::new()
        )
    }

    pub(crate) fn handle_handled(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        topic: &Topic,
        position: Position,
    ) {
        each!(&mut self.way,
            hub => hub.handle_handled(now, id, topic, position),
            hub => hub.handle_handled(now, id, topic, position),
            _ => {}
        )
    }

    pub(crate) fn handle_forget(&mut self, now: Instant, id: SubscriptionId) {
        each!(&mut self.way,
            hub => hub.handle_forget(now, id),
            hub => hub.handle_forget(now, id),
            _ => {}
        )
    }

    pub(crate) fn handle_unsubscribe(&mut self, now: Instant, id: SubscriptionId) {
        each!(&mut self.way,
            hub => hub.handle_unsubscribe(now, id),
            hub => hub.handle_unsubscribe(now, id),
            _ => {}
        );
    }

    pub(crate) fn handle_flow(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        flow: Flow,
    ) -> Result<(), FlowError> {
        each!(&mut self.way,
            hub => hub.handle_flow(now, id, flow),
            hub => hub.handle_flow(now, id, flow),
            _ => Ok(())
        )
    }

    pub(crate) fn handle_publish(&mut self, now: Instant, publish: PublishRequest<Handle>) -> u64 {
        each!(&mut self.way,
            hub => hub.handle_publish(now, publish),
            hub => hub.handle_publish(now, publish),
            _ => unreachable!("a worker publishes nothing of its own")
        )
    }

    /// Only an unshared hub has licences: in a tab, updates may come from another tab, and only count under its current
    /// leader.
    #[cfg_attr(feature = "follower", expect(unused_variables))]
    pub(crate) fn has_licence(&self, topic: &Topic) -> bool {
        each!(&self.way, hub => hub.has_licence(topic), _ => false, _ => false)
    }

    pub(crate) fn changes(&self) -> u64 {
        each!(&self.way, hub => hub.changes(), _ => 0, _ => 0)
    }

    #[cfg_attr(feature = "follower", expect(unused_variables))]
    pub(crate) fn handle_handed(&mut self, heard: Instant, publication: &Arc<Publication<Handle>>) {
        each!(&mut self.way, hub => hub.handle_handed(heard, publication), _ => {}, _ => {});
    }

    pub(crate) fn handle_track(
        &mut self,
        now: Instant,
        topic: Topic,
        key: Key,
        meta: Handle,
    ) -> u64 {
        each!(&mut self.way,
            hub => hub.handle_track(now, topic, key, meta),
            hub => hub.handle_track(now, topic, key, meta),
            _ => unreachable!("a worker is present nowhere of its own")
        )
    }

    pub(crate) fn handle_retrack(&mut self, now: Instant, number: u64, meta: Handle) {
        each!(&mut self.way,
            hub => hub.handle_retrack(now, number, meta),
            hub => hub.handle_retrack(now, number, meta),
            _ => {}
        );
    }

    pub(crate) fn handle_untrack(&mut self, now: Instant, number: u64) {
        each!(&mut self.way,
            hub => hub.handle_untrack(now, number),
            hub => hub.handle_untrack(now, number),
            _ => {}
        );
    }

    pub(crate) fn handle_watch(&mut self, now: Instant, topic: &Topic) {
        each!(&mut self.way,
            hub => hub.handle_watch(now, topic),
            hub => hub.handle_watch(now, topic),
            _ => {}
        );
    }

    pub(crate) fn handle_unwatch(&mut self, now: Instant, topic: &Topic) {
        each!(&mut self.way,
            hub => hub.handle_unwatch(now, topic),
            hub => hub.handle_unwatch(now, topic),
            _ => {}
        );
    }

    pub(crate) fn roster(&self, topic: &Topic) -> Option<&Roster<Handle>> {
        each!(&self.way, hub => hub.roster(topic), hub => hub.roster(topic), _ => None)
    }
}
