//! How progress trackers reach those of other servers: their messages pass through here, and nothing is kept.

use tidegate_core::progress::ProgressMessage;
use tidegate_core::topic::Topic;
use tokio::sync::{mpsc, oneshot};

use super::Shard;
use super::command::Command;

/// A request about progress.
pub(crate) enum ProgressCommand {
    /// Sends all messages about this work to the listener, until its other end is dropped.
    Listen {
        work: Topic,
        listener: mpsc::Sender<PeerEvent>,
    },
    /// A message from another server, which had this number of bytes.
    Received {
        message: Box<ProgressMessage>,
        bytes: usize,
    },
    /// Tells other servers and shards. Answered once the message is out, and never if it is lost.
    Broadcast {
        text: String,
        reply: oneshot::Sender<()>,
    },
}

/// What a tracker learns of the other servers.
pub(crate) enum PeerEvent {
    /// Messages of others arrive from now on, or again.
    Linked,
    Message(Box<ProgressMessage>),
}

/// Who listens, and whether messages of others arrive.
#[derive(Default)]
pub(super) struct Listeners {
    listeners: Vec<(Topic, mpsc::Sender<PeerEvent>)>,
    is_linked: bool,
}

impl Listeners {
    /// Tells the listeners that the link is open. What a listener has no room for is lost, as any message may be.
    pub(super) fn link(&mut self) {
        self.is_linked = true;
        self.listeners.retain(|(_, listener)| !listener.is_closed());
        for (_, listener) in &self.listeners {
            let _ = listener.try_send(PeerEvent::Linked);
        }
    }

    fn listen(&mut self, work: Topic, listener: mpsc::Sender<PeerEvent>) {
        if self.is_linked {
            let _ = listener.try_send(PeerEvent::Linked);
        }
        self.listeners.retain(|(_, known)| !known.is_closed());
        self.listeners.push((work, listener));
    }

    fn notify(&self, message: &ProgressMessage) {
        let of_work = self
            .listeners
            .iter()
            .filter(|(work, _)| *work == message.work);
        for (_, listener) in of_work {
            let _ = listener.try_send(PeerEvent::Message(Box::new(message.clone())));
        }
    }
}

impl From<ProgressCommand> for Command {
    fn from(command: ProgressCommand) -> Self {
        Self::Progress(command)
    }
}

impl Shard {
    pub(super) fn handle_progress(&mut self, command: ProgressCommand) {
        match command {
            ProgressCommand::Listen { work, listener } => self.listeners.listen(work, listener),
            ProgressCommand::Received { message, bytes } => {
                if let Some(upstream) = &self.upstream {
                    upstream.uplink.count_broadcast_taken(bytes);
                }
                self.listeners.notify(&message);
            }
            ProgressCommand::Broadcast { text, reply } => {
                if let Some(upstream) = &self.upstream {
                    upstream.uplink.broadcast_progress(text, reply);
                }
            }
        }
    }
}
