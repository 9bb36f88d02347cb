//! The hub of a process, as applications use it.

mod bodies;
mod chosen;
mod devices;
mod disconnect;
mod ending;
mod endpoints;
mod health;
mod lookup;
mod opening;
mod posts;
mod presence;
mod progress;
mod publish;
mod shards;
mod subscribe;
mod subscription;
mod survey;

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::Serialize;
use tidegate_core::event_stream::EventStreamConfig;
use tidegate_core::flow::FlowFloor;
use tidegate_core::hub::{HubCounts, ServerConfig, UplinkCounts};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::topic::Pattern;
use tidegate_core::uplink::UplinkConfig;
use tokio::sync::{oneshot, watch};

use crate::access::{AccessConfig, Door};
use crate::backend::Backend;
use crate::error::{PublishError, Stopped, SubscribeError};
use crate::json::Json;
pub(crate) use bodies::{Bodies, NoRoom, Room};
pub use disconnect::Disconnected;
pub use health::{BackendHealth, BackendLink};
pub use lookup::TopicHistory;
pub(crate) use posts::Publisher;
pub use presence::{Presence, PresenceChanges, Tracked};
pub use publish::Publish;
pub use subscribe::Subscribe;
pub(crate) use subscription::event;
pub use subscription::{Event, Subscription};

use crate::reduce::Reducing;
use crate::shard::{Command, SocketConfig};
use posts::Posts;
use shards::Shards;

/// A publication with a JSON payload, shared by all who get it.
pub type Publication = Arc<tidegate_core::publication::Publication<Json>>;

/// The outcome of a request to publish.
pub(crate) type Published = Result<Position, tidegate_core::hub::PublishError>;

/// The most bytes that a frame has in addition to its payload: the limit on frames is the payload's plus this.
const FRAME_OVERHEAD_BYTES: usize = 16 * 1024;

/// The configuration of a hub. The limits have the core's defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The limits of the hub, its sessions and its queues.
    pub server: ServerConfig,
    /// How the hub treats its backend, if it has one.
    pub uplink: UplinkConfig,
    /// Whether presences are shared with other hubs at the same backend, and the hubs tell each other whom to
    /// [disconnect](Hub::disconnect). A hub that only publishes doesn't need this.
    pub shares_presence: bool,
    /// The number of threads that share the connections. Topics that live in this process are common to all of them;
    /// the limits on subscriptions and presences apply to each thread.
    pub shards: NonZeroUsize,
    /// WebSocket messages with more bytes of text than this are compressed, for clients that support it; `None`: none.
    /// A publication is compressed once for all its subscribers, but a large one takes its time.
    pub compress_above: Option<usize>,
    /// The longest message or publish request that a client may send, in bytes; `None` for the largest payload and
    /// 16 KiB.
    pub frame_bytes_max: Option<usize>,
    /// The most bytes that all publish requests and unfinished WebSocket messages in progress may hold together; one is
    /// always accepted. Messages of clients that have not authenticated may hold at most half of it. Answers to requests
    /// that read over HTTP may hold as much again.
    pub bodies_bytes_max: usize,
    /// The timings of event streams.
    pub event_streams: EventStreamConfig,
    /// Who may use its endpoints.
    pub access: AccessConfig,
}

impl Default for Config {
    /// The defaults, with a fresh seed from the system, shared presences, one shard, and no compression.
    fn default() -> Self {
        Self {
            server: ServerConfig::new(crate::random_seed()),
            uplink: UplinkConfig::new(crate::random_seed()),
            shares_presence: true,
            shards: NonZeroUsize::MIN,
            compress_above: None,
            frame_bytes_max: None,
            bodies_bytes_max: 64 << 20,
            event_streams: EventStreamConfig::default(),
            access: AccessConfig::default(),
        }
    }
}

impl Config {
    /// The most bytes that a client's message, or request to publish, may have.
    fn message_bytes_max(&self) -> usize {
        let payload_bytes_max = self.server.hub.payload_bytes_max;
        self.frame_bytes_max
            .unwrap_or_else(|| payload_bytes_max.saturating_add(FRAME_OVERHEAD_BYTES))
    }
}

