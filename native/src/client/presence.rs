//! Presence, for clients.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt as _;
use serde::Serialize;
use tidegate_core::presence::{Key, KeyChange, Roster};
use tidegate_core::protocol::{ErrorCode, WireError};
use tidegate_core::topic::Topic;
use tokio::sync::{oneshot, watch};

use super::lease::Lease;
use super::presence_requests::{PresenceRequest, Seen};
use super::server::ServerLink;
use super::{Client, ClientError, Link};
use crate::error::PresenceError;
use crate::hub::{Presence, Tracked};
use crate::json::Json;

/// The presences of a topic. See [`Client::presence`].
#[derive(Clone)]
pub struct ClientPresence(PresenceSource);

#[derive(Clone)]
enum PresenceSource {
    Server(Arc<ServerLink>, Topic),
    Hub(Presence),
}

impl Client {
    /// The presences of a topic. They are independent of its publications.
    ///
    /// ```no_run
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures_util::StreamExt as _;
    ///
    /// let client = tidegate::Client::connect("http://127.0.0.1:8420").await?;
    /// let doc = client.presence("doc:7")?;
    /// let _ada = doc.track("ada", &serde_json::json!({"device": "phone"})).await?;
    /// let mut changes = doc.watch().await?;
    /// while let Some(changes) = changes.next().await {
    ///     println!("{:?}", changes?);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the topic has invalid syntax; [`ClientError::NoPresence`] for a client of a backend.
    pub fn presence(&self, topic: &str) -> Result<ClientPresence, ClientError> {
        Ok(ClientPresence(match &self.link {
            Link::Server(link) => PresenceSource::Server(link.clone(), Topic::new(topic)?),
            Link::Hub(link) => PresenceSource::Hub(link.presence(topic)?),
        }))
    }
}

impl ClientPresence {
    /// Makes `key` present, on every connection, until the returned value is dropped or the client is closed. `meta` is
    /// what others learn about it, up to 4 KiB of JSON. The same key may be tracked several times. If this future is
    /// dropped, the key is not present.
    ///
    /// # Errors
    /// See [`ClientError`]. A later refusal by the server is reported by [`ClientTracked::refused`].
    pub async fn track(
        &self,
        key: &str,
        meta: &impl Serialize,
    ) -> Result<ClientTracked, ClientError> {
        let (link, topic) = match &self.0 {
            PresenceSource::Hub(presence) => {
                let tracked = presence.track(key, meta).await?;
                return Ok(ClientTracked(Held::Hub { _tracked: tracked }));
            }
            PresenceSource::Server(link, topic) => (link.clone(), topic.clone()),
        };
        let (refusal, refused) = oneshot::channel();
        let (reply, lease) = oneshot::channel();
        link.presence(PresenceRequest::Track {
            topic,
            key: Key::new(key).map_err(PresenceError::from)?,
            meta: Json::from_value(meta)?,
            refusal,
            reply,
            requests: link.requests(),
        })?;
        Ok(ClientTracked(Held::Server {
            refused: Some(refused),
            _lease: lease.await.map_err(|_| ClientError::Closed)?,
        }))
    }

    /// A stream of who is present now, and of who joins and leaves from now on.
    ///
    /// # Errors
    /// If the client was closed.
    pub async fn watch(&self) -> Result<ClientPresenceChanges, ClientError> {
        let changes = match &self.0 {
            PresenceSource::Hub(presence) => {
                let changes = presence.watch().await.map_err(|_| ClientError::Closed)?;
                changes.map(Ok).boxed()
            }
            PresenceSource::Server(link, topic) => {
                let (reply, answer) = oneshot::channel();
                link.presence(PresenceRequest::Watch {
                    topic: topic.clone(),
                    reply,
                    requests: link.requests(),
                })?;
                let (seen, lease) = answer.await.map_err(|_| ClientError::Closed)?;
                let watching = Watching {
                    seen,
                    roster: Some(Roster::new()),
                    is_begun: false,
                    _lease: lease,
                };
                futures_util::stream::unfold(watching, |mut watching| async {
                    Some((watching.next().await?, watching))
                })
                .boxed()
            }
        };
        Ok(ClientPresenceChanges { changes })
    }
}

/// A presence. It ends when this is dropped.
#[must_use = "whoever is tracked leaves when this is dropped"]
pub struct ClientTracked(Held);

enum Held {
    Server {
        /// `None` once the refusal has been received.
        refused: Option<oneshot::Receiver<WireError>>,
        _lease: Lease,
    },
    Hub {
        _tracked: Tracked,
    },
}

impl ClientTracked {
    /// Returns when the server has refused the presence, with the reason. Until then, this waits.
    pub async fn refused(&mut self) -> WireError {
        if let Held::Server { refused, .. } = &mut self.0
            && let Some(receiver) = refused
        {
            let told = receiver.await;
            *refused = None;
            if let Ok(error) = told {
                return error;
            }
        }
        std::future::pending().await
    }
}

/// Changes that happened together, or why there are no more.
type Changes = Result<Vec<KeyChange<Json>>, ClientError>;

/// A stream of changes to the presences of a topic. Each item contains changes that happened together; the first
/// contains everyone who is present, perhaps nobody. The stream ends with the client, or with an error if the server
/// refuses the watch. Dropping it ends the watch.
///
/// A reader that is too slow for every change gets the difference from the last one that it took. While there is no
/// connection, there are no changes.
#[must_use = "a watch ends when this is dropped"]
pub struct ClientPresenceChanges {
    changes: Pin<Box<dyn Stream<Item = Changes> + Send>>,
}

impl Stream for ClientPresenceChanges {
    type Item = Changes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.changes.as_mut().poll_next(context)
    }
}

/// A watch over a connection.
struct Watching {
    seen: watch::Receiver<Seen>,
    /// `None` once the server has refused.
    roster: Option<Roster<Json>>,
    is_begun: bool,
    _lease: Lease,
}

impl Watching {
    async fn next(&mut self) -> Option<Changes> {
        let mut roster = self.roster.take()?;
        loop {
            let seen = self.seen.borrow_and_update().clone();
            match seen {
                Seen::Nothing => {}
                // The client itself reports this when it is closed.
                Seen::Refused(error) if error.code == ErrorCode::ConnectionLost => return None,
                Seen::Refused(error) => return Some(Err(error.into())),
                Seen::Present(present) => {
                    let changes = roster.handle_state(&present);
                    if !changes.is_empty() || !self.is_begun {
                        self.is_begun = true;
                        self.roster = Some(roster);
                        return Some(Ok(changes));
                    }
                }
            }
            self.seen.changed().await.ok()?;
        }
    }
}
