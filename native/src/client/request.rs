//! Requests to a client's task.

use std::sync::Arc;

use tidegate_core::flow::Flow;
use tidegate_core::hub::{SubscribeError, SubscriptionId};
use tidegate_core::protocol::{PublishRequest, SubscribeRequest, WireError};
use tidegate_core::publication::Position;
use tidegate_core::topic::Topic;
use tokio::sync::{mpsc, oneshot};

use super::lease::Lease;
use super::presence_requests::PresenceRequest;
use super::queue::Queue;
use crate::json::Json;

/// A request to a client's task.
pub(super) enum Request {
    Publish {
        publish: PublishRequest<Json>,
        reply: oneshot::Sender<Result<Position, WireError>>,
    },
    Subscribe {
        subscribe: SubscribeRequest,
        queue: Arc<Queue>,
        reply: oneshot::Sender<Result<(SubscriptionId, Lease), SubscribeError>>,
        /// The channel by which the subscription is released.
        requests: mpsc::UnboundedSender<Self>,
    },
    Unsubscribe(SubscriptionId),
    /// The reader of a durable subscription has processed this.
    Handled {
        id: SubscriptionId,
        topic: Topic,
        position: Position,
    },
    /// Forgets a durable subscription.
    Forget(SubscriptionId),
    Flow {
        id: SubscriptionId,
        flow: Flow,
    },
    Presence(PresenceRequest),
    Close,
}