/// A pub/sub hub in this process. Clones are handles to the same hub. It stops, and its streams end, when the last one
/// is dropped, or with [`Hub::stop`]. A mounted router holds a clone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures_util::StreamExt as _;
/// use tidegate::{EndReason, Event, Hub, Publish};
///
/// let hub = Hub::new(Default::default())?;
/// let mut events = hub.subscribe("job:42").await?;
/// hub.publish("job:42", &serde_json::json!({"progress": 0.5})).await?;
/// hub.publish_with("job:42", &serde_json::json!({"progress": 1.0}), Publish::end(EndReason::Complete)).await?;
/// while let Some(event) = events.next().await {
///     if let Event::Publication(publication) = event {
///         println!("{}", publication.payload);
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    shards: Shards,
    /// Ends once the hub has stopped and its backend is closed.
    ending: watch::Receiver<()>,
    outbox_bytes_max: usize,
    drain_grace: Duration,
    sockets: SocketConfig,
    posts: Posts,
    /// The room for answers to requests that read without subscribing.
    answers: Arc<Bodies>,
    door: Arc<Door>,
    floor: FlowFloor,
    /// How often an event stream was granted a slower pace than it asked for.
    slowed: AtomicU64,
    /// The backend, if topics don't live in this process. The thread that talks to it owns it, and drops it when it
    /// ends.
    backend: Option<Weak<dyn Backend>>,
    /// Why this backend, or none, was chosen.
    reason: Option<String>,
    last_opening: AtomicU64,
    /// Whether it shares presences with other hubs.
    has_others: bool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shards.stop();
    }
}

/// How much a hub holds at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Topics, subscriptions and gates.
    pub hub: HubCounts,
    /// What is followed and waiting at the backend; zeros if topics live in this process.
    pub uplink: UplinkCounts,
    /// Connections, in-process streams included.
    pub connections: usize,
}

impl Hub {
    /// Starts a hub, with one thread for each of its shards. The threads sleep while there is nothing to do.
    ///
    /// # Errors
    /// If the system provides no thread, or no way to wait for sockets.
    pub fn new(config: Config) -> io::Result<Self> {
        Self::start(&config, None, None)
    }

    /// Starts a hub whose topics live in a backend, which other processes may share, with one more thread. The link is
    /// opened at once, and again whenever it is lost; subscriptions and publications that come before wait for it.
    ///
    /// # Errors
    /// If the system provides no thread, or no way to wait for sockets.
    pub fn with_backend(config: Config, backend: Arc<dyn Backend>) -> io::Result<Self> {
        Self::start(&config, Some(backend), None)
    }

