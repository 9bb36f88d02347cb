//! The hub of a process, as applications use it.

mod bodies;
mod chosen;
mod devices;
mod ending;
mod endpoints;
mod health;
mod opening;
mod posts;
mod presence;
mod progress;
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
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic, TopicError};
use tidegate_core::uplink::UplinkConfig;
use tokio::sync::{oneshot, watch};

use crate::access::{AccessConfig, Door};
use crate::backend::Backend;
use crate::error::{PublishError, Stopped, SubscribeError};
use crate::json::{Json, JsonError};
pub(crate) use bodies::{Bodies, NoRoom, Room};
pub use health::{BackendHealth, BackendLink};
pub(crate) use posts::Publisher;
pub use presence::{Presence, PresenceChanges, Tracked};
pub use subscribe::Subscribe;
pub(crate) use subscription::event;
pub use subscription::{Event, Subscription};

use crate::reduce::Reducing;
use crate::shard::{Command, Wire};
use posts::Posts;
use shards::Shards;

/// A publication with a JSON payload, shared by all who get it.
pub type Publication = Arc<tidegate_core::publication::Publication<Json>>;

/// What came of a request to publish.
pub(crate) type Published = Result<Position, tidegate_core::hub::PublishError>;

/// What a wire frame costs beside its payload at most: the limit on frames is the payload's and this.
const FRAME_OVERHEAD_BYTES: usize = 16 * 1024;

/// How a hub is set up. The limits have the core's defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the hub, its sessions and its queues may hold.
    pub server: ServerConfig,
    /// How it deals with its backend, where it has one.
    pub uplink: UplinkConfig,
    /// Whether other hubs at the same backend are told who is present here, and say who is there. A hub that merely
    /// publishes has nobody to tell of.
    pub shares_presence: bool,
    /// How many threads have the connections among them. With several, topics that live in this process are shared by
    /// all; the limits of subscriptions and presences are each thread's.
    pub shards: NonZeroUsize,
    /// Messages to WebSockets with more bytes of text are compressed, for clients that understand it; `None` compresses
    /// nothing. A publication is compressed once, whatever the number of its subscribers, but a large one takes its time.
    pub compress_above: Option<usize>,
    /// The most bytes that a client's message, or request to publish, may have; `None` for the largest payload and
    /// 16 KiB.
    pub frame_bytes_max: Option<usize>,
    /// The most bytes that the bodies of requests to publish, and the messages of WebSockets, have together while they are under
    /// way; one is always taken. Messages of clients that have not shown who they are take half of it at most.
    pub bodies_bytes_max: usize,
    /// How long event streams wait for what.
    pub event_streams: EventStreamConfig,
    /// Whom its endpoints let in.
    pub access: AccessConfig,
}

impl Default for Config {
    /// The defaults, with a fresh seed from the system, presences shared, one shard, and nothing compressed.
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

/// A pub/sub hub in this process. Clones are the same hub; it stops, and its streams end, when the last one is gone,
/// or by [`Hub::stop`]. A mounted router holds a clone.
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
    wire: Wire,
    posts: Posts,
    door: Arc<Door>,
    floor: FlowFloor,
    /// How often an event stream was granted a slower pace than it asked for.
    slowed: AtomicU64,
    /// Where topics live, if not in this process. Held by the thread that talks to it, and let go of when that ends.
    backend: Option<Weak<dyn Backend>>,
    /// Why it is this backend, or none.
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

/// How to publish.
#[derive(Clone, Debug, Default)]
pub struct Publish {
    /// Makes the publication terminal. Without it, one whose payload says so by the hub's [terminal rule] is terminal, too:
    /// with the defaults, an object whose `status` is COMPLETE, FAILED or CANCELLED, in any letter case.
    ///
    /// [terminal rule]: tidegate_core::hub::HubConfig::terminal_rule
    pub end: Option<EndReason>,
    /// Idempotency key, up to 128 bytes: a repeated publish with the same key answers the first one's position.
    pub id: Option<String>,
    /// Start the topic anew if it has ended.
    pub restart: bool,
}

impl Publish {
    /// A terminal publication.
    pub fn end(reason: EndReason) -> Self {
        Self {
            end: Some(reason),
            ..Self::default()
        }
    }

    /// The request to publish `value` so.
    pub(crate) fn request<E: From<TopicError> + From<JsonError>>(
        self,
        topic: &str,
        value: &impl Serialize,
    ) -> Result<PublishRequest<Json>, E> {
        Ok(PublishRequest {
            topic: Topic::new(topic)?,
            payload: Json::from_value(value)?,
            end: self.end,
            id: self.id,
            restart: self.restart,
        })
    }
}

/// How much a hub holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Topics, subscriptions and gates.
    pub hub: HubCounts,
    /// What is followed and waits at the backend; zeros where topics live in this process.
    pub uplink: UplinkCounts,
    /// Connections, in-process streams included.
    pub connections: usize,
}

