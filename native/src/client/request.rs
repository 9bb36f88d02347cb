//! What a client's task is asked.

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

/// What a client's owners ask of its task.
pub(super) enum Request {
    Publish {
        publish: PublishRequest<Json>,
        reply: oneshot::Sender<Result<Position, WireError>>,
    },
    Subscribe {
        subscribe: SubscribeRequest,
        queue: Arc<Queue>,
        reply: oneshot::Sender<Result<(SubscriptionId, Lease), SubscribeError>>,
        /// Where the subscription is given back.
        requests: mpsc::UnboundedSender<Self>,
    },
    Unsubscribe(SubscriptionId),
    /// A durable subscription's reader has dealt with this.
    Handled {
        id: SubscriptionId,
        topic: Topic,
        position: Position,
    },
    /// A durable subscription is to be forgotten.
    Forget(SubscriptionId),
    Flow {
        id: SubscriptionId,
        flow: Flow,
    },
    Presence(PresenceRequest),
    Close,
}
