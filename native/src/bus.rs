//! Typed events in rooms: publishers and handlers need not know each other, or run in the same process.
//!
//! An event is a publication `{"event": "task:created", "data": …}` to the topic of a room. A handler is called in this
//! process for every event of its type, whichever process published it. How far the bus reaches depends on its client.
//!
//! ```
//! use tidegate::core::topic::UserRoom;
//! use tidegate::{Client, EventBus, Hub};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bus = EventBus::new(Client::from_hub(Hub::new(Default::default())?)?);
//! let (heard, mut hearing) = tokio::sync::mpsc::unbounded_channel();
//! let _greeting = bus
//!     .subscribe("greeting", move |event| {
//!         let words: String = event.parse().expect("greetings are texts");
//!         let _ = heard.send(format!("{} to {}", words, event.room));
//!     })
//!     .await?;
//! bus.publish("greeting", &"hello", &UserRoom(7)).await?;
//! assert_eq!(hearing.recv().await.as_deref(), Some("hello to user:7"));
//! # Ok(()) }
//! ```

mod event;
mod handler;
mod listening;
mod task_events;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Room, TaskRoom, UserRoom, Uuid};
use tokio::sync::broadcast;

use crate::client::{ClientError, ClientSubscription};
use crate::{Client, Publication, Publish};
pub use event::BusEvent;
use event::Envelope;
use handler::{Callback, Handler};
pub use handler::{Fault, FaultKind};
use listening::Listening;
pub use task_events::{Task, TaskEvents};

/// How many faults wait for a reader of [`EventBus::faults`] before it misses the oldest.
const FAULTS_MAX: usize = 256;

/// The configuration of a bus.
#[derive(Clone, Debug)]
pub struct BusConfig {
    /// The rooms whose events are handled.
    pub rooms: Vec<Pattern>,
    /// How long a handler may take before it counts as hanging.
    pub hangs_after: Duration,
    /// The most events that wait for one handler. Further ones are lost to this handler, and reported.
    pub queue_max: usize,
}

impl Default for BusConfig {
    /// The rooms of tasks and users; a handler hangs after 30 s; up to 1,024 events wait for each handler.
    fn default() -> Self {
        Self {
            rooms: vec![TaskRoom::all(), UserRoom::all()],
            hangs_after: Duration::from_secs(30),
            queue_max: 1_024,
        }
    }
}

/// A bus for typed events. Clones are handles to the same bus; its handlers end with the last one.
#[derive(Clone)]
pub struct EventBus {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    config: BusConfig,
    handlers: Mutex<Handlers>,
    /// Started by the first handler, and again by a later one that finds it ended.
    listening: tokio::sync::Mutex<Listening>,
    faults: broadcast::Sender<Fault>,
}

#[derive(Default)]
struct Handlers {
    by_type: BTreeMap<String, Vec<Handler>>,
    last_id: u64,
}

/// Keeps a handler subscribed. Dropping it ends the handler.
#[must_use = "the handler ends when this is dropped"]
pub struct Handling {
    bus: Weak<Inner>,
    event: String,
    id: u64,
}

impl EventBus {
    /// A bus over a client's topics, which handles the events in the rooms of tasks and users.
    pub fn new(client: Client) -> Self {
        Self::with_config(client, BusConfig::default())
    }

