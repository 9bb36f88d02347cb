//! Who is present, as applications ask and say it.

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

/// What a message between servers has around its presences, at most.
const ENVELOPE_BYTES: usize = 256;

/// A shard's core, whose messages to others are no larger than the backend takes them.
pub(super) fn server_hub(
    mut server: ServerConfig,
    uplink: UplinkConfig,
    backend: &dyn Backend,
) -> ServerHub<Json> {
    if let Some(bytes_max) = backend.broadcast_bytes_max() {
        // A key or a topic in JSON may have twice the bytes that it has by itself.
        let bytes_max = (bytes_max / 2).saturating_sub(ENVELOPE_BYTES);
        let limits = &mut server.presence.limits;
        limits.message_bytes_max = limits.message_bytes_max.min(bytes_max);
    }
    ServerHub::with_uplink(server, uplink)
}

/// Who is present in a topic: by this hub, its connections, and other hubs that share its backend.
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
    /// The presences of a topic. They have nothing to do with its publications.
    ///
    /// # Errors
    /// When the topic breaks the syntax.
    pub fn presence(&self, topic: &str) -> Result<Presence, PresenceError> {
        Ok(Presence {
            hub: self.clone(),
            topic: Topic::new(topic)?,
        })
    }
}

impl Presence {
    /// `key` is present, until what this returns is dropped or the hub stops. `meta` says of it what others should know,
    /// in up to 4 KiB of JSON. The same key may be tracked several times.
    ///
    /// # Errors
    /// As [`PresenceError`] says. Nobody is present then.
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

    /// What the process itself says and asks about a topic goes to one shard, which knows of it at once.
    fn shard(&self) -> Result<&CommandSender, Stopped> {
        self.hub.inner.shards.of(&self.topic)
    }

    /// Everyone who is present, ordered by key; a key that is so several times has as many metas.
    ///
    /// # Errors
    /// When the hub has stopped.
    pub async fn list(&self) -> Result<Vec<Present<Json>>, Stopped> {
        let (reply, answer) = oneshot::channel();
        let topic = self.topic.clone();
        let list = PresenceCommand::List { topic, reply };
        self.shard()?.send(list.into())?;
        let state = answer.await.map_err(|_| Stopped)?;
        Ok(state.present.clone())
    }

    /// Who is present, and who comes and goes from now on.
    ///
    /// # Errors
    /// When the hub has stopped.
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

/// Somebody is present, until this is dropped.
#[must_use = "whoever is tracked leaves when this is dropped"]
pub struct Tracked {
    _reader: LocalReader,
}

/// The changes of a topic's presences: a stream, each of whose items happened at once. The first tells who is here, perhaps
/// nobody. It ends with the hub. Dropping it ends the watch.
///
/// A reader that is too slow for every change is told what differs since the last one it took.
#[must_use = "the watch ends when this is dropped"]
pub struct PresenceChanges {
    reader: LocalReader,
    roster: Roster<Json>,
    is_begun: bool,
}

impl PresenceChanges {
    /// Who is present, by all changes until the last one that was taken.
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
                // The link to the backend comes and goes.
                Some(_) => continue,
            };
            if !changes.is_empty() || !self.is_begun {
                self.is_begun = true;
                return Poll::Ready(Some(changes));
            }
        }
    }
}
