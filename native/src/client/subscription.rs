//! A client's subscription, as a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tidegate_core::flow::Flow;
use tidegate_core::hub::SubscribeError;

use super::ClientError;
use super::local::HubSubscription;
use super::server::ServerSubscription;
use crate::Event;
use crate::hub::event;

/// A subscription of a client: a stream of [`Event`]s. Dropping it unsubscribes. Waiting for its next event may be given up
/// at any time, as `tokio::select!` does, and loses none.
#[must_use = "dropping a subscription unsubscribes"]
pub struct ClientSubscription(pub(super) Source);

pub(super) enum Source {
    Server(ServerSubscription),
    Hub(Box<HubSubscription>),
}

impl ClientSubscription {
    /// Changes the flow of the subscription.
    ///
    /// # Errors
    /// If the flow is out of range (the old one then stays in force), or the client was closed.
    pub fn set_flow(&self, flow: Flow) -> Result<(), ClientError> {
        flow.validate().map_err(SubscribeError::from)?;
        match &self.0 {
            Source::Server(subscription) => subscription.set_flow(flow),
            Source::Hub(subscription) => subscription.set_flow(flow),
        }
    }
}

impl ClientSubscription {
    /// Confirms that everything received so far has been processed, so that a durable subscription doesn't receive it
    /// again. Requesting the next event confirms the same; this does it without waiting for one. So don't read ahead of
    /// what is processed, as stream adapters such as `ready_chunks` and `forward` do.
    pub fn handled(&mut self) {
        match &mut self.0 {
            Source::Server(subscription) => subscription.handle_handled(),
            Source::Hub(_) => {}
        }
    }

    /// Ends a durable subscription for good: the server forgets its position. Without a connection, it forgets it when
    /// it has been unused for too long.
    ///
    /// # Errors
    /// If the client was closed.
    pub fn forget(self) -> Result<(), ClientError> {
        match &self.0 {
            Source::Server(subscription) => subscription.forget(),
            Source::Hub(_) => Ok(()),
        }
    }
}

impl Stream for ClientSubscription {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        match &mut self.0 {
            Source::Server(subscription) => loop {
                if let Some(event) = subscription.reducing.pop() {
                    return Poll::Ready(Some(event));
                }
                subscription.handle_handled();
                match ready!(subscription.queue.poll_frame(context)) {
                    None => return Poll::Ready(None),
                    Some(frame) => {
                        if let Some(event) = event(frame) {
                            subscription.hand(&event);
                            return Poll::Ready(Some(subscription.reducing.take(event)));
                        }
                    }
                }
            },
            Source::Hub(subscription) => subscription.poll_event(context),
        }
    }
}
