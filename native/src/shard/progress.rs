//! The way of progress trackers to those of other servers: what is said passes through here, and nothing is kept.

use tidegate_core::progress::ProgressMessage;
use tidegate_core::topic::Topic;
use tokio::sync::{mpsc, oneshot};

use super::Shard;
use super::command::Command;

/// A request about progress.
pub(crate) enum ProgressCommand {
    /// Whatever is said of this work goes here, until its other end is dropped.
    Listen {
        work: Topic,
        listener: mpsc::Sender<Overheard>,
    },
    /// Another server said something, in so many bytes.
    Heard {
        message: Box<ProgressMessage>,
        bytes: usize,
    },
    /// Tell other servers and shards. Answered once it is out; not at all where it is lost.
    Broadcast {
        text: String,
        reply: oneshot::Sender<()>,
    },
}

/// What a tracker is told.
pub(crate) enum Overheard {
    /// Others can be heard from now on, or again.
    Linked,
    Said(Box<ProgressMessage>),
}

/// Who listens, and whether others can be heard.
#[derive(Default)]
pub(super) struct Listeners {
    listeners: Vec<(Topic, mpsc::Sender<Overheard>)>,
    is_linked: bool,
}

impl Listeners {
    /// What a listener has no room for is lost, as any of it may be.
    pub(super) fn link(&mut self) {
        self.is_linked = true;
        self.listeners.retain(|(_, listener)| !listener.is_closed());
        for (_, listener) in &self.listeners {
            let _ = listener.try_send(Overheard::Linked);
        }
    }

    fn listen(&mut self, work: Topic, listener: mpsc::Sender<Overheard>) {
        if self.is_linked {
            let _ = listener.try_send(Overheard::Linked);
        }
        self.listeners.retain(|(_, known)| !known.is_closed());
        self.listeners.push((work, listener));
    }

    fn tell(&self, message: &ProgressMessage) {
        let of_work = self
            .listeners
            .iter()
            .filter(|(work, _)| *work == message.work);
        for (_, listener) in of_work {
            let _ = listener.try_send(Overheard::Said(Box::new(message.clone())));
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
            ProgressCommand::Heard { message, bytes } => {
                if let Some(upstream) = &self.upstream {
                    upstream.uplink.count_broadcast_taken(bytes);
                }
                self.listeners.tell(&message);
            }
            ProgressCommand::Broadcast { text, reply } => {
                if let Some(upstream) = &self.upstream {
                    upstream.uplink.broadcast_progress(text, reply);
                }
            }
        }
    }
}