    /// A bus over a client's topics.
    pub fn with_config(client: Client, config: BusConfig) -> Self {
        let (faults, _) = broadcast::channel(FAULTS_MAX);
        let inner = Inner {
            client,
            config,
            handlers: Mutex::default(),
            listening: tokio::sync::Mutex::default(),
            faults,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Calls `handle` for every event of a type that is published from now on, one after the other. It may block,
    /// because it runs on a thread for blocking work.
    ///
    /// A handler that panics or hangs is reported ([`EventBus::faults`]) and affects nobody else. So is a room that the
    /// server refuses; but the refusal may arrive after this has returned. Then the next call fails with it, and the
    /// call after that requests the room again.
    ///
    /// Handlers run on the tokio runtime in which they were subscribed, and end with it.
    ///
    /// # Errors
    /// If the rooms can't be subscribed to, or one was refused.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn subscribe(
        &self,
        event: &str,
        handle: impl Fn(BusEvent) + Send + Sync + 'static,
    ) -> Result<Handling, ClientError> {
        self.add(event, handler::blocking(handle)).await
    }

    /// Like [`EventBus::subscribe`], with an async handler. A handler that hangs is cancelled.
    ///
    /// # Errors
    /// As for [`EventBus::subscribe`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn subscribe_async<F>(
        &self,
        event: &str,
        handle: impl Fn(BusEvent) -> F + Send + Sync + 'static,
    ) -> Result<Handling, ClientError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.add(event, handler::awaiting(handle)).await
    }

    async fn add(&self, event: &str, callback: Callback) -> Result<Handling, ClientError> {
        self.inner.listening.lock().await.renew(&self.inner).await?;
        let mut handlers = self.inner.handlers();
        handlers.forget_ended();
        handlers.last_id += 1;
        let id = handlers.last_id;
        let config = &self.inner.config;
        let handler = Handler::start(id, callback, config, self.inner.faults.clone());
        handlers
            .by_type
            .entry(event.to_owned())
            .or_default()
            .push(handler);
        Ok(Handling {
            bus: Arc::downgrade(&self.inner),
            event: event.to_owned(),
            id,
        })
    }

    /// Publishes an event to a room.
    ///
    /// # Errors
    /// As for [`Client::publish`].
    pub async fn publish(
        &self,
        event: &str,
        data: &impl Serialize,
        room: &impl Room,
    ) -> Result<Position, ClientError> {
        self.publish_with(event, data, room, Publish::default())
            .await
    }

    /// Publishes an event to a room with options: as its last one, with an idempotency key, or starting the room anew.
    ///
    /// # Errors
    /// As for [`Client::publish`].
    pub async fn publish_with(
        &self,
        event: &str,
        data: &impl Serialize,
        room: &impl Room,
        publish: Publish,
    ) -> Result<Position, ClientError> {
        let envelope = Envelope {
            event,
            data,
            about: None,
        };
        let topic = room.topic();
        let client = &self.inner.client;
        client
            .publish_with(topic.as_str(), &envelope, publish)
            .await
    }

    /// Publishes an event to a task's room.
    ///
    /// # Errors
    /// As for [`Client::publish`].
    pub async fn publish_to_task(
        &self,
        task: Uuid,
        event: &str,
        data: &impl Serialize,
    ) -> Result<Position, ClientError> {
        self.publish(event, data, &TaskRoom(task)).await
    }

    /// Publishes an event to a user's room.
    ///
    /// # Errors
    /// As for [`Client::publish`].
    pub async fn publish_to_user(
        &self,
        user: u64,
        event: &str,
        data: &impl Serialize,
    ) -> Result<Position, ClientError> {
        self.publish(event, data, &UserRoom(user)).await
    }

    /// Sends a room a copy of an event that happened in another room. Subscribers of the room see it. Handlers, which
    /// get the event from where it happened, are not called again.
    ///
    /// # Errors
    /// As for [`Client::publish`].
    pub async fn copy_to(
        &self,
        event: &str,
        data: &impl Serialize,
        happened_in: &impl Room,
        room: &impl Room,
    ) -> Result<Position, ClientError> {
        let about = happened_in.topic();
        let envelope = Envelope {
            event,
            data,
            about: Some(about.as_str()),
        };
        let topic = room.topic();
        self.inner.client.publish(topic.as_str(), &envelope).await
    }

    /// A receiver of everything that goes wrong with handlers and rooms from now on.
    pub fn faults(&self) -> broadcast::Receiver<Fault> {
        self.inner.faults.subscribe()
    }

    /// The client that carries the events.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }
}

impl Handlers {
    /// Removes the handlers whose runtime has shut down.
    fn forget_ended(&mut self) {
        self.by_type.retain(|_, handlers| {
            handlers.retain(|handler| !handler.has_ended());
            !handlers.is_empty()
        });
    }
}

impl Inner {
    fn handlers(&self) -> std::sync::MutexGuard<'_, Handlers> {
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands an event to each handler of its type. Ignores publications that are not events, and copies of events from
    /// other rooms.
    fn dispatch(&self, publication: &Publication) {
        let Some(event) = BusEvent::read(publication) else {
            return;
        };
        if let Some(handlers) = self.handlers().by_type.get(&event.event) {
            for handler in handlers {
                handler.push(event.clone());
            }
        }
    }
}

impl Handling {
    /// Keeps the handler for as long as the bus is there.
    pub fn forever(mut self) {
        self.bus = Weak::new();
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        let Some(bus) = self.bus.upgrade() else {
            return;
        };
        let mut handlers = bus.handlers();
        if let Some(known) = handlers.by_type.get_mut(&self.event) {
            known.retain(|handler| handler.id != self.id);
            if known.is_empty() {
                handlers.by_type.remove(&self.event);
            }
        }
    }
}