    fn start(
        config: &Config,
        backend: Option<Arc<dyn Backend>>,
        reason: Option<String>,
    ) -> io::Result<Self> {
        let outbox_bytes_max = config.server.outbox_bytes_max;
        let sockets = SocketConfig {
            frame_bytes_max: config.message_bytes_max(),
            compress_above: config.compress_above,
            event_streams: config.event_streams,
        };
        let can_broadcast = |backend: &Arc<dyn Backend>| backend.broadcast_bytes_max().is_some();
        let has_others = config.shares_presence && backend.as_ref().is_some_and(can_broadcast);
        let asked = backend.as_ref().map(Arc::downgrade);
        let posts = Posts::new(config, sockets.frame_bytes_max);
        let (shards, ending) = Shards::start(config, backend, sockets, &posts.bodies)?;
        let inner = Inner {
            backend: asked,
            shards,
            ending,
            outbox_bytes_max,
            drain_grace: config.server.session.drain_grace,
            sockets,
            posts,
            answers: Bodies::new(config.bodies_bytes_max, 0),
            door: Door::new(config.access.clone()),
            floor: config.server.floor.clone(),
            slowed: AtomicU64::new(0),
            reason,
            last_opening: AtomicU64::new(0),
            has_others,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Publishes a value to a topic.
    ///
    /// It is the topic's last publication if the payload says so by the hub's
    /// [terminal rule](tidegate_core::hub::HubConfig::terminal_rule): by default, if it is an object whose `status` is
    /// COMPLETE, FAILED or CANCELLED, in any letter case. Later publishes are then refused, unless they
    /// [start the topic anew](Publish::restart). Publish a payload whose `status` is about something else
    /// [without an end](Publish::no_end).
    ///
    /// If this future is dropped, for example by a timeout, the value may still be published. To be able to repeat it
    /// safely, give it an [id](Publish::id).
    ///
    /// # Errors
    /// See [`PublishError`], also for the cases in which the value may have been published nevertheless.
    pub async fn publish(
        &self,
        topic: &str,
        value: &impl Serialize,
    ) -> Result<Position, PublishError> {
        self.publish_with(topic, value, Publish::default()).await
    }

    /// Publishes a value to a topic with options: as its last publication, with an idempotency key, or starting it
    /// anew.
    ///
    /// # Errors
    /// See [`PublishError`], also for the cases in which the value may have been published nevertheless.
    pub async fn publish_with(
        &self,
        topic: &str,
        value: &impl Serialize,
        publish: Publish,
    ) -> Result<Position, PublishError> {
        let request = publish.request::<PublishError>(topic, value)?;
        self.request(request).await
    }

    pub(crate) async fn request(
        &self,
        request: PublishRequest<Json>,
    ) -> Result<Position, PublishError> {
        let answer = self.begin_request_of_others(request)?;
        Ok(answer.await.map_err(|_| Stopped)??)
    }

    /// Like [`Hub::begin_request`], for a payload from outside, whose nesting has not been checked.
    pub(crate) fn begin_request_of_others(
        &self,
        request: PublishRequest<Json>,
    ) -> Result<oneshot::Receiver<Published>, PublishError> {
        let payload = request.payload.nested_within_limit()?;
        Ok(self.begin_request(PublishRequest { payload, ..request })?)
    }

    /// Hands a request to its shard, and returns the receiver of its answer.
    pub(crate) fn begin_request(
        &self,
        request: PublishRequest<Json>,
    ) -> Result<oneshot::Receiver<Published>, Stopped> {
        let (reply, answer) = oneshot::channel();
        let shard = self.inner.shards.of(&request.topic)?;
        shard.send(Command::Publish {
            request,
            accepted: std::time::Instant::now(),
            reply,
        })?;
        Ok(answer)
    }

    /// Subscribes to a topic or pattern, starting with the latest value. The stream of a topic ends when the topic
    /// does. If this future is dropped, nothing stays subscribed.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    pub async fn subscribe(&self, pattern: &str) -> Result<Subscription, SubscribeError> {
        self.subscribe_with(pattern, Subscribe::default()).await
    }

    /// Subscribes to a topic or pattern with options, such as a flow or a position to resume from.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    pub async fn subscribe_with(
        &self,
        pattern: &str,
        options: Subscribe,
    ) -> Result<Subscription, SubscribeError> {
        if options.durable.is_some() {
            return Err(SubscribeError::NotDurable);
        }
        let reducing = Reducing::new(options.reduce.clone());
        let options = Subscribe {
            flow: reducing.flow(options.flow),
            ..options
        };
        let (reader, subscriptions) = self.open(vec![Pattern::new(pattern)?], options).await?;
        Ok(Subscription {
            reader,
            subscriptions,
            reducing,
        })
    }

    /// How much the hub holds at the moment.
    ///
    /// # Errors
    /// If the hub has stopped.
    pub async fn counts(&self) -> Result<Counts, Stopped> {
        let (counts, _) = self.totals().await?;
        Ok(counts)
    }

    /// The state of the backend, now and as it changes; `None` if topics live in this process.
    pub fn backend(&self) -> Option<watch::Receiver<BackendHealth>> {
        self.inner.shards.health()
    }
}
