//! A client of topics that live elsewhere: behind a server in another process, over one WebSocket that connects again
//! and resumes by itself; or in a backend, without any server.
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
//! A background job that shares only a backend with those who watch takes [`Client::from_env`], and where it has no
//! runtime, [`Client::blocking`]. Clients work in a thread of their own.

mod address;
mod answer;
mod blocking;
mod chosen;
mod deliver;
mod driver;
mod error;
mod fault;
mod lease;
mod line;
mod listen;
mod local;
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
use tidegate_core::publication::Position;
use tidegate_core::topic::Pattern;
use tokio::sync::watch;

use crate::backend::Backend;
use crate::{Config, Hub, Publish, Subscribe};
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

/// What is known of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: ConnectionState,
    /// Why the last attempt failed or the last connection ended, if any did.
    pub last_error: Option<String>,
    /// The same, for programs.
    fault: Option<Fault>,
}

impl Status {
    fn note(&mut self, fault: Fault) {
        self.last_error = Some(fault.to_string());
        self.fault = Some(fault);
    }
}

/// A client of a server, or of a backend. Clones share it; it closes when the last one and all subscriptions are gone.
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
    /// Starts to connect to a server, such as `http://127.0.0.1:8420` or `https://progress.example`, and returns at once. What is asked for before
    /// the connection stands is done then.
    ///
    /// # Errors
    /// When `url` is not the address of a server, or the system gives no thread.
    pub fn start(url: &str) -> Result<Self, ClientError> {
        Self::start_with(url, ClientOptions::default())
    }

    /// As [`Client::start`], with a token for a server that asks who its clients are.
    ///
    /// # Errors
    /// As for [`Client::start`]. That the token is refused comes with what is asked for: publishes fail and subscriptions are
    /// [refused](crate::Event::Refused).
    pub fn start_with(url: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let link = Link::Server(Arc::new(ServerLink::start(url, options)?));
        Ok(Self::new(link, url))
    }

    /// Connects to a server, and returns once it has said welcome or the first attempt has failed: after 10 s at most, and
    /// 30 s for a token that is asked for. What is given up while it waits is disconnected.
    ///
    /// # Errors
    /// When `url` is not an address, or no server answers there or takes a client now.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        Self::connect_with(url, ClientOptions::default()).await
    }

    /// As [`Client::connect`], with a token for a server that asks who its clients are.
    ///
    /// # Errors
    /// As for [`Client::connect`], and when there is no token or the server refuses it.
    pub async fn connect_with(url: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let link = Arc::new(ServerLink::start(url, options)?);
        link.connected(url).await?;
        Ok(Self::new(Link::Server(link), url))
    }

    /// A client of a backend, without a server. The link is opened at once, and again whenever it is lost; what is
    /// published or subscribed before it stands, waits.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn with_backend(backend: Arc<dyn Backend>) -> Result<Self, ClientError> {
        let place = backend.describe();
        let hub = Hub::with_backend(Self::own_hub(), backend)?;
        Self::own(hub, &place)
    }

    /// A client of a hub in this process. Closing the client leaves the hub as it is.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn from_hub(hub: Hub) -> Result<Self, ClientError> {
        let place = match hub.backend() {
            Some(health) => health.borrow().name.clone(),
            None => "this process".to_owned(),
        };
        Ok(Self::new(Link::Hub(HubLink::new(hub, false)?), &place))
    }

    /// Nobody is present at a client's own hub.
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

    /// Where the topics are, for people: the server's address as it was given, or which backend, without its password.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Publishes a value to a topic, and returns once that has happened. Waits for a server as long as that takes, and
    /// repeats what a lost connection left unanswered: the publication happens once. A backend that is away is waited
    /// for 10 s, as [`UplinkConfig::publish_patience`] says.
    ///
    /// At most 1,024 publishes of a client wait for a server's answer, and for a backend's as many as
    /// [`UplinkConfig::publishes_max`] says. Further ones are refused at once, with the code
    /// [`TooManyRequests`](tidegate_core::protocol::ErrorCode::TooManyRequests).
    ///
    /// What is given up while it waits, as by a timeout, may be published all the same. To repeat it, give it an
    /// [id](Publish::id).
    ///
    /// [`UplinkConfig::publish_patience`]: tidegate_core::uplink::UplinkConfig::publish_patience
    /// [`UplinkConfig::publishes_max`]: tidegate_core::uplink::UplinkConfig::publishes_max
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
    /// without waiting for each answer. A server lets so many wait for their answers as [`Client::publish`] says.
    ///
    /// What has no answer when the last handle of the client goes may be lost, with no more than a warning in the log:
    /// [`Client::close_flushed`] waits for it. Dropping the answer alone leaves the publish as it is.
    ///
    /// # Errors
    /// As [`ClientError`] says; what the server or the backend refuses is told by the answer.
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

    /// Subscribes to a topic or pattern, from its latest value on. What is given up while it waits is unsubscribed.
    ///
    /// # Errors
    /// As [`ClientError`] says. What a server refuses comes as [`Event::Refused`](crate::Event::Refused).
    pub async fn subscribe(&self, pattern: &str) -> Result<ClientSubscription, ClientError> {
        self.subscribe_with(pattern, Subscribe::default()).await
    }

    /// Subscribes to a topic or pattern with a flow and a start. At a backend this waits until it answers.
    ///
    /// # Errors
    /// As [`ClientError`] says. What a server refuses comes as [`Event::Refused`](crate::Event::Refused).
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

    /// Waits until all that was queued up to now has its answer. It may be given up and called again.
    pub async fn flush(&self) {
        self.unanswered.flush().await;
    }

    /// Closes the connection. What is unanswered fails.
    pub fn close(&self) {
        match &self.link {
            Link::Server(link) => link.close(),
            Link::Hub(link) => link.close(),
        }
    }

    /// Waits until all that was queued has its answer, for 10 s at most, and closes the connection. A backend's is closed
    /// once this returns. Where it is given up while it waits, the client stays open.
    ///
    /// # Errors
    /// [`ClientError::Unanswered`] where some have none. The client is closed then, too.
    pub async fn close_flushed(&self) -> Result<(), ClientError> {
        let client = self.clone();
        // The clients' runtime has the clock, whatever the caller has.
        let flushed = thread::runtime()?.spawn(async move {
            // What has no answer then is counted below.
            let _ = tokio::time::timeout(FLUSH_MAX, client.flush()).await;
        });
        // It neither panics nor is it aborted.
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
