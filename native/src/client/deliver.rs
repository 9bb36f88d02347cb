//! Moves what is due to a client's subscriptions into their queues.

use tidegate_core::hub::{Due, SubscriptionId};
use tidegate_core::protocol::ServerFrame;

use super::driver::Driver;
use crate::json::Json;

impl Driver {
    pub(super) fn deliver(&mut self, due: Due<Json>) {
        match due {
            Due::Deliver { delivery, .. } => {
                if let Some(queue) = self.queues.get(&delivery.subscription) {
                    queue.push_delivery(delivery);
                }
            }
            Due::Reset {
                subscription,
                topic,
                position,
                via,
                ..
            } => self.push_frame(
                subscription,
                ServerFrame::Reset {
                    topic,
                    position,
                    via,
                },
            ),
            Due::Lagged {
                subscription,
                pattern,
                missed,
                ..
            } => self.push_frame(subscription, ServerFrame::Lagged { pattern, missed }),
            Due::End {
                subscription,
                pattern,
                reason,
                ..
            } => self.finish(subscription, ServerFrame::End { pattern, reason }),
            Due::Refused {
                subscription,
                error,
                ..
            } => self.finish(subscription, ServerFrame::Error(error)),
        }
    }

    fn push_frame(&self, subscription: SubscriptionId, frame: ServerFrame<Json>) {
        if let Some(queue) = self.queues.get(&subscription) {
            queue.push_frame(frame);
        }
    }

    fn finish(&mut self, subscription: SubscriptionId, last: ServerFrame<Json>) {
        if let Some(queue) = self.queues.remove(&subscription) {
            queue.push_frame(last);
            queue.finish();
        }
    }
}
