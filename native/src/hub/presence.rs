//! Presence, for applications.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::Serialize;
use tidegate_core::hub::{ServerConfig, ServerHub};
use tidegate_core::presence::{Key, KeyChange, Present, Roster};
use tidegate_core::protocol::ServerFrame;
use tidegate_core::topic::Topic;
use tidegate_core::uplink::UplinkConfig;
use tokio::sync::oneshot;

use super::Hub;
use crate::backend::Backend;
use crate::error::{PresenceError, Stopped};
use crate::json::Json;
use crate::shard::{CommandSender, LocalReader, PresenceCommand};

/// The most bytes that a message between servers has in addition to its presences.
const ENVELOPE_BYTES: usize = 256;

/// A shard's `ServerHub`, whose messages to others are no larger than the backend accepts.
pub(super) fn server_hub(
    mut server: ServerConfig,
    uplink: UplinkConfig,
    backend: &dyn Backend,
) -> ServerHub<Json> {
    if let Some(bytes_max) = backend.broadcast_bytes_max() {
        // Escaping may double the length of a key or topic in JSON.
        let bytes_max = (bytes_max / 2).saturating_sub(ENVELOPE_BYTES);
        let limits = &mut server.presence.limits;
        limits.message_bytes_max = limits.message_bytes_max.min(bytes_max);
    }
    ServerHub::with_uplink(server, uplink)
}

/// The presences of a topic: those tracked by this hub, by its connections, and by other hubs at the same backend.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures_util::StreamExt as _;
/// use tidegate::Hub;
///
/// let hub = Hub::new(Default::default())?;
/// let doc = hub.presence("doc:7")?;
/// let ada = doc.track("ada", &serde_json::json!({"device": "phone"})).await?;
/// let mut changes = doc.watch().await?;
/// let first = changes.next().await.expect("who is here");
/// assert_eq!(first[0].key.as_str(), "ada");
/// drop(ada);
/// changes.next().await;
/// assert!(changes.present().is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Presence {
    hub: Hub,
    topic: Topic,
}

impl Hub {
    /// The presences of a topic. They are independent of its publications.
    ///
    /// # Errors
    /// If the topic has invalid syntax.
    pub fn presence(&self, topic: &str) -> Result<Presence, PresenceError> {
        Ok(self.presence_of(Topic::new(topic)?))
    }

    pub(crate) fn presence_of(&self, topic: Topic) -> Presence {
        Presence {
            hub: self.clone(),
            topic,
        }
    }
}

impl Presence {
    /// Makes `key` present, until the returned value is dropped or the hub stops. `meta` is what others learn about it,
    /// up to 4 KiB of JSON. The same key may be tracked several times.
    ///
    /// # Errors
    /// See [`PresenceError`]. The key is not present then.
    pub async fn track(&self, key: &str, meta: &impl Serialize) -> Result<Tracked, PresenceError> {
        let (reply, answer) = oneshot::channel();
        let track = PresenceCommand::Track {
            topic: self.topic.clone(),
            key: Key::new(key)?,
            meta: Json::from_value(meta)?,
            reply,
        };
        self.shard()?.send_connection(track.into())?;
        let reader = answer.await.map_err(|_| Stopped)??;
        Ok(Tracked { _reader: reader })
    }

    /// The shard for what this process itself tracks and asks about the topic: always the same one, so that it sees its
    /// own changes at once.
    fn shard(&self) -> Result<&CommandSender, Stopped> {
        self.hub.inner.shards.of(&self.topic)
    }

    /// Everyone who is present, ordered by key. A key that is tracked several times has as many metas.
    ///
    /// # Errors
    /// If the hub has stopped.
    pub async fn list(&self) -> Result<Vec<Present<Json>>, Stopped> {
        let (reply, answer) = oneshot::channel();
        let topic = self.topic.clone();
        let list = PresenceCommand::List { topic, reply };
        self.shard()?.send(list.into())?;
        let state = answer.await.map_err(|_| Stopped)?;
        Ok(state.present.clone())
    }

    /// A stream of who is present now, and of who joins and leaves from now on.
    ///
    /// # Errors
    /// If the hub has stopped.
    pub async fn watch(&self) -> Result<PresenceChanges, Stopped> {
        let (reply, answer) = oneshot::channel();
        let watch = PresenceCommand::Watch {
            topic: self.topic.clone(),
            outbox_bytes_max: self.hub.inner.outbox_bytes_max,
            reply,
        };
        self.shard()?.send_connection(watch.into())?;
        Ok(PresenceChanges {
            reader: answer.await.map_err(|_| Stopped)?,
            roster: Roster::new(),
            is_begun: false,
        })
    }
}

/// A presence. It ends when this is dropped.
#[must_use = "whoever is tracked leaves when this is dropped"]
pub struct Tracked {
    _reader: LocalReader,
}

/// A stream of changes to the presences of a topic. Each item contains changes that happened together; the first
/// contains everyone who is present, perhaps nobody. The stream ends with the hub; dropping it ends the watch.
///
/// A reader that is too slow for every change gets the difference from the last one that it took.
#[must_use = "the watch ends when this is dropped"]
pub struct PresenceChanges {
    reader: LocalReader,
    roster: Roster<Json>,
    is_begun: bool,
}

impl PresenceChanges {
    /// Who is present, according to all changes taken so far.
    pub const fn present(&self) -> &Roster<Json> {
        &self.roster
    }
}

impl Stream for PresenceChanges {
    type Item = Vec<KeyChange<Json>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let changes = match std::task::ready!(self.reader.poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(ServerFrame::PresenceState(state)) => self.roster.handle_state(&state.present),
                Some(ServerFrame::PresenceDiff(diff)) => self.roster.handle_diff(&diff),
                // What else arrives is about the link to the backend.
                Some(_) => continue,
            };
            if !changes.is_empty() || !self.is_begun {
                self.is_begun = true;
                return Poll::Ready(Some(changes));
            }
        }
    }
}
