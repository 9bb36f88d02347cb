//! Clients of topics that live elsewhere: on a server, over one WebSocket that reconnects and resumes by itself; or in
//! a backend, without any server.
//!
//! ```no_run
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tidegate::{Client, EndReason, Publish};
//!
//! let client = Client::connect("http://127.0.0.1:8420").await?;
//! client.publish("job:42", &serde_json::json!({"progress": 0.5})).await?;
//! client.publish_with("job:42", &serde_json::json!({"progress": 1.0}), Publish::end(EndReason::Complete)).await?;
//! # Ok(()) }
//! ```
//!
//! A background job that shares only a backend with those who watch uses [`Client::from_env`], and [`Client::blocking`]
//! if it has no async runtime. Clients do their work on a thread of their own.

mod address;
mod answer;
mod blocking;
mod chosen;
mod deliver;
mod driver;
mod endpoints;
mod error;
mod fault;
mod lease;
mod line;
mod listen;
mod local;
mod lookup;
mod options;
mod presence;
mod presence_requests;
mod queue;
mod request;
mod server;
mod socket;
mod stream;
mod subscription;
mod thread;
#[cfg(feature = "tls")]
mod tls;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tidegate_core::client::ConnectionState;
use tidegate_core::protocol::ServerFrame;
use tidegate_core::publication::Position;
use tidegate_core::rate::Rate;
use tidegate_core::topic::Pattern;
use tokio::sync::watch;

use crate::backend::Backend;
use crate::{Config, Hub, Json, Publish, Subscribe};
pub use address::{ServerAddress, UrlError};
pub use answer::Answer;
use answer::Unanswered;
pub use blocking::BlockingClient;
pub use error::{ClientError, HandshakeError, ReachError, TrustError};
use fault::Fault;
pub use listen::Stop;
use local::HubLink;
pub use options::{ClientOptions, Token, Trust};
pub use presence::{ClientPresence, ClientPresenceChanges, ClientTracked};
use server::ServerLink;
pub use stream::ServerStream;
pub use subscription::ClientSubscription;
use subscription::Source;

/// How long closing waits for answers to what was queued.
const FLUSH_MAX: Duration = Duration::from_secs(10);

/// The state of a client's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The state.
    pub state: ConnectionState,
    /// Why the last attempt failed or the last connection ended, if one did: also while a refused token is replaced.
    pub last_error: Option<String>,
    /// How often the server lets this client publish, if it limits that. Publishes beyond that are refused with the
    /// code
    /// [`TooManyRequests`](tidegate_core::protocol::ErrorCode::TooManyRequests).
    pub publish_rate: Option<Rate>,
    /// The cause behind `last_error`, for code to match on.
    fault: Option<Fault>,
}

impl Status {
    fn note(&mut self, fault: Fault) {
        self.last_error = Some(fault.to_string());
        self.fault = Some(fault);
    }

    /// Takes over the limits that a server states in its welcome.
    fn take_limits(status: &watch::Sender<Self>, frame: &ServerFrame<Json>) {
        if let ServerFrame::Welcome { publish_rate, .. } = frame {
            status.send_if_modified(|known| {
                std::mem::replace(&mut known.publish_rate, *publish_rate) != *publish_rate
            });
        }
    }
}

/// A client of a server or of a backend.
///
/// Clones are handles to the same client. It closes when the last of them and all of its subscriptions are dropped.
#[derive(Clone)]
pub struct Client {
    link: Link,
    unanswered: Arc<Unanswered>,
    place: Arc<str>,
}

#[derive(Clone)]
enum Link {
    Server(Arc<ServerLink>),
    Hub(Arc<HubLink>),
}

impl Client {
    /// Starts to connect to a server, such as `http://127.0.0.1:8420`, `https://progress.example` or
    /// `unix:/run/tidegate/tidegate.sock`, and returns at once. Requests made before there is a connection wait for it.
    ///
    /// # Errors
    /// If `url` is not the address of a server, or the system provides no thread.
    pub fn start(url: &str) -> Result<Self, ClientError> {
        Self::start_with(url, ClientOptions::default())
    }