impl Hub {
    /// Starts a hub: a thread for each of its shards, which sleeps while there is nothing to do.
    ///
    /// # Errors
    /// When the system gives no thread or no way to wait for sockets.
    pub fn new(config: Config) -> io::Result<Self> {
        Self::start(&config, None, None)
    }

    /// Starts a hub whose topics live in a backend, which other processes may share: one thread more. The link is opened
    /// at once, and again whenever it is lost; what is subscribed or published before it stands, waits.
    ///
    /// # Errors
    /// When the system gives no thread or no way to wait for sockets.
    pub fn with_backend(config: Config, backend: Arc<dyn Backend>) -> io::Result<Self> {
        Self::start(&config, Some(backend), None)
    }

    fn start(
        config: &Config,
        backend: Option<Arc<dyn Backend>>,
        reason: Option<String>,
    ) -> io::Result<Self> {
        let outbox_bytes_max = config.server.outbox_bytes_max;
        let wire = Wire {
            frame_bytes_max: config.message_bytes_max(),
            compress_above: config.compress_above,
            event_streams: config.event_streams,
        };
        let can_broadcast = |backend: &Arc<dyn Backend>| backend.broadcast_bytes_max().is_some();
        let has_others = config.shares_presence && backend.as_ref().is_some_and(can_broadcast);
        let asked = backend.as_ref().map(Arc::downgrade);
        let posts = Posts::new(config, wire.frame_bytes_max);
        let (shards, ending) = Shards::start(config, backend, wire, &posts.bodies)?;
        let inner = Inner {
            backend: asked,
            shards,
            ending,
            outbox_bytes_max,
            drain_grace: config.server.session.drain_grace,
            wire,
            posts,
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
    /// One whose payload says so by the hub's [terminal rule](tidegate_core::hub::HubConfig::terminal_rule) is the topic's last,
    /// whichever topic it is: with the defaults, an object whose `status` is COMPLETE, FAILED or CANCELLED, in any letter
    /// case. Later publishes are refused then, unless they [start it anew](Publish::restart).
    ///
    /// # Errors
    /// As [`PublishError`] says, and in which cases it may have been published all the same.
    pub async fn publish(
        &self,
        topic: &str,
        value: &impl Serialize,
    ) -> Result<Position, PublishError> {
        self.publish_with(topic, value, Publish::default()).await
    }

    /// Publishes a value to a topic: as its last one, once only, or starting it anew.
    ///
    /// # Errors
    /// As [`PublishError`] says, and in which cases it may have been published all the same.
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
        // From elsewhere it may be anything.
        let payload = request.payload.nested_within_limit()?;
        let answer = self.begin_request(PublishRequest { payload, ..request })?;
        Ok(answer.await.map_err(|_| Stopped)??)
    }

    /// Hands a request to its shard, and gives where the answer comes.
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

    /// Subscribes to a topic or pattern, from its latest value on. The stream ends with the topic.
    ///
    /// # Errors
    /// As [`SubscribeError`] says.
    pub async fn subscribe(&self, pattern: &str) -> Result<Subscription, SubscribeError> {
        self.subscribe_with(pattern, Subscribe::default()).await
    }

    /// Subscribes to a topic or pattern with a flow and a start.
    ///
    /// # Errors
    /// As [`SubscribeError`] says.
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

    /// The retained latest publication of a topic. Where topics live in a backend, this waits until it answers.
    ///
    /// # Errors
    /// When the topic breaks the syntax or the hub has stopped.
    pub async fn latest(&self, topic: &str) -> Result<Option<Publication>, SubscribeError> {
        let topic = Topic::new(topic)?;
        if self.inner.backend.is_some() {
            // Whoever subscribes is given it.
            let (reader, _) = self.open(vec![topic.into()], Subscribe::default()).await?;
            let frames = reader.waiting().into_iter();
            let mut publications = frames.filter_map(|frame| match event(frame) {
                Some(Event::Publication(publication)) => Some(publication),
                _ => None,
            });
            return Ok(publications.next());
        }
        let (reply, answer) = oneshot::channel();
        let shard = self.inner.shards.of(&topic)?;
        shard.send(Command::Latest { topic, reply })?;
        Ok(answer.await.map_err(|_| Stopped)?)
    }

    /// How much the hub holds.
    ///
    /// # Errors
    /// When the hub has stopped.
    pub async fn counts(&self) -> Result<Counts, Stopped> {
        let (counts, _) = self.totals().await?;
        Ok(counts)
    }

    /// How the backend is, now and as it changes, where topics live in one.
    pub fn backend(&self) -> Option<watch::Receiver<BackendHealth>> {
        self.inner.shards.health()
    }
}
