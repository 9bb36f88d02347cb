//! A client of a hub in another process: one WebSocket, which connects again and resumes by itself.
//!
//! ```no_run
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tidegate::{Client, Publish};
//!
//! let client = Client::connect("http://127.0.0.1:8420").await?;
//! client.publish("job:42", &serde_json::json!({"progress": 0.5})).await?;
//! client.publish_with("job:42", &serde_json::json!({"progress": 1.0}), Publish::end("complete".parse()?)).await?;
//! # Ok(()) }
//! ```

mod driver;
mod queue;
mod url;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::Serialize;
use tidegate_core::client::ConnectionState;
use tidegate_core::flow::Flow;
use tidegate_core::hub::SubscriptionId;
use tidegate_core::protocol::WireError;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, TopicError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::hub::{Event, event};
use crate::{JsonError, Publish, Subscribe};
use driver::{Driver, Request};
use queue::Queue;
pub use url::UrlError;

/// The most bytes that wait for a slow reader of a subscription before the oldest publications are shed.
const QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// Why a client could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address of the server is not one.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The first attempt to connect failed.
    #[error("cannot reach {url}: {reason}; is a server running there? (tidegate serve)")]
    Unreachable {
        /// Where to.
        url: String,
        /// What the system or the server said.
        reason: String,
    },
    /// A topic or pattern breaks the syntax.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The payload has no JSON form.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The server refused it.
    #[error(transparent)]
    Refused(#[from] WireError),
    /// The subscription was refused before it was sent.
    #[error(transparent)]
    Subscribe(#[from] tidegate_core::hub::SubscribeError),
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}

/// What is known of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: ConnectionState,
    /// Why the last attempt failed or the last connection ended, if any did.
    pub last_error: Option<String>,
}

/// A connection to a hub. Clones share it; it closes when the last one and all subscriptions are gone.
#[derive(Clone)]
pub struct Client {
    requests: mpsc::UnboundedSender<Request>,
    status: watch::Receiver<Status>,
    url: Arc<str>,
}

impl Client {
    /// Starts to connect to a server, such as `http://127.0.0.1:8420`, and returns at once. What is asked for before
    /// the connection stands is done then. Needs a tokio runtime.
    ///
    /// # Errors
    /// When `url` is not the address of a server.
    pub fn start(url: &str) -> Result<Self, UrlError> {
        let socket_url = url::socket_url(url)?;
        let (requests, receiver) = mpsc::unbounded_channel();
        let (status_sender, status) = watch::channel(Status {
            state: ConnectionState::Disconnected,
            last_error: None,
        });
        tokio::spawn(Driver::new(socket_url, receiver, status_sender).run());
        Ok(Self {
            requests,
            status,
            url: url.into(),
        })
    }

