//! The link of a client to a hub in its own process, and through it to a backend.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream as _;
use tidegate_core::client::{ClosedReason, ConnectionState};
use tidegate_core::flow::Flow;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::answer::Receiving;
use super::{ClientError, Status, thread};
use crate::hub::{BackendHealth, BackendLink, Presence};
use crate::{Event, Hub, Json, Publication, Subscribe, Subscription, TopicHistory};

pub(super) struct HubLink {
    hub: Hub,
    /// Whether the hub is there for this client only.
    is_own: bool,
    status: watch::Sender<Status>,
    /// The task that follows the backend's health.
    follower: Option<AbortHandle>,
}

impl HubLink {
    pub(super) fn new(hub: Hub, is_own: bool) -> Result<Arc<Self>, ClientError> {
        let health = hub.backend();
        let state = match &health {
            Some(health) => state(&health.borrow()),
            None => ConnectionState::Connected,
        };
        let status = watch::Sender::new(Status {
            state,
            last_error: None,
            publish_rate: None,
            fault: None,
        });
        let follower = match health {
            Some(health) => {
                let following = thread::runtime()?.spawn(pass_on(health, status.clone()));
                Some(following.abort_handle())
            }
            None => None,
        };
        Ok(Arc::new(Self {
            hub,
            is_own,
            status,
            follower,
        }))
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(super) fn publish(&self, request: PublishRequest<Json>) -> Result<Receiving, ClientError> {
        self.check()?;
        let answer = self.hub.begin_request(request);
        Ok(Receiving::Hub(answer.map_err(|_| ClientError::Closed)?))
    }

    pub(super) async fn subscribe(
        self: &Arc<Self>,
        pattern: &str,
        options: Subscribe,
    ) -> Result<HubSubscription, ClientError> {
        self.check()?;
        let mut status = self.status();
        let closed = Box::pin(async move {
            // If the sender is gone, the link is closed.
            let _ = status.wait_for(is_closed).await;
        });
        let opening = std::pin::pin!(self.hub.subscribe_with(pattern, options));
        match futures_util::future::select(closed, opening).await {
            futures_util::future::Either::Left(_) => Err(ClientError::Closed),
            futures_util::future::Either::Right((opened, closed)) => Ok(HubSubscription {
                subscription: opened?,
                closed,
                _link: Arc::clone(self),
            }),
        }
    }

    pub(super) async fn latest(&self, topic: &str) -> Result<Option<Publication>, ClientError> {
        self.check()?;
        Ok(self.hub.latest(topic).await?)
    }

    pub(super) async fn latest_matching(
        &self,
        pattern: &str,
    ) -> Result<Vec<Publication>, ClientError> {
        self.check()?;
        Ok(self.hub.latest_matching(pattern).await?)
    }

    pub(super) async fn history(
        &self,
        topic: &str,
        since: Option<Position>,
    ) -> Result<TopicHistory, ClientError> {
        self.check()?;
        Ok(self.hub.history(topic, since).await?)
    }

    pub(super) fn presence(&self, topic: &str) -> Result<Presence, ClientError> {
        self.check()?;
        if self.is_own {
            return Err(ClientError::NoPresence);
        }
        Ok(self.hub.presence(topic)?)
    }

    pub(super) fn close(&self) {
        self.status.send_modify(|status| {
            status.state = ConnectionState::Closed(ClosedReason::ByUser);
        });
        if self.is_own {
            self.hub.stop();
        }
    }

    /// Returns once the hub has stopped, if it is the client's own.
    pub(super) async fn closed(&self) {
        if self.is_own {
            self.hub.stopped().await;
        }
    }

    fn check(&self) -> Result<(), ClientError> {
        if is_closed(&self.status.borrow()) {
            return Err(ClientError::Closed);
        }
        Ok(())
    }
}

impl Drop for HubLink {
    fn drop(&mut self) {
        if let Some(follower) = &self.follower {
            follower.abort();
        }
    }
}

fn is_closed(status: &Status) -> bool {
    matches!(status.state, ConnectionState::Closed(_))
}

fn state(health: &BackendHealth) -> ConnectionState {
    match health.link {
        BackendLink::Opening => ConnectionState::Connecting { attempt: 0 },
        BackendLink::Live => ConnectionState::Connected,
        BackendLink::Stale => ConnectionState::Stale,
    }
}

/// Derives the client's status from the backend's health, until either is dropped.
async fn pass_on(mut health: watch::Receiver<BackendHealth>, status: watch::Sender<Status>) {
    loop {
        let now = health.borrow_and_update().clone();
        status.send_if_modified(|status| {
            let next = Status {
                state: state(&now),
                last_error: now.last_error.as_ref().map(ToString::to_string),
                publish_rate: None,
                fault: None,
            };
            let is_news = !is_closed(status) && *status != next;
            if is_news {
                *status = next;
            }
            is_news
        });
        if health.changed().await.is_err() {
            return;
        }
    }
}

/// A subscription to the hub. It keeps the client alive.
pub(super) struct HubSubscription {
    subscription: Subscription,
    closed: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    _link: Arc<HubLink>,
}

impl HubSubscription {
    pub(super) fn set_flow(&self, flow: Flow) -> Result<(), ClientError> {
        self.subscription
            .request_flow(flow)
            .map_err(|_| ClientError::Closed)
    }

    pub(super) fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        match Pin::new(&mut self.subscription).poll_next(context) {
            Poll::Ready(event) => Poll::Ready(event),
            Poll::Pending => self.closed.as_mut().poll(context).map(|()| None),
        }
    }
}