    /// Like [`Client::start`], with options, such as a token for a server that authenticates its clients.
    ///
    /// # Errors
    /// As for [`Client::start`]. If the token is refused, publishes fail and subscriptions are
    /// [refused](crate::Event::Refused).
    pub fn start_with(url: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let link = Link::Server(Arc::new(ServerLink::start(url, options)?));
        Ok(Self::new(link, url))
    }

    /// Connects to a server, and returns when the server has welcomed the client or the first attempt has failed: after
    /// 10 s at most, and another 30 s if a token has to be requested. If this future is dropped, the client
    /// disconnects.
    ///
    /// # Errors
    /// If `url` is not an address, or no server answers there or accepts a client now.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        Self::connect_with(url, ClientOptions::default()).await
    }

    /// Like [`Client::connect`], with options, such as a token for a server that authenticates its clients.
    ///
    /// # Errors
    /// As for [`Client::connect`]; also if no token can be had, or the server refuses it.
    pub async fn connect_with(url: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let link = Arc::new(ServerLink::start(url, options)?);
        link.connected(url).await?;
        Ok(Self::new(Link::Server(link), url))
    }

    /// A client of a backend, without a server. The link is opened at once, and again whenever it is lost; publications
    /// and subscriptions that come before wait for it.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub fn with_backend(backend: Arc<dyn Backend>) -> Result<Self, ClientError> {
        let place = backend.describe();
        let hub = Hub::with_backend(Self::own_hub(), backend)?;
        Self::own(hub, &place)
    }

    /// A client of a hub in this process. Closing the client doesn't stop the hub.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub fn from_hub(hub: Hub) -> Result<Self, ClientError> {
        let place = match hub.backend() {
            Some(health) => health.borrow().name.clone(),
            None => "this process".to_owned(),
        };
        Ok(Self::new(Link::Hub(HubLink::new(hub, false)?), &place))
    }

    /// The configuration of a client's own hub. It shares no presence, because nothing is tracked there.
    pub(crate) fn own_hub() -> Config {
        Config {
            shares_presence: false,
            ..Config::default()
        }
    }

    /// A client that has a hub of its own.
    fn own(hub: Hub, place: &str) -> Result<Self, ClientError> {
        Ok(Self::new(Link::Hub(HubLink::new(hub, true)?), place))
    }

    fn new(link: Link, place: &str) -> Self {
        Self {
            link,
            unanswered: Arc::default(),
            place: place.into(),
        }
    }

    /// The connection's state, now and as it changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        match &self.link {
            Link::Server(link) => link.status.clone(),
            Link::Hub(link) => link.status(),
        }
    }

    fn is_closed(&self) -> bool {
        matches!(self.status().borrow().state, ConnectionState::Closed(_))
    }

    /// Where the topics are, for people: the server's address as it was given, or the backend, without its password.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Publishes a value to a topic, and returns when it is published.
    ///
    /// This waits for a server as long as it takes. A publish that a lost connection leaves unanswered is repeated, and
    /// takes effect once. A backend that can't be reached is waited for 10 s: see [`UplinkConfig::publish_patience`].
    ///
    /// At most 1,024 publishes of a client may wait for a server's answer, and [`UplinkConfig::publishes_max`] for a
    /// backend's. More are refused at once, with the code
    /// [`TooManyRequests`](tidegate_core::protocol::ErrorCode::TooManyRequests).
    ///
    /// A server that limits how often a client may publish refuses publishes beyond that with the same code;
    /// [`Status::publish_rate`] is the limit.
    ///
    /// If this future is dropped, for example by a timeout, the value may still be published. To be able to repeat it
    /// safely, give it an [id](Publish::id).
    ///
    /// [`UplinkConfig::publish_patience`]: tidegate_core::uplink::UplinkConfig::publish_patience
    /// [`UplinkConfig::publishes_max`]: tidegate_core::uplink::UplinkConfig::publishes_max
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn publish(
        &self,
        topic: &str,
        value: &impl Serialize,
    ) -> Result<Position, ClientError> {
        self.publish_with(topic, value, Publish::default()).await
    }

    /// Publishes a value to a topic with options: as its last publication, with an idempotency key, or starting it
    /// anew.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn publish_with(
        &self,
        topic: &str,
        value: &impl Serialize,
        publish: Publish,
    ) -> Result<Position, ClientError> {
        self.enqueue(topic, value, publish)?.await
    }

    /// Queues a publish, and returns a future of its answer. Publications queued by one caller are published in that
    /// order, without waiting for each answer. [`Client::publish`] says how many may wait for their answers.
    ///
    /// When the last handle of the client is dropped, publications without an answer may be lost, with only a warning
    /// in the log; [`Client::close_flushed`] waits for them. Dropping only the answer doesn't affect the publish.
    ///
    /// # Errors
    /// See [`ClientError`]. What the server or the backend refuses is reported by the answer.
    pub fn enqueue(
        &self,
        topic: &str,
        value: &impl Serialize,
        publish: Publish,
    ) -> Result<Answer, ClientError> {
        let request = publish.request::<ClientError>(topic, value)?;
        let receiving = match &self.link {
            Link::Server(link) => link.publish(request),
            Link::Hub(link) => link.publish(request),
        };
        Ok(self.unanswered.add(receiving?))
    }

    /// Subscribes to a topic or pattern, starting with the latest value. If this future is dropped, it unsubscribes.
    ///
    /// # Errors
    /// See [`ClientError`]. A refusal by a server arrives as [`Event::Refused`](crate::Event::Refused).
    pub async fn subscribe(&self, pattern: &str) -> Result<ClientSubscription, ClientError> {
        self.subscribe_with(pattern, Subscribe::default()).await
    }

    /// Subscribes to a topic or pattern with options, such as a flow or a position to resume from. With a backend, this
    /// waits for its answer.
    ///
    /// # Errors
    /// See [`ClientError`]. A refusal by a server arrives as [`Event::Refused`](crate::Event::Refused).
    pub async fn subscribe_with(
        &self,
        pattern: &str,
        options: Subscribe,
    ) -> Result<ClientSubscription, ClientError> {
        let source = match &self.link {
            Link::Server(link) => {
                let pattern = Pattern::new(pattern)?;
                Source::Server(link.subscribe(pattern, options).await?)
            }
            Link::Hub(link) => Source::Hub(Box::new(link.subscribe(pattern, options).await?)),
        };
        Ok(ClientSubscription(source))
    }

    /// Waits until everything queued so far has been answered. This future may be dropped, and called again.
    pub async fn flush(&self) {
        self.unanswered.flush().await;
    }

    /// Closes the connection. Unanswered requests fail.
    pub fn close(&self) {
        match &self.link {
            Link::Server(link) => link.close(),
            Link::Hub(link) => link.close(),
        }
    }

    /// Waits until everything queued has been answered, for 10 s at most, and closes the connection. A backend's link
    /// is closed when this returns. If this future is dropped before, the client stays open.
    ///
    /// # Errors
    /// [`ClientError::Unanswered`] if something was not answered. The client is closed in this case, too.
    pub async fn close_flushed(&self) -> Result<(), ClientError> {
        let client = self.clone();
        // The timeout needs a runtime with a timer. The clients' runtime is one; the caller may have none.
        let flushed = thread::runtime()?.spawn(async move {
            // Publishes that are still unanswered after the timeout are counted below.
            let _ = tokio::time::timeout(FLUSH_MAX, client.flush()).await;
        });
        // The task doesn't panic, and nothing aborts it.
        let _ = flushed.await;
        let count = self.unanswered.count();
        self.close();
        if let Link::Hub(link) = &self.link {
            link.closed().await;
        }
        if count > 0 {
            let seconds = FLUSH_MAX.as_secs();
            return Err(ClientError::Unanswered { count, seconds });
        }
        Ok(())
    }
}
