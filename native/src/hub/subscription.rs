//! A subscription within the process, and its events.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tidegate_core::flow::Flow;
use tidegate_core::hub::SubscriptionId;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{ServerFrame, WireError};
use tidegate_core::publication::Position;
use tidegate_core::topic::Topic;
use tokio::sync::oneshot;

use super::Publication;
use crate::error::{Stopped, SubscribeError};
use crate::json::Json;
use crate::reduce::Reducing;
use crate::shard::{Command, LocalReader};

/// What a subscriber receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A publication.
    Publication(Publication),
    /// The publications of one emission of a `collect` subscription, in order.
    Batch(Vec<Publication>),
    /// Publications of a topic were missed, and can't be recovered. The latest value follows, if there is one.
    Reset {
        /// The topic.
        topic: Topic,
        /// The position of the topic now.
        position: Position,
    },
    /// The reader was too slow: this many publications were dropped, the oldest first.
    Lagged {
        /// How many.
        missed: u64,
    },
    /// The topic has ended, and the stream with it.
    End {
        /// Why.
        reason: EndReason,
    },
    /// The server refused the subscription. The stream ends.
    Refused(WireError),
    /// The link to the backend is lost: values may be out of date until [`Event::Live`]. A client of a server learns of
    /// this by its [status](crate::Client::status) instead.
    Stale,
    /// Values are up to date again.
    Live,
}

/// A subscription within the process: a stream of [`Event`]s. Dropping it unsubscribes. Waiting for its next event may be
/// given up at any time, as `tokio::select!` does, and loses none.
#[must_use = "it unsubscribes when this is dropped"]
pub struct Subscription {
    pub(super) reader: LocalReader,
    pub(super) subscriptions: Vec<SubscriptionId>,
    pub(super) reducing: Reducing,
}

impl Subscription {
    /// Changes the flow of the subscription.
    ///
    /// # Errors
    /// If the flow is out of range (the old one then stays in force), or the hub has stopped.
    pub async fn set_flow(&self, flow: Flow) -> Result<(), SubscribeError> {
        let flow = self.reducing.flow(flow);
        for subscription in &self.subscriptions {
            let (reply, answer) = oneshot::channel();
            self.reader.commands().send(Command::Flow {
                subscription: *subscription,
                flow,
                reply,
            })?;
            answer.await.map_err(|_| Stopped)??;
        }
        Ok(())
    }
}

impl Subscription {
    /// Changes the flow, which must be in range, without waiting until that is done.
    pub(crate) fn request_flow(&self, flow: Flow) -> Result<(), Stopped> {
        let flow = self.reducing.flow(flow);
        self.subscriptions.iter().try_for_each(|subscription| {
            let (reply, _) = oneshot::channel();
            let subscription = *subscription;
            self.reader.commands().send(Command::Flow {
                subscription,
                flow,
                reply,
            })
        })
    }
}

impl Stream for Subscription {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        if let Some(event) = self.reducing.pop() {
            return Poll::Ready(Some(event));
        }
        loop {
            match std::task::ready!(self.reader.poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(frame) => {
                    if let Some(event) = event(frame) {
                        return Poll::Ready(Some(self.reducing.take(event)));
                    }
                }
            }
        }
    }
}

/// The event that a frame is for a subscriber, if any.
pub(crate) fn event(frame: ServerFrame<Json>) -> Option<Event> {
    match frame {
        ServerFrame::Publication { publication, .. } => Some(Event::Publication(publication)),
        ServerFrame::Batch { items, .. } => Some(Event::Batch(items)),
        ServerFrame::Reset {
            topic, position, ..
        } => Some(Event::Reset { topic, position }),
        ServerFrame::Lagged { missed, .. } => Some(Event::Lagged { missed }),
        ServerFrame::End { reason, .. } => Some(Event::End { reason }),
        ServerFrame::Error(error) => Some(Event::Refused(error)),
        ServerFrame::Stale => Some(Event::Stale),
        ServerFrame::Live => Some(Event::Live),
        // A stream within the process gets complete values, and makes no requests to be answered.
        ServerFrame::Delta { .. }
        | ServerFrame::Welcome { .. }
        | ServerFrame::Subscribed { .. }
        | ServerFrame::Unsubscribed { .. }
        | ServerFrame::Published { .. }
        | ServerFrame::PresenceState(_)
        | ServerFrame::PresenceDiff(_)
        | ServerFrame::Ping
        | ServerFrame::Pong
        | ServerFrame::Drain { .. } => None,
    }
}
