//! Requests about presences to a shard, from other servers and from within the process.

use std::sync::Arc;

use tidegate_core::presence::{Key, PresenceMessage, PresenceState, TrackError};
use tidegate_core::protocol::ServerFrame;
use tidegate_core::time::Instant;
use tidegate_core::topic::Topic;
use tokio::sync::oneshot;

use super::command::Command;
use super::local::{LocalQueue, LocalReader};
use super::{EndpointKind, Shard};
use crate::json::Json;

/// A request about presences.
pub(crate) enum PresenceCommand {
    /// The backend was opened, and can broadcast.
    Linked,
    /// A message from another server, which had this number of bytes.
    Received {
        message: PresenceMessage<Json>,
        bytes: usize,
    },
    /// Makes a key present until the reader is dropped.
    Track {
        topic: Topic,
        key: Key,
        meta: Json,
        reply: oneshot::Sender<Result<LocalReader, TrackError>>,
    },
    /// The reader gets the state of a topic, and the diffs that follow.
    Watch {
        topic: Topic,
        outbox_bytes_max: usize,
        reply: oneshot::Sender<LocalReader>,
    },
    List {
        topic: Topic,
        reply: oneshot::Sender<Arc<PresenceState<Json>>>,
    },
}

/// A local connection has one presence: it needs no further number.
const NUMBER: u64 = 0;

/// The outbox of a connection that is sent nothing.
const QUIET_BYTES_MAX: usize = 64 * 1024;

impl From<PresenceCommand> for Command {
    fn from(command: PresenceCommand) -> Self {
        Self::Presence(command)
    }
}

impl Shard {
    pub(super) fn handle_presence(&mut self, now: Instant, command: PresenceCommand) {
        match command {
            PresenceCommand::Linked => {
                self.hub.handle_servers_linked(now);
                self.listeners.link();
            }
            PresenceCommand::Received { message, bytes } => {
                if let Some(upstream) = &self.upstream {
                    upstream.uplink.count_broadcast_taken(bytes);
                }
                self.hub.handle_presence_heard(now, message);
            }
            PresenceCommand::Track {
                topic,
                key,
                meta,
                reply,
            } => {
                // If nobody receives the reader, it is dropped, and its connection closes.
                let reader = self.open_for_presence(QUIET_BYTES_MAX);
                let by = reader.id();
                let tracked = self.hub.handle_track(now, by, NUMBER, topic, key, meta);
                let _ = reply.send(tracked.map(|()| reader));
            }
            PresenceCommand::Watch {
                topic,
                outbox_bytes_max,
                reply,
            } => {
                let reader = self.open_for_presence(outbox_bytes_max);
                self.hub.handle_watch(now, reader.id(), &topic);
                let _ = reply.send(reader);
            }
            PresenceCommand::List { topic, reply } => self.list_present(now, &topic, reply),
        }
    }

    fn open_for_presence(&mut self, outbox_bytes_max: usize) -> LocalReader {
        let id = self.hub.handle_open_local(outbox_bytes_max);
        let (queue, reader) = LocalQueue::new(id, self.sender.clone());
        self.insert(id, EndpointKind::Local(queue));
        reader
    }

    /// Lists who is present, as a new watcher would be told: the latest changes are part of it.
    fn list_present(
        &mut self,
        now: Instant,
        topic: &Topic,
        reply: oneshot::Sender<Arc<PresenceState<Json>>>,
    ) {
        let id = self.hub.handle_open_local(QUIET_BYTES_MAX);
        self.hub.handle_watch(now, id, topic);
        while let Some(frame) = self.hub.poll_frame(id) {
            if let ServerFrame::PresenceState(state) = frame {
                // The caller may be gone.
                let _ = reply.send(state);
                break;
            }
        }
        self.hub.handle_closed(now, id);
    }
}
