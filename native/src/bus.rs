//! Events by their type, in rooms: whoever publishes and whoever handles need not know each other, nor be in one process.
//!
//! An event is a publication `{"event": "task:created", "data": …}` in the topic of a room. Handlers run in this process for
//! each of their type, whichever process published it: the client decides how far the bus reaches.
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

/// How a bus is set up.
#[derive(Clone, Debug)]
pub struct BusConfig {
    /// The rooms whose events are handled here.
    pub rooms: Vec<Pattern>,
    /// After how long a handler counts as hanging.
    pub hangs_after: Duration,
    /// The most events that wait for one handler. Further ones are lost to it, and reported.
    pub queue_max: usize,
}

impl Default for BusConfig {
    /// The rooms of tasks and users; a handler hangs after 30 s; 1,024 events wait for each.
    fn default() -> Self {
        Self {
            rooms: vec![TaskRoom::all(), UserRoom::all()],
            hangs_after: Duration::from_secs(30),
            queue_max: 1_024,
        }
    }
}

/// Events by their type. Clones are the same bus; its handlers end with the last one.
#[derive(Clone)]
pub struct EventBus {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    config: BusConfig,
    handlers: Mutex<Handlers>,
    /// Started by the first handler, and again by whoever finds that it has ended.
    listening: tokio::sync::Mutex<Listening>,
    faults: broadcast::Sender<Fault>,
}

#[derive(Default)]
struct Handlers {
    by_type: BTreeMap<String, Vec<Handler>>,
    last_id: u64,
}

/// A handler is subscribed for as long as this is kept.
#[must_use = "the handler ends when this is dropped"]
pub struct Handling {
    bus: Weak<Inner>,
    event: String,
    id: u64,
}

impl EventBus {
    /// The events of a client's topics, in the rooms of tasks and users.
    pub fn new(client: Client) -> Self {
        Self::with_config(client, BusConfig::default())
    }

    /// The events of a client's topics.
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

    /// Calls `handle` for every event of a type that is published from now on, one after the other. It may block: it runs
    /// in a thread for such work.
    ///
    /// A handler that panics or hangs is reported ([`EventBus::faults`]) and costs nobody else anything. So is a room that the
    /// server refuses once it is asked, which is after this has returned: the next call fails for that reason, and the one after
    /// that asks again.
    ///
    /// Handlers run in the tokio runtime that they were subscribed in, and end with it.
    ///
    /// # Errors
    /// When the rooms can't be subscribed to, or one was refused.
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

    /// As [`EventBus::subscribe`], with a handler that awaits. One that hangs is cancelled.
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

    /// Publishes an event to a room: as its last one, once only, or starting it anew.
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

    /// Tells a room of an event that happened in another one. Those who watch the room see it; handlers, which have it
    /// from where it happened, are not called again.
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

    /// What goes wrong with handlers and rooms from now on.
    pub fn faults(&self) -> broadcast::Receiver<Fault> {
        self.inner.faults.subscribe()
    }

    /// The client that carries the events.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }
}

impl Handlers {
    /// Those whose runtime has gone handle nothing any more.
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

    /// Gives an event to each handler of its type. What is no event, or happened elsewhere, is nobody's.
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
