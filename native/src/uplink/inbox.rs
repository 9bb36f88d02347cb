//! What the backend has delivered and the shard has not taken yet: bounded, and from one feed only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tidegate_core::hub::DisconnectsEnvelope;
use tidegate_core::payload::Payload as _;
use tidegate_core::presence::PresenceEnvelope;
use tidegate_core::session::ClaimsEnvelope;

use super::reach::Reach;
use crate::backend::{Feed, FeedEvent};
use crate::hub::Publication;
use crate::json::Json;
use crate::shard::{Command, CommandSender, DisconnectCommand, PresenceCommand, ProgressCommand};

/// The most payload bytes that wait for the shard. What exceeds them is dropped, and read again.
const PUBLICATION_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most bytes of broadcasts that wait for the shard. What exceeds them is lost, as any broadcast may be.
const BROADCAST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The bytes that a publication counts as while it waits.
fn cost(publication: &Publication) -> usize {
    publication.payload.size() + 256
}

/// How much is waiting.
pub(super) struct Inbox {
    bytes: AtomicUsize,
    broadcast_bytes: AtomicUsize,
    has_missed: AtomicBool,
    /// The state of the links to the backend. What arrives by any but the latest is stale.
    pub(super) reach: Reach,
}

enum Admitted {
    Yes,
    /// There is no room for it, and it is the first one.
    NoMore,
    No,
}

impl Inbox {
    /// Nothing yet. `reach` is the state of the shard's links.
    pub(super) fn new(reach: Reach) -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            broadcast_bytes: AtomicUsize::new(0),
            has_missed: AtomicBool::new(false),
            reach,
        }
    }

    /// The feed of a link, which is valid until the next link is opened. It leads to the shard behind `commands`.
    pub(super) fn feed(
        self: &Arc<Self>,
        link: u64,
        commands: CommandSender,
        shares_presence: bool,
    ) -> Feed {
        let inbox = Arc::clone(self);
        Feed::new(move |event| {
            if inbox.reach.last() != link {
                return;
            }
            let command = match event {
                FeedEvent::Publication(publication) => match inbox.admit(&publication) {
                    Admitted::Yes => Command::Announced(publication),
                    Admitted::NoMore => Command::Missed,
                    Admitted::No => return,
                },
                FeedEvent::Missed => Command::Missed,
                FeedEvent::Broadcast(_) if !shares_presence => return,
                FeedEvent::Broadcast(text) => match inbox.admit_broadcast(&text) {
                    Some(command) => command,
                    None => return,
                },
                FeedEvent::Lost(error) => {
                    inbox.reach.lost(link, &error);
                    Command::Lost
                }
            };
            // The shard may have stopped.
            let _ = commands.send(command);
        })
    }

    fn admit(&self, publication: &Publication) -> Admitted {
        let bytes = cost(publication);
        let is_full = self.bytes.load(Ordering::Relaxed) + bytes > PUBLICATION_BYTES_MAX;
        if is_full || self.has_missed.load(Ordering::SeqCst) {
            if self.has_missed.swap(true, Ordering::SeqCst) {
                return Admitted::No;
            }
            return Admitted::NoMore;
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Admitted::Yes
    }

    /// Accepts broadcasts about presences, shared connections, disconnected users, and progress. Ignores any others, perhaps of a later
    /// version.
    fn admit_broadcast(&self, text: &str) -> Option<Command> {
        let bytes = text.len();
        if self.broadcast_bytes.load(Ordering::Relaxed) + bytes > BROADCAST_BYTES_MAX {
            return None;
        }
        let command = match read_broadcast(text, bytes) {
            Ok(command) => command,
            Err(error) => {
                tracing::debug!(%error, "a broadcast can't be read");
                return None;
            }
        };
        self.broadcast_bytes.fetch_add(bytes, Ordering::Relaxed);
        Some(command)
    }

    pub(super) fn count_broadcast_taken(&self, bytes: usize) {
        self.broadcast_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn count_taken(&self, publication: &Publication) {
        self.bytes.fetch_sub(cost(publication), Ordering::Relaxed);
    }

    pub(super) fn acknowledge_missed(&self) {
        self.has_missed.store(false, Ordering::SeqCst);
    }
}

/// Parses a broadcast. Its `type` is the first member, so that a useless one is soon recognised.
fn read_broadcast(text: &str, bytes: usize) -> serde_json::Result<Command> {
    if let Ok(claims) = serde_json::from_str::<ClaimsEnvelope>(text) {
        return Ok(Command::Claims {
            claims: claims.into(),
            bytes,
        });
    }
    if let Ok(disconnects) = serde_json::from_str::<DisconnectsEnvelope>(text) {
        let disconnects = disconnects.into();
        return Ok(DisconnectCommand::Received { disconnects, bytes }.into());
    }
    if let Ok(message) = serde_json::from_str(text) {
        let message = Box::new(message);
        return Ok(ProgressCommand::Received { message, bytes }.into());
    }
    let message: PresenceEnvelope<Json> = serde_json::from_str(text)?;
    let message = message.into();
    Ok(PresenceCommand::Received { message, bytes }.into())
}