    /// Connects to a server, and returns once it has said welcome or the first attempt has failed.
    ///
    /// # Errors
    /// When `url` is not an address, or no server answers there.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        let client = Self::start(url)?;
        let mut status = client.status.clone();
        loop {
            {
                let now = status.borrow_and_update();
                if now.state == ConnectionState::Connected {
                    break;
                }
                if let Some(reason) = &now.last_error {
                    return Err(ClientError::Unreachable {
                        url: url.to_owned(),
                        reason: reason.clone(),
                    });
                }
            }
            status.changed().await.map_err(|_| ClientError::Closed)?;
        }
        Ok(client)
    }

    /// The connection's state, now and as it changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// The address that the client was given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Publishes a value to a topic. Waits for the connection, and repeats what a lost one left unanswered: the
    /// publication happens once.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub async fn publish(
        &self,
        topic: &str,
        value: &impl Serialize,
    ) -> Result<Position, ClientError> {
        self.publish_with(topic, value, Publish::default()).await
    }

    /// Publishes a value to a topic: as its last one, under an idempotency key, or starting it anew.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub async fn publish_with(
        &self,
        topic: &str,
        value: &impl Serialize,
        publish: Publish,
    ) -> Result<Position, ClientError> {
        self.enqueue(topic, value, publish)?.await
    }

    /// Queues a publish and returns its answer to come. What is queued by one caller is published in that order,
    /// without waiting for each answer.
    ///
    /// # Errors
    /// As [`ClientError`] says; what the server refuses is told by the answer.
    pub fn enqueue(
        &self,
        topic: &str,
        value: &impl Serialize,
        publish: Publish,
    ) -> Result<Answer, ClientError> {
        let publish = publish.request::<ClientError>(topic, value)?;
        let (reply, answer) = oneshot::channel();
        self.send(Request::Publish { publish, reply })?;
        Ok(Answer(answer))
    }

    /// Subscribes to a topic or pattern, from its latest value on.
    ///
    /// # Errors
    /// As [`ClientError`] says. What the server refuses comes as [`Event::Refused`].
    pub async fn subscribe(&self, pattern: &str) -> Result<ClientSubscription, ClientError> {
        self.subscribe_with(pattern, Subscribe::default()).await
    }

    /// Subscribes to a topic or pattern with a flow and a start.
    ///
    /// # Errors
    /// As [`ClientError`] says. What the server refuses comes as [`Event::Refused`].
    pub async fn subscribe_with(
        &self,
        pattern: &str,
        options: Subscribe,
    ) -> Result<ClientSubscription, ClientError> {
        let queue = Arc::new(Queue::new(
            options.outbox_bytes_max.unwrap_or(QUEUE_BYTES_MAX),
        ));
        let (reply, answer) = oneshot::channel();
        self.send(Request::Subscribe {
            pattern: Pattern::new(pattern)?,
            flow: options.flow,
            start: options.start,
            queue: Arc::clone(&queue),
            reply,
        })?;
        let id = answer.await.map_err(|_| ClientError::Closed)??;
        Ok(ClientSubscription {
            id,
            queue,
            requests: self.requests.clone(),
        })
    }

    /// Closes the connection. What is unanswered fails.
    pub fn close(&self) {
        // A driver that is gone has closed it.
        let _ = self.requests.send(Request::Close);
    }

    fn send(&self, request: Request) -> Result<(), ClientError> {
        self.requests.send(request).map_err(|_| ClientError::Closed)
    }
}

/// The answer to a publish that was queued by [`Client::enqueue`]. Dropping it leaves the publish as it is.
pub struct Answer(oneshot::Receiver<Result<Position, WireError>>);

impl Future for Answer {
    type Output = Result<Position, ClientError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(match answer {
            Ok(result) => result.map_err(ClientError::from),
            Err(_) => Err(ClientError::Closed),
        })
    }
}

/// A subscription over a connection: a stream of its [`Event`]s. Dropping it unsubscribes.
pub struct ClientSubscription {
    id: SubscriptionId,
    queue: Arc<Queue>,
    requests: mpsc::UnboundedSender<Request>,
}

impl ClientSubscription {
    /// Changes the subscription's flow. One that is out of range is refused, and the old one stays.
    ///
    /// # Errors
    /// When the flow is out of range or the client was closed.
    pub fn set_flow(&self, flow: Flow) -> Result<(), ClientError> {
        flow.validate()
            .map_err(tidegate_core::hub::SubscribeError::from)?;
        let request = Request::Flow { id: self.id, flow };
        self.requests.send(request).map_err(|_| ClientError::Closed)
    }
}

impl Stream for ClientSubscription {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        loop {
            match std::task::ready!(self.queue.poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(frame) => {
                    if let Some(event) = event(frame) {
                        return Poll::Ready(Some(event));
                    }
                }
            }
        }
    }
}

impl Drop for ClientSubscription {
    fn drop(&mut self) {
        // A driver that is gone has no subscriptions.
        let _ = self.requests.send(Request::Unsubscribe(self.id));
    }
}
